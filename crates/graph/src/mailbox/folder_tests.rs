//! Folder trees and search folders.

use super::tests::*;
use super::*;
use crate::{WellKnown, render};

/// Megan's folders with Work, Work/Plans and Work/Plans/Old.
fn tree() -> (Vec<Folder>, [FolderId; 3]) {
    let mut all = folders();
    let mut parent = None;
    let ids = [("Work", 21), ("Plans", 22), ("Old", 23)].map(|(name, number)| {
        let body = json!({ "displayName": name });
        let made = create_folder(&megan(), &fresh(number), Kind::Message, parent, &all, body).unwrap().folder;
        parent = Some(made.id);
        all.push(made.clone());
        made.id
    });
    (all, ids)
}

fn of(all: &[Folder], id: FolderId) -> &Folder {
    all.iter().find(|folder| folder.id == id).unwrap()
}

#[test]
fn a_folder_moves_with_what_is_below_it_and_never_into_it() {
    let (all, [work, plans, old]) = tree();
    let inbox = folder(WellKnown::Inbox);
    let moved = move_folder(&megan(), of(&all, plans), inbox, &all).unwrap();
    assert_eq!((moved.folder.id, moved.folder.parent), (plans, Some(inbox)));
    assert_eq!((moved.mutation.folder_puts.len(), moved.mutation.changes.len()), (1, 0));
    for destination in [work, plans, old, folder(WellKnown::RecoverableItemsDeletions)] {
        let refused = move_folder(&megan(), of(&all, work), destination, &all).unwrap_err();
        assert_eq!(refused.to_string(), "destinationId must be a folder that can hold it");
    }
    assert_eq!(move_folder(&megan(), of(&all, inbox), work, &all), Err(Refusal::FolderFixed));
    let elsewhere = FolderId::new(Kind::Message, Uuid::nil());
    assert_eq!(move_folder(&megan(), of(&all, work), elsewhere, &all), Err(Refusal::FolderNotFound));
    let root = folder(WellKnown::MsgFolderRoot);
    let body = json!({ "displayName": "plans" });
    let namesake = create_folder(&megan(), &fresh(30), Kind::Message, None, &all, body).unwrap().folder;
    let all = [all, vec![namesake]].concat();
    let refused = move_folder(&megan(), of(&all, plans), root, &all);
    assert_eq!(refused, Err(Refusal::FolderExists { name: "Plans".to_owned() }));
}

#[test]
fn a_copy_of_a_tree_has_new_ids_all_the_way_down() {
    let (all, [work, plans, old]) = tree();
    let mut number = 100;
    let fresh_id = || {
        number += 1;
        Uuid::from_u128(number)
    };
    let inbox = folder(WellKnown::Inbox);
    let copy = copy_folder(&megan(), of(&all, work), inbox, &all, fresh_id).unwrap();
    let from: Vec<FolderId> = copy.folders.iter().map(|(old, _)| *old).collect();
    assert_eq!(from, [work, plans, old]);
    let made: Vec<&Folder> = copy.folders.iter().map(|(_, made)| made).collect();
    assert_eq!(made[0].parent, Some(inbox));
    assert_eq!((made[1].parent, made[2].parent), (Some(made[0].id), Some(made[1].id)));
    assert!(made.iter().all(|made| all.iter().all(|old| old.id != made.id)));

    let item = made_in_drafts();
    let items = [(item.clone(), Uuid::from_u128(200), ChangeId(Uuid::from_u128(201)))];
    let mutation = copy_items(&megan(), fresh(3).now, made[0].id, &items);
    assert_eq!((mutation.puts[0].folder, mutation.puts[0].immutable), (made[0].id, Uuid::from_u128(200)));
    assert!(mutation.expect.contains(&(item.id, Some(item.version))), "it is copied as it was read");
    assert_eq!(mutation.attachment_copies, [(item.immutable, Uuid::from_u128(200))]);
    assert_eq!(changes(&mutation), [(crate::ChangeType::Created, mutation.puts[0].id, made[0].id)]);
}

#[test]
fn folders_that_are_below_each_other_are_copied_once() {
    let (mut all, [work, plans, old]) = tree();
    for folder in &mut all {
        if folder.id == work {
            folder.parent = Some(old);
        }
    }
    let mut number = 100;
    let fresh_id = || {
        number += 1;
        Uuid::from_u128(number)
    };
    let copy = copy_folder(&megan(), of(&all, work), folder(WellKnown::Inbox), &all, fresh_id).unwrap();
    let from: Vec<FolderId> = copy.folders.iter().map(|(old, _)| *old).collect();
    assert_eq!(from, [work, plans, old]);
}

fn made_in_drafts() -> Item {
    draft(json!({ "subject": "Plan" }))
}

#[test]
fn a_hidden_folder_is_hidden_from_the_beginning_or_never() {
    let (all, [work, ..]) = tree();
    let body = json!({ "displayName": "Secret", "isHidden": true });
    let secret = create_folder(&megan(), &fresh(30), Kind::Message, None, &all, body).unwrap().folder;
    assert!(render::is_hidden(&secret) && !render::is_hidden(of(&all, work)));
    let same = rename_folder(&secret, &all, json!({ "displayName": "Known", "isHidden": true })).unwrap().folder;
    assert!(render::is_hidden(&same));
    for (folder, hide) in [(&secret, false), (of(&all, work), true)] {
        let refused = rename_folder(folder, &all, json!({ "isHidden": hide })).unwrap_err();
        assert_eq!(refused.to_string(), "isHidden cannot be changed");
    }
}

fn search(more: Value) -> Value {
    let mut body = json!({
        "@odata.type": "Microsoft.Graph.MailSearchFolder", "displayName": "Weekly",
        "includeNestedFolders": true, "sourceFolderIds": ["inbox"], "filterQuery": "contains(subject, 'weekly')",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_search_folder_says_what_it_looks_for_and_where() {
    let (mut all, [work, plans, old]) = tree();
    let sources = json!({ "sourceFolderIds": [work.to_string(), "Inbox"] });
    let parent = Some(folder(WellKnown::SearchFolders));
    let make =
        |all: &[Folder]| create_folder(&megan(), &fresh(30), Kind::Message, parent, all, search(sources.clone()));
    let made = make(&all).unwrap();
    assert_eq!(made.mutation.folder_puts, std::slice::from_ref(&made.folder));
    let root = WellKnown::SearchFolders.folder_in(megan().id);
    let older: Vec<Folder> = all.iter().filter(|folder| folder.id != root.id).cloned().collect();
    let puts = make(&older).unwrap().mutation.folder_puts;
    assert_eq!(puts, [root, made.folder.clone()], "an older mailbox gets the root with it");
    all.push(made.folder.clone());
    let found = SearchFolder::of(&made.folder).unwrap();
    assert_eq!((found.filter.as_str(), found.nested), ("contains(subject, 'weekly')", true));
    let mut expected = [work, plans, old, folder(WellKnown::Inbox)];
    expected.sort();
    assert_eq!(found.places(&all), expected);
    let shown = render::mail_folder(&made.folder, render::Counts::default(), render::View::default());
    assert_eq!(shown["@odata.type"], "#microsoft.graph.mailSearchFolder");
    assert_eq!((&shown["isSupported"], &shown["sourceFolderIds"][0]), (&json!(true), &json!(work.to_string())));

    let body = json!({ "@odata.type": "#microsoft.graph.mailSearchFolder", "filterQuery": "isRead eq false",
                       "includeNestedFolders": false });
    let patched = rename_folder(&made.folder, &all, body).unwrap().folder;
    let found = SearchFolder::of(&patched).unwrap();
    assert_eq!(
        (found.filter.as_str(), found.nested, patched.display_name.as_str()),
        ("isRead eq false", false, "Weekly")
    );
    assert_eq!(found.sources, [work, folder(WellKnown::Inbox)]);
    let gone = delete_folder(&patched, &all);
    assert_eq!(
        gone,
        Ok(FolderDeletion::ForGood(doomed(&patched, &all).unwrap())),
        "Deleted Items takes no search folder"
    );
}

#[test]
fn a_search_folder_needs_a_filter_and_real_folders() {
    let (mut all, _) = tree();
    let make = |all: &[Folder], more| create_folder(&megan(), &fresh(30), Kind::Message, None, all, search(more));
    all.push(make(&all, json!({})).unwrap().folder);
    let weekly = all.last().unwrap().id.to_string();
    for (more, refusal) in [
        (json!({ "displayName": "a", "filterQuery": null }), "filterQuery is required"),
        (json!({ "displayName": "a", "sourceFolderIds": [] }), "sourceFolderIds must be at least one folder"),
        (json!({ "displayName": "a", "sourceFolderIds": ["x"] }), "sourceFolderIds must be ids of mail folders"),
        (
            json!({ "displayName": "a", "sourceFolderIds": [weekly] }),
            "sourceFolderIds must be folders that are no search folders",
        ),
        (
            json!({ "displayName": "a", "filterQuery": "x".repeat(5_000) }),
            "filterQuery is too long: 4096 bytes are the most",
        ),
        (
            json!({ "displayName": "a", "filterQuery": "colour eq 'red'" }),
            "filterQuery must be a filter of messages: could not find a property named 'colour'",
        ),
    ] {
        let refused = make(&all, more.clone()).unwrap_err().to_string();
        assert!(refused.starts_with(refusal), "{more}: {refused}");
    }
    let below = json!({ "displayName": "a" });
    let parent = Some(all.last().unwrap().id);
    let refused = create_folder(&megan(), &fresh(31), Kind::Message, parent, &all, below).unwrap_err();
    assert_eq!(refused.to_string(), "parentFolderId must be a folder that can hold others");
}

#[test]
fn settings_stay_with_the_root_folder() {
    let root = WellKnown::MsgFolderRoot.folder_in(megan().id);
    let mut settings = Settings::of(&root);
    assert_eq!(settings.categories.len(), 6, "Outlook's own");
    let made =
        settings.add_category(Uuid::from_u128(1), json!({ "displayName": " Trips ", "color": "Preset9" })).unwrap();
    assert_eq!((&made["displayName"], &made["color"]), (&json!("Trips"), &json!("preset9")));
    let again = settings.add_category(Uuid::from_u128(2), json!({ "displayName": "trips" }));
    assert_eq!(again, Err(Refusal::CategoryExists { name: "trips".to_owned() }));
    let id = made["id"].as_str().unwrap();
    let renamed = settings.patch_category(id, json!({ "displayName": "Travel" })).unwrap_err();
    assert_eq!(renamed.to_string(), "displayName cannot be changed");
    let recoloured = settings.patch_category(id, json!({ "displayName": "Trips", "color": "none" })).unwrap().unwrap();
    assert_eq!(recoloured["color"], "none");

    let sender = |address: &str| json!({ "classifyAs": "Other", "senderEmailAddress": { "address": address } });
    let made = settings.add_override(Uuid::from_u128(3), sender("News@x.example")).unwrap();
    let mut other = sender("news@X.example");
    other["senderEmailAddress"]["name"] = json!("News");
    let same = settings.add_override(Uuid::from_u128(4), other).unwrap();
    assert_eq!((&same["id"], &same["senderEmailAddress"]["name"]), (&made["id"], &json!("News")));
    let mutation = settings.clone().kept_in(&root);
    assert_eq!(mutation.expect_folders, [root], "of two writers at a time one is refused");
    let kept = Settings::of(&mutation.folder_puts[0]);
    assert_eq!(kept, settings);
    let mut message = Properties::new();
    message.insert("from".to_owned(), json!({ "emailAddress": { "address": "NEWS@x.example" } }));
    kept.classify(&mut message);
    assert_eq!(message["inferenceClassification"], "other");
    let shown = render::mail_folder(&mutation.folder_puts[0], render::Counts::default(), render::View::default());
    assert_eq!(shown.as_object().unwrap().keys().filter(|name| name.contains("settings")).count(), 0);
}

#[test]
fn an_event_may_be_written_twice_at_once() {
    let fresh = fresh(1);
    let first = create(&megan(), &fresh, folder(WellKnown::Calendar), meeting()).unwrap();
    let written = write_again(&megan(), &fresh, first.clone());
    let (created, updated) = (crate::ChangeType::Created, crate::ChangeType::Updated);
    let calendar = folder(WellKnown::Calendar);
    let id = first.item.id;
    assert_eq!(changes(&written.mutation), [(created, id, calendar), (updated, id, calendar)]);
    assert_ne!(written.item.version, first.item.version);
    assert_eq!(written.mutation.puts, [written.item]);
}
