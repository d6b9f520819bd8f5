//! What has changed in a place since a revision.

use graph::{Folder, FolderId, Item, Kind, Mutation, Properties, WellKnown};
use serde_json::json;
use tidings_store::{Delta, DeltaEntry, DeltaError, DeltaPlace, DeltaQuery, READ_BYTES_MAX, Revision};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const ANYWHERE: DeltaPlace = DeltaPlace::Items(Kind::Message, None);

fn in_inbox() -> DeltaPlace {
    DeltaPlace::Items(Kind::Message, Some(inbox(MEGAN)))
}

fn archived(item: &Item) -> Item {
    Item { folder: WellKnown::Archive.id_in(MEGAN), ..edited(item, "categories", json!([])) }
}

async fn read(world: &World, place: DeltaPlace, since: Revision, limit: u64) -> Delta {
    let query = DeltaQuery { mailbox: MEGAN, place, since, removals_since: since, limit };
    world.store.delta(query).await.unwrap()
}

/// Everything since a revision, in words: `+1` for an item as it is now, `-1` for one that is gone.
async fn told(world: &World, place: DeltaPlace, since: Revision) -> (Vec<String>, Revision) {
    let delta = read(world, place, since, 100).await;
    assert!(!delta.more && delta.until == delta.now);
    (words(&delta), delta.until)
}

fn words(delta: &Delta) -> Vec<String> {
    let word = |entry: &DeltaEntry| match entry {
        DeltaEntry::Item { item, .. } => format!("+{}", item.id.uuid.as_u128()),
        DeltaEntry::ItemGone { id, immutable } => format!("-{}/{}", id.uuid.as_u128(), immutable.as_u128()),
        DeltaEntry::Folder(counts) => format!("+{} {}", counts.folder.display_name, counts.total),
        DeltaEntry::FolderGone(id) => format!("-{}", id.uuid.as_u128()),
    };
    delta.entries.iter().map(|(_, entry)| word(entry)).collect()
}

pub async fn a_first_reading_shows_what_is_there_and_no_removals(world: World) {
    for number in 1..=3 {
        world.store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    world.store.commit(delete(&message(MEGAN, 2, 1))).await.unwrap();
    assert_eq!(told(&world, in_inbox(), Revision(0)).await.0, ["+1", "+3"]);
    assert_eq!(told(&world, ANYWHERE, Revision(0)).await.0, ["+1", "+3"]);
    let events = DeltaPlace::Items(Kind::Event, None);
    assert_eq!(told(&world, events, Revision(0)).await.0, [""; 0]);
    let nobody =
        DeltaQuery { mailbox: NOBODY, place: ANYWHERE, since: Revision(0), removals_since: Revision(0), limit: 1 };
    assert_eq!(world.store.delta(nobody).await.unwrap().entries, []);
}

pub async fn a_later_reading_shows_what_changed_since(world: World) {
    let (first, second) = (message(MEGAN, 1, 1), message(MEGAN, 2, 2));
    world.store.commit(create(&first)).await.unwrap();
    world.store.commit(create(&second)).await.unwrap();
    let (_, since) = told(&world, in_inbox(), Revision(0)).await;
    assert_eq!(told(&world, in_inbox(), since).await, (vec![], since));
    let read = edited(&first, "isRead", json!(true));
    world.store.commit(update(&first, &read)).await.unwrap();
    world.store.commit(delete(&second)).await.unwrap();
    let mut quiet = create(&message(MEGAN, 3, 3));
    quiet.quiet = true;
    world.store.commit(quiet).await.unwrap();
    assert_eq!(told(&world, in_inbox(), since).await.0, ["+1", "-2/2", "+3"]);
}

pub async fn an_item_says_when_it_came_to_its_folder(world: World) {
    let arrived = async |place: DeltaPlace| {
        let delta = read(&world, place, Revision(0), 10).await;
        let all = delta.entries.into_iter().filter_map(|(revision, entry)| match entry {
            DeltaEntry::Item { arrived, .. } => Some((revision, arrived)),
            _ => None,
        });
        all.collect::<Vec<_>>()
    };
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    let made = arrived(in_inbox()).await[0].0;
    assert_eq!(arrived(in_inbox()).await, [(made, made)]);
    let newer = edited(&item, "subject", json!("newer"));
    world.store.commit(update(&item, &newer)).await.unwrap();
    let now = arrived(in_inbox()).await[0];
    assert!(now.0 > made && now.1 == made, "{now:?}");
    let moved = archived(&newer);
    world.store.commit(update(&newer, &moved)).await.unwrap();
    let there = arrived(ANYWHERE).await[0];
    assert!(there.0 > now.0 && there.1 == there.0, "{there:?}");
    // Elsewhere under another id, as items move.
    let away = Item { id: item_id(2), folder: inbox(MEGAN), ..edited(&moved, "categories", json!([])) };
    let puts = Mutation { puts: vec![away], removes: vec![moved.id], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, puts)).await.unwrap();
    let back = arrived(in_inbox()).await[0];
    assert!(back.0 > there.0 && back.1 == back.0, "{back:?}");
}

pub async fn a_move_is_a_removal_where_the_item_was(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    let (_, since) = told(&world, ANYWHERE, Revision(0)).await;
    let moved = Item { id: item_id(2), ..archived(&item) };
    let mutation = Mutation { puts: vec![moved.clone()], removes: vec![item.id], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, mutation)).await.unwrap();
    assert_eq!(told(&world, in_inbox(), since).await.0, ["-1/1"]);
    assert_eq!(told(&world, ANYWHERE, since).await.0, ["-1/1", "+2"]);
    let archive = DeltaPlace::Items(Kind::Message, Some(moved.folder));
    assert_eq!(told(&world, archive, since).await.0, ["+2"]);
    world.store.commit(delete(&moved)).await.unwrap();
    assert_eq!(told(&world, ANYWHERE, since).await.0, ["-1/1", "-2/1"]);
}

pub async fn an_item_that_left_and_came_back_shows_its_removal_first(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    let (_, since) = told(&world, in_inbox(), Revision(0)).await;
    let away = archived(&item);
    world.store.commit(update(&item, &away)).await.unwrap();
    let back = Item { folder: item.folder, ..edited(&away, "categories", json!(["back"])) };
    world.store.commit(update(&away, &back)).await.unwrap();
    assert_eq!(told(&world, in_inbox(), since).await.0, ["-1/1", "+1"]);
}

pub async fn recoverable_items_are_no_place_of_the_mailbox(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    let (_, since) = told(&world, ANYWHERE, Revision(0)).await;
    let recoverable = WellKnown::RecoverableItemsDeletions.id_in(MEGAN);
    let purged = Item { id: item_id(2), folder: recoverable, ..edited(&item, "categories", json!([])) };
    let mutation = Mutation { puts: vec![purged.clone()], removes: vec![item.id], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, mutation)).await.unwrap();
    let (words, since) = told(&world, ANYWHERE, since).await;
    assert_eq!(words, ["-1/1"]);
    world.store.commit(delete(&purged)).await.unwrap();
    assert_eq!(told(&world, ANYWHERE, since).await.0, [""; 0]);
    let there = DeltaPlace::Items(Kind::Message, Some(recoverable));
    assert_eq!(told(&world, there, since).await.0, ["-2/1"]);
}

pub async fn a_delta_is_read_in_parts_and_no_commit_is_parted(world: World) {
    for number in [1, 4, 7] {
        let puts = (number..number + 3).map(|number| message(MEGAN, number, 1)).collect();
        world.store.commit(commit_of(MEGAN, Mutation { puts, ..Mutation::default() })).await.unwrap();
    }
    let first = read(&world, in_inbox(), Revision(0), 4).await;
    assert_eq!((words(&first).len(), first.more), (6, true));
    assert!(first.until < first.now);
    let second = read(&world, in_inbox(), first.until, 3).await;
    assert_eq!(
        (words(&second), second.more, second.until),
        (vec!["+7".into(), "+8".into(), "+9".into()], false, first.now)
    );
    let none = read(&world, in_inbox(), first.until, 0).await;
    assert_eq!((none.entries.len(), none.more, none.until), (0, true, first.until));
}

pub async fn a_delta_of_long_items_ends_early(world: World) {
    let long = |number| edited(&message(MEGAN, number, 1), "body", json!("x".repeat(READ_BYTES_MAX / 4)));
    for number in 1..=3 {
        world.store.commit(create(&long(number))).await.unwrap();
    }
    let together = Mutation { puts: vec![long(4), long(5)], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, together)).await.unwrap();
    world.store.commit(create(&long(6))).await.unwrap();
    let first = read(&world, in_inbox(), Revision(0), 100).await;
    assert_eq!((words(&first).join(" "), first.more), ("+1 +2 +3 +4 +5".to_owned(), true), "no commit is parted");
    assert!(first.bytes > READ_BYTES_MAX);
    let second = read(&world, in_inbox(), first.until, 100).await;
    assert_eq!((words(&second).join(" "), second.more, second.until), ("+6".to_owned(), false, first.now));
}

pub async fn what_went_before_a_first_reading_began_is_nothing_to_it(world: World) {
    for number in 1..=4 {
        world.store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    world.store.commit(delete(&message(MEGAN, 3, 1))).await.unwrap();
    let first = read(&world, in_inbox(), Revision(0), 1).await;
    world.store.commit(delete(&message(MEGAN, 1, 1))).await.unwrap();
    world.store.commit(delete(&message(MEGAN, 4, 1))).await.unwrap();
    let query =
        DeltaQuery { mailbox: MEGAN, place: in_inbox(), since: first.until, removals_since: first.now, limit: 100 };
    assert_eq!(words(&world.store.delta(query).await.unwrap()), ["+2", "-1/1", "-4/4"]);
}

pub async fn a_reading_from_before_forgotten_removals_is_too_old(world: World) {
    for number in 1..=9 {
        world.store.commit(create(&message(MEGAN, number, number as i64))).await.unwrap();
    }
    let (_, since) = told(&world, in_inbox(), Revision(0)).await;
    let forgetful = |number: u128, forget_before| {
        let mut commit = delete(&message(MEGAN, number, number as i64));
        commit.forget_before = at(forget_before);
        commit
    };
    world.store.commit(forgetful(1, 1)).await.unwrap();
    let (words, later) = told(&world, in_inbox(), since).await;
    assert_eq!(words, ["-1/1"], "it is not older than that");
    world.store.commit(forgetful(2, 2)).await.unwrap();
    let query = DeltaQuery { mailbox: MEGAN, place: in_inbox(), since, removals_since: since, limit: 1 };
    assert_eq!(world.store.delta(query).await, Err(DeltaError::TooOld));
    assert_eq!(told(&world, in_inbox(), later).await.0, ["-2/2"]);
    assert_eq!(told(&world, in_inbox(), Revision(0)).await.0.len(), 7);
    let begun = DeltaQuery { removals_since: later, ..query };
    assert!(world.store.delta(begun).await.is_ok(), "what is forgotten went before the reading began");
}

pub async fn a_folder_changes_with_its_counts(world: World) {
    let folders = DeltaPlace::Folders(Kind::Message);
    let (words, since) = told(&world, folders, Revision(0)).await;
    let mail_folders = WellKnown::ALL.iter().filter(|known| known.kind() == Kind::Message).count();
    assert_eq!(words.len(), mail_folders);
    let folder = Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(9)),
        mailbox: MEGAN,
        parent: Some(inbox(MEGAN)),
        display_name: "Projects".to_owned(),
        well_known: None,
        properties: Properties::new(),
    };
    let folder_puts = vec![folder.clone()];
    world.store.commit(commit_of(MEGAN, Mutation { folder_puts, ..Mutation::default() })).await.unwrap();
    let (words, since) = (told(&world, folders, since).await.0, told(&world, folders, since).await.1);
    assert_eq!(words.len(), 2, "the folder, and the Inbox that has a child now: {words:?}");
    let item = Item { folder: folder.id, ..message(MEGAN, 1, 1) };
    world.store.commit(create(&item)).await.unwrap();
    let (words, since) = told(&world, folders, since).await;
    assert_eq!(words, ["+Projects 1"]);
    world.store.commit(update(&item, &edited(&item, "subject", json!("other")))).await.unwrap();
    let (words, since) = told(&world, folders, since).await;
    assert_eq!(words, [""; 0], "its counts are the same");
    let mutation = Mutation { removes: vec![item.id], folder_removes: vec![folder.id], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, mutation)).await.unwrap();
    assert_eq!(told(&world, folders, since).await.0, ["-9", "+Inbox 0"]);
    assert_eq!(told(&world, ANYWHERE, since).await.0, ["-1/1"], "its folder is gone too");
    assert_eq!(told(&world, DeltaPlace::Folders(Kind::Event), since).await.0, [""; 0]);
}
