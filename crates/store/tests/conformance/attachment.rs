//! Ids that stay, attachments and uploads.

use graph::query::Query;
use graph::{
    Attachment, AttachmentId, ImmutableId, Item, ItemId, Kind, Mutation, NewAttachment, Properties, WellKnown,
};
use serde_json::json;
use tidings_store::{Commit, CommitError, ItemQuery, Upload, UploadError};
use uuid::Uuid;

use crate::World;
use crate::support::*;

fn attachment(item: &Item, number: u128) -> NewAttachment {
    let id = AttachmentId::new(Kind::Message, Uuid::from_u128(number));
    let properties = Properties::from_iter([("name".to_owned(), json!(format!("{number}.txt")))]);
    NewAttachment {
        item: item.immutable,
        attachment: Attachment { id, properties },
        content: number.to_string().into_bytes(),
    }
}

fn attach(item: &Item, numbers: &[u128]) -> Commit {
    let attachment_puts = numbers.iter().map(|number| attachment(item, *number)).collect();
    commit_of(item.mailbox, Mutation { attachment_puts, ..Mutation::default() })
}

/// The numbers of an item's attachments, by the item's immutable UUID; each is read whole.
async fn attached(world: &World, item: Uuid) -> Vec<u128> {
    let mut numbers = Vec::new();
    for found in world.store.attachments(MEGAN, item).await.unwrap() {
        let number = found.id.uuid.as_u128();
        let whole = world.store.attachment(MEGAN, item, found.id).await.unwrap().unwrap();
        assert_eq!(whole, (found, number.to_string().into_bytes()));
        numbers.push(number);
    }
    numbers
}

/// The item under another id, in the Archive, and the commit that moves it there.
fn moved(item: &Item, number: u128) -> (Item, Commit) {
    let mut new = edited(item, "categories", json!([]));
    new.id = item_id(number);
    new.folder = WellKnown::Archive.id_in(item.mailbox);
    let mutation = Mutation {
        expect: vec![(item.id, Some(item.version)), (new.id, None)],
        puts: vec![new.clone()],
        removes: vec![item.id],
        ..Mutation::default()
    };
    (new, commit_of(item.mailbox, mutation))
}

pub async fn a_moved_item_is_found_by_the_id_that_stays(world: World) {
    let first = message(MEGAN, 1, 1);
    world.store.commit(create(&first)).await.unwrap();
    let immutable = first.immutable_id();
    assert_eq!(world.store.item_by_immutable(MEGAN, immutable).await, Ok(Some(first.clone())));
    let (second, commit) = moved(&first, 2);
    world.store.commit(commit).await.unwrap();
    let (third, commit) = moved(&second, 3);
    world.store.commit(commit).await.unwrap();
    assert_eq!(world.store.item_by_immutable(MEGAN, immutable).await, Ok(Some(third.clone())));
    assert_eq!(world.store.item(MEGAN, third.id).await, Ok(Some(third.clone())));
    assert_eq!(world.store.item(MEGAN, first.id).await, Ok(None));
    for other in [ImmutableId::new(Kind::Message, item_id(3).uuid), ImmutableId::new(Kind::Event, immutable.uuid)] {
        assert_eq!(world.store.item_by_immutable(MEGAN, other).await, Ok(None));
    }
    assert_eq!(world.store.item_by_immutable(ADELE, immutable).await, Ok(None));
}

pub async fn two_items_do_not_have_one_immutable_id(world: World) {
    let first = message(MEGAN, 1, 1);
    world.store.commit(create(&first)).await.unwrap();
    let mut second = message(MEGAN, 2, 2);
    second.immutable = first.immutable;
    let refused = Err(CommitError::ItemChanged(second.id));
    assert_eq!(world.store.commit(create(&second)).await, refused);
    let (moved, commit) = moved(&first, 3);
    world.store.commit(commit).await.unwrap();
    assert_eq!(world.store.commit(create(&second)).await, refused);
    let again = world.store.commit(create(&first)).await;
    assert_eq!(again, Err(CommitError::ItemChanged(first.id)), "the id it had is its immutable id still");
    let mut other = edited(&moved, "subject", json!("other"));
    other.immutable = Uuid::from_u128(9);
    assert_eq!(world.store.commit(update(&moved, &other)).await, Err(CommitError::ItemChanged(moved.id)));
    let mut pair = create(&message(MEGAN, 4, 1));
    pair.mutation.puts.push(Item { id: item_id(5), ..message(MEGAN, 4, 1) });
    assert_eq!(world.store.commit(pair).await, Err(CommitError::ItemChanged(item_id(5))));
}

pub async fn attachments_are_listed_oldest_first_and_read_whole(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    world.store.commit(attach(&item, &[7, 3])).await.unwrap();
    world.store.commit(attach(&item, &[5, 7])).await.unwrap();
    assert_eq!(attached(&world, item.immutable).await, [7, 3, 5]);
    let three = AttachmentId::new(Kind::Message, Uuid::from_u128(3));
    let attachment_removes = vec![(item.immutable, three)];
    world.store.commit(commit_of(MEGAN, Mutation { attachment_removes, ..Mutation::default() })).await.unwrap();
    assert_eq!(attached(&world, item.immutable).await, [7, 5]);
    assert_eq!(world.store.attachment(MEGAN, item.immutable, three).await, Ok(None));
    assert_eq!(world.store.attachments(ADELE, item.immutable).await, Ok(vec![]));
}

pub async fn attachments_stay_with_a_moved_item_and_go_with_a_removed_one(world: World) {
    let first = message(MEGAN, 1, 1);
    let mut commit = create(&first);
    commit.mutation.attachment_puts.push(attachment(&first, 7));
    world.store.commit(commit).await.unwrap();
    let (second, commit) = moved(&first, 2);
    world.store.commit(commit).await.unwrap();
    assert_eq!(attached(&world, first.immutable).await, [7]);
    world.store.commit(delete(&second)).await.unwrap();
    assert_eq!(attached(&world, first.immutable).await, [0u128; 0]);
}

pub async fn messages_are_found_by_the_names_of_their_attachments(world: World) {
    let named: [&[&str]; 4] = [&["plan.pdf", "photo.png"], &["photo.png"], &[], &["Plan B.txt"]];
    for (number, names) in (1..).zip(named) {
        let item = message(MEGAN, number, number as i64);
        let mut commit = create(&item);
        for (name, nth) in names.iter().zip(1..) {
            let mut new = attachment(&item, number * 10 + nth);
            new.attachment.properties.insert("name".to_owned(), json!(name));
            commit.mutation.attachment_puts.push(new);
        }
        world.store.commit(commit).await.unwrap();
    }
    let found = async |search: &str| {
        let query = Query::search(search).unwrap();
        let query = ItemQuery { query, ..ItemQuery::newest(MEGAN, Kind::Message, None, 10) };
        let items = world.store.items(query.clone()).await.unwrap().items;
        assert_eq!(world.store.count_items(query).await, Ok(items.len() as u64), "{search}");
        items.into_iter().map(|item| item.id.uuid.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(found("attachment:plan").await, [4, 1]);
    assert_eq!(found("attachment:photo NOT attachment:pdf").await, [2]);
    assert_eq!(found("plan").await, [0; 0]);
}

pub async fn a_copy_gets_every_attachment(world: World) {
    let (item, copy) = (message(MEGAN, 1, 1), message(MEGAN, 2, 1));
    world.store.commit(create(&item)).await.unwrap();
    world.store.commit(attach(&item, &[7, 3])).await.unwrap();
    let mut commit = create(&copy);
    commit.mutation.attachment_copies.push((item.immutable, copy.immutable));
    world.store.commit(commit).await.unwrap();
    world.store.commit(delete(&item)).await.unwrap();
    assert_eq!(attached(&world, copy.immutable).await, [7, 3]);
}

pub async fn an_attachment_needs_its_item(world: World) {
    let item = message(MEGAN, 1, 1);
    let refused = Err(CommitError::ItemChanged(ItemId::new(Kind::Message, item.immutable)));
    assert_eq!(world.store.commit(attach(&item, &[7])).await, refused);
    world.store.commit(create(&item)).await.unwrap();
    world.store.commit(attach(&item, &[7])).await.unwrap();
    let mut lost = delete(&item);
    lost.mutation.attachment_puts.push(attachment(&item, 8));
    assert_eq!(world.store.commit(lost).await, refused);
    assert_eq!(attached(&world, item.immutable).await, [7]);
}

pub async fn an_upload_takes_its_bytes_in_turn(world: World) {
    let begun = upload(1, 10);
    world.store.begin_upload(begun.clone(), at(0)).await.unwrap();
    let append = |from: u64, bytes: &str| world.store.append_upload(MEGAN, begun.id, from, bytes.into(), at(20));
    append(0, "large").await.unwrap();
    assert_eq!(append(0, "large").await, Err(UploadError::OutOfTurn { received: 5 }));
    append(5, " bin").await.unwrap();
    let whole = Upload { received: 9, expires: at(20), ..begun.clone() };
    assert_eq!(world.store.upload(MEGAN, begun.id, at(19)).await, Ok(Some(whole)));
    assert_eq!(world.store.upload_content(MEGAN, begun.id).await, Ok(b"large bin".to_vec()));
    assert_eq!(world.store.upload(ADELE, begun.id, at(0)).await, Ok(None));
    world.store.end_upload(MEGAN, begun.id).await.unwrap();
    assert_eq!(world.store.upload(MEGAN, begun.id, at(0)).await, Ok(None));
    assert_eq!(world.store.upload_content(MEGAN, begun.id).await, Ok(vec![]));
    assert_eq!(append(0, "large").await, Err(UploadError::NotFound));
}

pub async fn an_upload_whose_time_is_over_is_forgotten(world: World) {
    let begun = upload(1, 10);
    world.store.begin_upload(begun.clone(), at(0)).await.unwrap();
    world.store.append_upload(MEGAN, begun.id, 0, b"large".to_vec(), at(10)).await.unwrap();
    assert_eq!(world.store.upload(MEGAN, begun.id, at(10)).await, Ok(None));
    world.store.begin_upload(upload(2, 20), at(10)).await.unwrap();
    let late = world.store.append_upload(MEGAN, begun.id, 5, b"late".to_vec(), at(30)).await;
    assert_eq!(late, Err(UploadError::NotFound));
    assert_eq!(world.store.upload_content(MEGAN, begun.id).await, Ok(vec![]));
}
