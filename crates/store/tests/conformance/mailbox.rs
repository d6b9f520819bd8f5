//! Items and folders, and the commit that writes them.

use graph::query::Query;
use graph::{
    Folder, FolderId, Item, ItemId, Kind, Mutation, Partition, Properties, PropertyBag, SubmissionId, WellKnown,
};
use notify::{Position, Record, Submission};
use serde_json::json;
use tidings_store::{CommitError, ItemQuery, READ_BYTES_MAX, Window};
use uuid::Uuid;

use crate::World;
use crate::support::*;

fn folder(number: u128) -> Folder {
    Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(number)),
        mailbox: MEGAN,
        parent: Some(inbox(MEGAN)),
        display_name: format!("folder {number}"),
        well_known: None,
        properties: Properties::new(),
    }
}

fn put_folder(folder: &Folder) -> tidings_store::Commit {
    commit_of(MEGAN, Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() })
}

pub async fn a_new_mailbox_has_the_well_known_folders(world: World) {
    let folders = world.store.folders(MEGAN).await.unwrap();
    assert_eq!(folders.len(), WellKnown::ALL.len());
    assert!(folders.is_sorted_by_key(|counts| counts.folder.id));
    for known in WellKnown::ALL {
        let counts = world.store.folder(MEGAN, known.id_in(MEGAN)).await.unwrap().unwrap();
        assert_eq!(counts.folder, known.folder_in(MEGAN));
        let children = if *known == WellKnown::MsgFolderRoot { 9 } else { 0 };
        assert_eq!((counts.total, counts.unread, counts.children), (0, 0, children));
    }
    assert_eq!(world.store.folders(NOBODY).await, Ok(vec![]));
}

pub async fn a_commit_writes_the_item_and_appends_its_change(world: World) {
    let item = message(MEGAN, 1, 5);
    let before = world.store.counters();
    let commit = create(&item);
    let change = Record::Change(commit.mutation.changes[0].clone());
    let committed = world.store.commit(commit).await.unwrap();
    assert_eq!((committed.partition, committed.position), (Partition::of(MEGAN), Position(1)));
    assert_eq!(world.store.item(MEGAN, item.id).await, Ok(Some(item.clone())));
    assert_eq!(world.store.item(ADELE, item.id).await, Ok(None));
    let log = world.store.read_log(committed.partition, Position(0), 10).await.unwrap();
    assert_eq!(log, [(Position(1), change.into())]);
    assert_eq!(world.heard.of(committed.partition), log);
    let after = world.store.counters();
    assert_eq!(after.log_rows - before.log_rows, 1);
    assert_eq!(after.item_rows - before.item_rows, 1);
    assert_eq!(after.commits - before.commits, 1);
}

pub async fn a_stale_expectation_writes_nothing(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    assert_eq!(world.store.commit(create(&item)).await, Err(CommitError::ItemChanged(item.id)));
    let newer = edited(&item, "subject", json!("newer"));
    world.store.commit(update(&item, &newer)).await.unwrap();
    let late = edited(&item, "subject", json!("late"));
    assert_eq!(world.store.commit(update(&item, &late)).await, Err(CommitError::ItemChanged(item.id)));
    assert_eq!(world.store.commit(delete(&item)).await, Err(CommitError::ItemChanged(item.id)));
    assert_eq!(world.store.item(MEGAN, item.id).await, Ok(Some(newer)));
    assert_eq!(world.store.read_log(Partition::of(MEGAN), Position(0), 10).await.unwrap().len(), 2);
}

pub async fn an_item_for_a_missing_folder_is_refused(world: World) {
    let mut item = message(MEGAN, 1, 1);
    item.folder = folder(9).id;
    let mut commit = create(&item);
    assert_eq!(world.store.commit(commit.clone()).await, Err(CommitError::FolderGone(item.folder)));
    commit.mutation.folder_puts.push(folder(9));
    world.store.commit(commit).await.unwrap();
    let mut astray = message(MEGAN, 2, 1);
    astray.folder = WellKnown::Calendar.id_in(MEGAN);
    assert_eq!(world.store.commit(create(&astray)).await, Err(CommitError::FolderGone(astray.folder)));
}

pub async fn a_folder_that_got_an_item_meanwhile_is_not_removed(world: World) {
    world.store.commit(put_folder(&folder(9))).await.unwrap();
    let mut item = message(MEGAN, 1, 1);
    item.folder = folder(9).id;
    world.store.commit(create(&item)).await.unwrap();
    let remove = commit_of(MEGAN, Mutation { folder_removes: vec![item.folder], ..Mutation::default() });
    assert_eq!(world.store.commit(remove).await, Err(CommitError::ItemChanged(item.id)));
    assert_eq!(world.store.folder(MEGAN, item.folder).await.unwrap().unwrap().total, 1);
}

pub async fn an_emptied_folder_is_removed(world: World) {
    world.store.commit(put_folder(&folder(9))).await.unwrap();
    let (mut moved, mut deleted) = (message(MEGAN, 1, 1), message(MEGAN, 2, 1));
    for item in [&mut moved, &mut deleted] {
        item.folder = folder(9).id;
        world.store.commit(create(item)).await.unwrap();
    }
    moved.folder = inbox(MEGAN);
    let mutation = Mutation {
        puts: vec![moved.clone()],
        removes: vec![deleted.id],
        folder_removes: vec![folder(9).id],
        ..Mutation::default()
    };
    world.store.commit(commit_of(MEGAN, mutation)).await.unwrap();
    assert_eq!(world.store.folder(MEGAN, folder(9).id).await, Ok(None));
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, None, 0)).await, Ok(1));
    assert_eq!(world.store.item(MEGAN, moved.id).await, Ok(Some(moved)));
}

pub async fn a_once_key_writes_once(world: World) {
    let keyed = |number| {
        let mut commit = create(&message(MEGAN, number, 1));
        commit.once = Some(once("queue id", 0, 60));
        commit
    };
    world.store.commit(keyed(1)).await.unwrap();
    assert_eq!(world.store.commit(keyed(1)).await, Err(CommitError::AlreadyDone));
    assert_eq!(world.store.commit(keyed(2)).await, Err(CommitError::AlreadyDone));
    assert_eq!(world.store.item(MEGAN, item_id(2)).await, Ok(None));
    let mut elsewhere = create(&message(NEIGHBOUR, 3, 1));
    elsewhere.once = Some(once("queue id", 0, 60));
    world.store.commit(elsewhere).await.unwrap();
}

pub async fn a_once_key_is_free_again_when_its_time_is_over(world: World) {
    let keyed = |number, now| {
        let mut commit = create(&message(MEGAN, number, 1));
        commit.once = Some(once("queue id", now, now + 60));
        commit
    };
    world.store.commit(keyed(1, 0)).await.unwrap();
    assert_eq!(world.store.commit(keyed(2, 59)).await, Err(CommitError::AlreadyDone));
    world.store.commit(keyed(3, 60)).await.unwrap();
    assert_eq!(world.store.commit(keyed(4, 119)).await, Err(CommitError::AlreadyDone));
}

pub async fn an_unknown_mailbox_is_refused(world: World) {
    let lost = create(&message(NOBODY, 1, 1));
    assert_eq!(world.store.commit(lost).await, Err(CommitError::NoMailbox(NOBODY)));
}

pub async fn a_quiet_write_appends_nothing(world: World) {
    world.store.commit(create(&message(MEGAN, 1, 1))).await.unwrap();
    let mut quiet = create(&message(MEGAN, 2, 2));
    quiet.quiet = true;
    let committed = world.store.commit(quiet).await.unwrap();
    assert_eq!(committed.position, Position(1));
    assert_eq!(world.heard.of(committed.partition).len(), 1);
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, None, 0)).await, Ok(2));
}

pub async fn a_submission_follows_the_changes(world: World) {
    let submission = Submission {
        id: SubmissionId(Uuid::from_u128(1)),
        tenant: TENANT,
        app: None,
        sender: MEGAN,
        recipients: vec![ADELE],
        at: at(1),
        message: Properties::new(),
        meeting: None,
    };
    let mut commit = create(&message(MEGAN, 1, 1));
    commit.submit = Some(submission.clone());
    let committed = world.store.commit(commit).await.unwrap();
    assert_eq!(committed.position, Position(2));
    let log = world.store.read_log(committed.partition, Position(1), 10).await.unwrap();
    assert_eq!(log, [(Position(2), Record::Submit(submission).into())]);
}

pub async fn lists_over_folders_are_newest_first(world: World) {
    for number in 0..10u128 {
        let mut item = message(MEGAN, number, [3, 1, 4, 1, 5, 9, 2, 6, 5, 3][number as usize]);
        if number % 2 == 1 {
            item.folder = WellKnown::Archive.id_in(MEGAN);
        }
        world.store.commit(create(&item)).await.unwrap();
    }
    let query = ItemQuery::newest(MEGAN, Kind::Message, None, 100);
    assert_eq!(list(&world, query.clone()).await, [5, 7, 4, 8, 2, 0, 9, 6, 1, 3]);
    assert_eq!(list(&world, ItemQuery { skip: 3, top: 4, ..query.clone() }).await, [8, 2, 0, 9]);
    assert_eq!(list(&world, ItemQuery { top: 0, ..query.clone() }).await, [0u128; 0]);
    assert_eq!(list(&world, ItemQuery { folders: Some(vec![inbox(MEGAN)]), ..query.clone() }).await, [4, 8, 2, 0, 6]);
    assert_eq!(list(&world, ItemQuery::newest(MEGAN, Kind::Event, None, 100)).await, [0u128; 0]);
    assert_eq!(list(&world, ItemQuery { skip: u64::MAX, top: u64::MAX, ..query.clone() }).await, [0u128; 0]);
}

pub async fn recoverable_items_are_seen_only_in_their_folder(world: World) {
    let recoverable = WellKnown::RecoverableItemsDeletions.id_in(MEGAN);
    let mut purged = message(MEGAN, 2, 2);
    purged.folder = recoverable;
    for item in [&message(MEGAN, 1, 1), &purged] {
        world.store.commit(create(item)).await.unwrap();
    }
    let query = ItemQuery::newest(MEGAN, Kind::Message, None, 100);
    assert_eq!(list(&world, query.clone()).await, [1]);
    assert_eq!(list(&world, ItemQuery { folders: Some(vec![recoverable]), ..query.clone() }).await, [2]);
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, None, 0)).await, Ok(1));
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, Some(recoverable), 0)).await, Ok(1));
}

async fn list(world: &World, query: ItemQuery) -> Vec<u128> {
    let items: Vec<Item> = world.store.items(query).await.unwrap().items;
    items.into_iter().map(|item| item.id.uuid.as_u128()).collect()
}

pub async fn counts_follow_the_items(world: World) {
    let first = message(MEGAN, 1, 1);
    world.store.commit(create(&first)).await.unwrap();
    world.store.commit(create(&message(MEGAN, 2, 2))).await.unwrap();
    assert_eq!(counts(&world).await, [(2, 2), (0, 0)]);
    let read = edited(&first, "isRead", json!(true));
    world.store.commit(update(&first, &read)).await.unwrap();
    assert_eq!(counts(&world).await, [(2, 1), (0, 0)]);
    let mut moved = edited(&read, "isRead", json!(false));
    moved.folder = WellKnown::Archive.id_in(MEGAN);
    world.store.commit(update(&read, &moved)).await.unwrap();
    assert_eq!(counts(&world).await, [(1, 1), (1, 1)]);
    world.store.commit(delete(&moved)).await.unwrap();
    assert_eq!(counts(&world).await, [(1, 1), (0, 0)]);
    let archive = Some(WellKnown::Archive.id_in(MEGAN));
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, archive, 0)).await, Ok(0));
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, Some(inbox(MEGAN)), 0)).await, Ok(1));
    assert_eq!(world.store.count_items(ItemQuery::newest(MEGAN, Kind::Event, Some(inbox(MEGAN)), 0)).await, Ok(0));
}

/// Total and unread of the Inbox and the Archive.
async fn counts(world: &World) -> [(u64, u64); 2] {
    let mut counts = [(0, 0); 2];
    for (known, count) in [WellKnown::Inbox, WellKnown::Archive].into_iter().zip(&mut counts) {
        let folder = world.store.folder(MEGAN, known.id_in(MEGAN)).await.unwrap().unwrap();
        *count = (folder.total, folder.unread);
    }
    counts
}

pub async fn a_folder_keeps_its_properties(world: World) {
    let properties = Properties::from_iter([("isHidden".to_owned(), json!(true))]);
    let hidden = Folder { properties, ..folder(9) };
    world.store.commit(put_folder(&hidden)).await.unwrap();
    assert_eq!(world.store.folder(MEGAN, hidden.id).await.unwrap().unwrap().folder, hidden);
    world.store.commit(put_folder(&folder(9))).await.unwrap();
    assert_eq!(world.store.folder(MEGAN, hidden.id).await.unwrap().unwrap().folder, folder(9));
}

/// An event from one second to another; a recurring one ends never.
fn event(number: u128, (from, to): (i64, i64), recurs: bool) -> Item {
    let mut item = message(MEGAN, number, 0);
    item.id = ItemId::new(Kind::Event, item.immutable);
    item.folder = WellKnown::Calendar.id_in(MEGAN);
    item.properties = PropertyBag::from_iter([
        ("start".to_owned(), json!({ "dateTime": at(from).to_string().trim_end_matches('Z'), "timeZone": "UTC" })),
        ("end".to_owned(), json!({ "dateTime": at(to).to_string().trim_end_matches('Z'), "timeZone": "UTC" })),
    ]);
    if recurs {
        let pattern = json!({ "type": "daily", "interval": 1 });
        let range = json!({ "type": "noEnd", "startDate": at(from).to_string()[..10] });
        item.properties.insert("recurrence".to_owned(), json!({ "pattern": pattern, "range": range }));
    }
    item
}

pub async fn events_are_found_by_when_they_begin_and_end(world: World) {
    let spans = [((0, 10), false), ((5, 20), false), ((20, 30), false), ((0, 1), true), ((40, 50), true)];
    for (number, (span, recurs)) in (1..).zip(spans) {
        world.store.commit(create(&event(number, span, recurs))).await.unwrap();
    }
    let calendar = WellKnown::Calendar.id_in(MEGAN);
    let find = async |from, until, after: Option<u128>, limit| {
        let window = Window { from: at(from), until: at(until) };
        let after = after.map(|number| ItemId::new(Kind::Event, Uuid::from_u128(number)));
        let found = world.store.events_between(MEGAN, calendar, window, after, limit).await.unwrap();
        found.items.into_iter().map(|item| item.id.uuid.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(find(10, 20, None, 10).await, [2, 4]);
    assert_eq!(find(9, 21, None, 10).await, [1, 2, 3, 4]);
    assert_eq!(find(9, 21, None, 2).await, [1, 2]);
    assert_eq!(find(9, 21, Some(2), 10).await, [3, 4]);
    assert_eq!(find(60, 90, None, 10).await, [4, 5]);
    let later = edited(&event(1, (60, 70), false), "subject", json!("later"));
    world.store.commit(update(&event(1, (0, 10), false), &later)).await.unwrap();
    assert_eq!(find(0, 30, None, 10).await, [2, 3, 4]);
    assert_eq!(find(60, 90, None, 10).await, [1, 4, 5]);
}

/// Four of its kind are more than one read holds.
fn long(mut item: Item) -> Item {
    let content = format!("{} {}", item.id.uuid.as_u128(), "x".repeat(READ_BYTES_MAX / 4));
    item.properties.insert("body".to_owned(), json!({ "contentType": "text", "content": content }));
    item
}

pub async fn a_page_of_long_items_ends_early(world: World) {
    for number in 1..=6 {
        world.store.commit(create(&long(message(MEGAN, number, -(number as i64))))).await.unwrap();
    }
    let page = async |order, skip, top| {
        let query = Query::read(Kind::Message, None, order).unwrap();
        let all = ItemQuery::newest(MEGAN, Kind::Message, None, top);
        let found = world.store.items(ItemQuery { skip, query, ..all }).await.unwrap();
        let ids: Vec<u128> = found.items.iter().map(|item| item.id.uuid.as_u128()).collect();
        (ids, found.more)
    };
    for order in [None, Some("importance")] {
        assert_eq!(page(order, 0, 100).await, (vec![1, 2, 3, 4], true), "{order:?}");
        assert_eq!(page(order, 4, 100).await, (vec![5, 6], false), "{order:?}");
    }
    assert_eq!(page(Some("body/content"), 5, 1).await, (vec![6], false), "what it sorts by is long itself");
    for number in 1..=6 {
        world.store.commit(create(&long(event(number, (0, 10), false)))).await.unwrap();
    }
    let window = Window { from: at(0), until: at(10) };
    let calendar = WellKnown::Calendar.id_in(MEGAN);
    let first = world.store.events_between(MEGAN, calendar, window, None, 6).await.unwrap();
    let after = first.items.last().map(|event| event.id);
    let second = world.store.events_between(MEGAN, calendar, window, after, 6).await.unwrap();
    assert_eq!([(first.items.len(), first.more), (second.items.len(), second.more)], [(4, true), (2, false)]);
}

pub async fn a_page_says_whether_another_follows(world: World) {
    for number in 1..=3 {
        world.store.commit(create(&message(MEGAN, number, number as i64))).await.unwrap();
    }
    for (top, more) in [(0, true), (2, true), (3, false), (4, false)] {
        let found = world.store.items(ItemQuery::newest(MEGAN, Kind::Message, None, top)).await.unwrap();
        assert_eq!((found.items.len() as u64, found.more), (top.min(3), more));
    }
}

pub async fn of_what_was_made_in_one_second_the_last_is_the_newest(world: World) {
    // All are shown with the same `receivedDateTime`; their ids are in the order in which they were made.
    for number in 1..=5u128 {
        let mut item = edited(&message(MEGAN, number, 7), "subject", json!("same"));
        item.created = at(7).plus_micros(number as i64 * 100_000);
        item.folder = if number.is_multiple_of(2) { inbox(MEGAN) } else { WellKnown::Archive.id_in(MEGAN) };
        world.store.commit(create(&item)).await.unwrap();
    }
    world.store.commit(create(&message(MEGAN, 6, 6))).await.unwrap();
    world.store.commit(create(&message(MEGAN, 7, 8))).await.unwrap();
    let page = |filter, order| {
        let query = Query::read(Kind::Message, filter, order).unwrap();
        ItemQuery { query, ..ItemQuery::newest(MEGAN, Kind::Message, None, 10) }
    };
    assert_eq!(list(&world, page(None, None)).await, [7, 5, 4, 3, 2, 1, 6]);
    assert_eq!(list(&world, page(None, Some("receivedDateTime"))).await, [6, 1, 2, 3, 4, 5, 7]);
    assert_eq!(list(&world, page(Some("subject eq 'same'"), None)).await, [5, 4, 3, 2, 1]);
    assert_eq!(list(&world, page(None, Some("receivedDateTime,subject"))).await, [6, 5, 4, 3, 2, 1, 7]);
    let second = [
        ("receivedDateTime eq 2027-01-15T08:00:07Z", &[5, 4, 3, 2, 1][..]),
        ("receivedDateTime gt 2027-01-15T08:00:07Z", &[7]),
        ("receivedDateTime le 2027-01-15T08:00:07Z and isRead eq false", &[5, 4, 3, 2, 1, 6]),
    ];
    for (filter, expected) in second {
        assert_eq!(list(&world, page(Some(filter), None)).await, expected, "{filter}");
    }
}

pub async fn lists_are_filtered_and_ordered_as_asked(world: World) {
    for number in 0..40u128 {
        let from = json!({ "emailAddress": { "address": format!("person{}@contoso.test", number % 2) } });
        let subject = json!(format!("Part {}", [3, 1, 2][number as usize % 3]));
        let mut item = edited(&edited(&message(MEGAN, number, number as i64), "from", from), "subject", subject);
        item.properties.insert("isRead".to_owned(), json!(!number.is_multiple_of(4)));
        item.properties
            .insert("importance".to_owned(), json!(if number.is_multiple_of(9) { "high" } else { "normal" }));
        item.folder = if number < 20 { inbox(MEGAN) } else { WellKnown::Archive.id_in(MEGAN) };
        world.store.commit(create(&item)).await.unwrap();
    }
    let read = |filter, order| Query::read(Kind::Message, filter, order).unwrap();
    let page =
        |filter, order| ItemQuery { query: read(filter, order), ..ItemQuery::newest(MEGAN, Kind::Message, None, 4) };
    let sender = "from/emailAddress/address eq 'Person1@contoso.test'";
    assert_eq!(list(&world, page(Some(sender), None)).await, [39, 37, 35, 33]);
    assert_eq!(list(&world, page(None, Some("subject"))).await, [37, 34, 31, 28]);
    assert_eq!(list(&world, ItemQuery { skip: 10, ..page(None, Some("subject desc")) }).await, [9, 6, 3, 0]);
    assert_eq!(list(&world, page(Some("isRead eq false and subject eq 'part 3'"), None)).await, [36, 24, 12, 0]);
    assert_eq!(list(&world, page(None, Some("importance,receivedDateTime"))).await, [0, 9, 18, 27]);
    assert_eq!(list(&world, page(None, Some("receivedDateTime"))).await, [0, 1, 2, 3]);
    let archive = Some(vec![WellKnown::Archive.id_in(MEGAN)]);
    let unread = ItemQuery { folders: archive, ..page(Some("isRead eq false"), None) };
    assert_eq!(list(&world, unread.clone()).await, [36, 32, 28, 24]);
    assert_eq!(world.store.count_items(unread).await, Ok(5));
    assert_eq!(world.store.count_items(page(Some(sender), None)).await, Ok(20));
}
