//! Folders of one mailbox that several write at a time.

use graph::mailbox::{Owner, move_folder, rename_folder};
use graph::{Folder, FolderId, Kind, Mutation, Properties, WellKnown};
use serde_json::json;
use tidings_store::{Commit, CommitError};
use uuid::Uuid;

use crate::World;
use crate::support::*;

fn megan() -> Owner {
    Owner { tenant: TENANT, id: MEGAN, address: "megan@contoso.test".to_owned(), name: "Megan".to_owned() }
}

/// A mail folder at the top.
fn folder(number: u128) -> Folder {
    Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(number)),
        mailbox: MEGAN,
        parent: Some(WellKnown::MsgFolderRoot.id_in(MEGAN)),
        display_name: format!("folder {number}"),
        well_known: None,
        properties: Properties::new(),
    }
}

fn put(folder: &Folder) -> Commit {
    commit_of(MEGAN, Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() })
}

fn remove(id: FolderId) -> Commit {
    commit_of(MEGAN, Mutation { folder_removes: vec![id], ..Mutation::default() })
}

async fn all(world: &World) -> Vec<Folder> {
    world.store.folders(MEGAN).await.unwrap().into_iter().map(|found| found.folder).collect()
}

async fn now(world: &World, number: u128) -> Folder {
    world.store.folder(MEGAN, folder(number).id).await.unwrap().unwrap().folder
}

pub async fn of_two_moves_that_make_a_ring_the_second_is_refused(world: World) {
    let (one, two, between) = (folder(1), folder(2), Folder { parent: Some(folder(2).id), ..folder(3) });
    for folder in [&one, &two, &between] {
        world.store.commit(put(folder)).await.unwrap();
    }
    let folders = all(&world).await;
    let moved = |folder, to| move_folder(&megan(), folder, to, &folders).unwrap().mutation;
    let (first, second) = (moved(&one, between.id), moved(&two, one.id));
    world.store.commit(commit_of(MEGAN, first)).await.unwrap();
    let refused = world.store.commit(commit_of(MEGAN, second)).await;
    assert_eq!(refused, Err(CommitError::FolderChanged(two.id)));
    assert_eq!((now(&world, 1).await.parent, now(&world, 2).await), (Some(between.id), two));
}

pub async fn a_folder_that_was_renamed_meanwhile_is_moved_at_the_next_try(world: World) {
    world.store.commit(put(&folder(1))).await.unwrap();
    let archive = WellKnown::Archive.id_in(MEGAN);
    let folders = all(&world).await;
    let renamed = rename_folder(&folder(1), &folders, json!({ "displayName": "Trips" })).unwrap().mutation;
    let moved = move_folder(&megan(), &folder(1), archive, &folders).unwrap().mutation;
    world.store.commit(commit_of(MEGAN, renamed)).await.unwrap();
    let refused = world.store.commit(commit_of(MEGAN, moved)).await;
    assert_eq!(refused, Err(CommitError::FolderChanged(folder(1).id)));
    let moved = move_folder(&megan(), &now(&world, 1).await, archive, &all(&world).await).unwrap().mutation;
    world.store.commit(commit_of(MEGAN, moved)).await.unwrap();
    let both = now(&world, 1).await;
    assert_eq!((both.display_name.as_str(), both.parent), ("Trips", Some(archive)));
}

pub async fn mail_that_arrives_in_a_folder_is_no_change_of_it(world: World) {
    world.store.commit(put(&folder(1))).await.unwrap();
    let renamed = rename_folder(&folder(1), &all(&world).await, json!({ "displayName": "Trips" })).unwrap().mutation;
    let mut item = message(MEGAN, 1, 1);
    item.folder = folder(1).id;
    world.store.commit(create(&item)).await.unwrap();
    world.store.commit(commit_of(MEGAN, renamed)).await.unwrap();
}

pub async fn a_folder_does_not_get_a_namesake(world: World) {
    let known = Folder { display_name: "Trips".to_owned(), ..folder(1) };
    world.store.commit(put(&known)).await.unwrap();
    let same = Folder { display_name: "TRIPS".to_owned(), ..folder(2) };
    let refused = Err(CommitError::FolderChanged(known.id));
    assert_eq!(world.store.commit(put(&same)).await, refused);
    let elsewhere = Folder { parent: Some(inbox(MEGAN)), ..same.clone() };
    world.store.commit(put(&elsewhere)).await.unwrap();
    assert_eq!(world.store.commit(put(&same)).await, refused);
    let both = Mutation {
        folder_puts: vec![same.clone(), Folder { display_name: "Plans".to_owned(), ..known }],
        ..Mutation::default()
    };
    world.store.commit(commit_of(MEGAN, both)).await.unwrap();
    assert_eq!(now(&world, 2).await, same);
}

pub async fn calendars_and_their_groups_have_names_of_their_own(world: World) {
    let calendar = |number| Folder {
        id: FolderId::new(Kind::Event, Uuid::from_u128(number)),
        parent: None,
        display_name: "Team".to_owned(),
        ..folder(number)
    };
    let group =
        Folder { properties: Properties::from_iter([("isCalendarGroup".to_owned(), json!(true))]), ..calendar(1) };
    world.store.commit(put(&group)).await.unwrap();
    world.store.commit(put(&calendar(2))).await.unwrap();
    let grouped = Folder { parent: Some(group.id), ..calendar(3) };
    assert_eq!(world.store.commit(put(&grouped)).await, Err(CommitError::FolderChanged(calendar(2).id)));
}

pub async fn a_folder_needs_the_one_that_it_lies_in(world: World) {
    let child = Folder { parent: Some(folder(1).id), ..folder(2) };
    assert_eq!(world.store.commit(put(&child)).await, Err(CommitError::FolderGone(folder(1).id)));
    let calendar = Folder { parent: Some(WellKnown::Calendar.id_in(MEGAN)), ..folder(2) };
    let refused = world.store.commit(put(&calendar)).await;
    assert_eq!(refused, Err(CommitError::FolderGone(WellKnown::Calendar.id_in(MEGAN))), "it holds no mail");
    let both = Mutation { folder_puts: vec![child, folder(1)], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, both)).await.unwrap();
}

pub async fn a_folder_that_got_a_folder_meanwhile_is_not_removed(world: World) {
    world.store.commit(put(&folder(1))).await.unwrap();
    let child = Folder { parent: Some(folder(1).id), ..folder(2) };
    world.store.commit(put(&child)).await.unwrap();
    assert_eq!(world.store.commit(remove(folder(1).id)).await, Err(CommitError::FolderChanged(child.id)));
    let both = Mutation { folder_removes: vec![folder(1).id, child.id], ..Mutation::default() };
    world.store.commit(commit_of(MEGAN, both)).await.unwrap();
    assert_eq!(world.store.folder(MEGAN, child.id).await, Ok(None));
}

pub async fn a_folder_that_is_gone_is_not_written_again(world: World) {
    world.store.commit(put(&folder(1))).await.unwrap();
    let renamed = rename_folder(&folder(1), &all(&world).await, json!({ "displayName": "Trips" })).unwrap().mutation;
    world.store.commit(remove(folder(1).id)).await.unwrap();
    let refused = world.store.commit(commit_of(MEGAN, renamed)).await;
    assert_eq!(refused, Err(CommitError::FolderGone(folder(1).id)));
}
