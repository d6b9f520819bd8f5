//! Megan orders her mail in folders.

use http::StatusCode;
use notify::{Position, Record};
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{Caller, World, ok};

async fn folder(megan: &Caller<'_>, below: &str, body: Value) -> String {
    ok(megan.post(&format!("/v1.0/me/{below}"), body).await, StatusCode::CREATED).text("/id")
}

async fn names(megan: &Caller<'_>, path: &str) -> Vec<String> {
    let list = ok(megan.get(&format!("/v1.0/me/{path}")).await, StatusCode::OK);
    let names = list.json["value"].as_array().unwrap().iter();
    names.map(|folder| folder["displayName"].as_str().unwrap().to_owned()).collect()
}

/// What subscribers may hear of Megan's mailbox, in order.
async fn told(world: &World) -> Vec<(String, String)> {
    let log = world.state.store.read_log(graph::Partition::of(seed::users()[0].id), Position(0), 1_000).await.unwrap();
    log.iter()
        .filter_map(|(_, record)| match record.as_ref() {
            Record::Change(change) => Some((change.change.as_str().to_owned(), change.item.to_string())),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_tree_of_folders_moves_with_its_mail_and_nobody_hears_of_it() {
    let world = World::new().await;
    let megan = world.megan();
    let work = folder(&megan, "mailFolders", json!({"displayName": "Work"})).await;
    let plans = folder(&megan, &format!("mailFolders/{work}/childFolders"), json!({"displayName": "Plans"})).await;
    let message = folder(&megan, &format!("mailFolders/{plans}/messages"), json!({"subject": "x"})).await;
    let path = format!("/v1.0/me/mailFolders/{work}/childFolders/{plans}/move");
    let moved = ok(megan.post(&path, json!({"destinationId": "Archive"})).await, StatusCode::OK);
    assert_eq!((moved.text("/id"), &moved.json["totalItemCount"]), (plans.clone(), &json!(1)));
    assert_eq!(names(&megan, "mailFolders/archive/childFolders").await, ["Plans"]);
    assert_eq!(
        ok(megan.get(&format!("/v1.0/me/mailFolders/{work}")).await, StatusCode::OK).json["childFolderCount"],
        0
    );
    ok(megan.get(&format!("/v1.0/me/mailFolders/{plans}/messages/{message}")).await, StatusCode::OK);
    assert_eq!(told(&world).await.len(), 1, "only the message was made");
    let inbox = megan.post("/v1.0/me/mailFolders/inbox/move", json!({"destinationId": work})).await;
    assert_eq!(inbox.refusal(), "400 ErrorMoveDistinguishedFolder: Distinguished folders cannot be moved.");
    let within = megan.post(&format!("/v1.0/me/mailFolders/{work}/move"), json!({"destinationId": work})).await;
    assert_eq!(within.refusal(), "400 RequestBodyRead: destinationId must be a folder that can hold it.");
}

#[tokio::test]
async fn a_copy_of_a_folder_has_its_mail_under_new_ids() {
    let world = World::new().await;
    let megan = world.megan();
    let work = folder(&megan, "mailFolders", json!({"displayName": "Work"})).await;
    let plans = folder(&megan, &format!("mailFolders/{work}/childFolders"), json!({"displayName": "Plans"})).await;
    let mut originals = Vec::new();
    for number in 0..120 {
        let subject = json!({"subject": format!("m{number}")});
        originals.push(folder(&megan, &format!("mailFolders/{plans}/messages"), subject).await);
    }
    let copied = megan.post(&format!("/v1.0/me/mailFolders/{work}/copy"), json!({"DestinationId": "archive"})).await;
    let copied = ok(copied, StatusCode::OK);
    assert_ne!(copied.text("/id"), work);
    let inner =
        ok(megan.get(&format!("/v1.0/me/mailFolders/{}/childFolders", copied.text("/id"))).await, StatusCode::OK);
    assert_eq!(
        (inner.text("/value/0/displayName").as_str(), &inner.json["value"][0]["totalItemCount"]),
        ("Plans", &json!(120))
    );
    let path = format!("/v1.0/me/mailFolders/{}/messages?$top=1000", inner.text("/value/0/id"));
    let list = ok(megan.get(&path).await, StatusCode::OK);
    let copies: Vec<&str> =
        list.json["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(copies.iter().all(|copy| !originals.iter().any(|original| original == copy)));
    assert_eq!(told(&world).await.len(), 240, "each copy is told of");
    let again = megan.post(&format!("/v1.0/me/mailFolders/{work}/copy"), json!({"DestinationId": "archive"})).await;
    assert_eq!(again.refusal(), "409 ErrorFolderExists: A folder with the specified name already exists.");
}

#[tokio::test]
async fn hidden_folders_are_listed_when_asked_for() {
    let world = World::new().await;
    let megan = world.megan();
    folder(&megan, "mailFolders/inbox/childFolders", json!({"displayName": "Rules", "isHidden": true})).await;
    folder(&megan, "mailFolders/inbox/childFolders", json!({"displayName": "Trips"})).await;
    assert_eq!(names(&megan, "mailFolders/inbox/childFolders").await, ["Trips"]);
    assert_eq!(names(&megan, "mailFolders/inbox/childFolders?INCLUDEHIDDENFOLDERS=True").await, ["Rules", "Trips"]);
    let first =
        ok(megan.get("/v1.0/me/mailFolders/inbox/childFolders?includeHiddenFolders=true&$top=1").await, StatusCode::OK);
    assert!(first.text("/@odata.nextLink").contains("includeHiddenFolders=true"), "{}", first.json);
    assert_eq!(megan.get("/v1.0/me/mailFolders?includeHiddenFolders=yes").await.status, 400);
    let top = names(&megan, "mailFolders?includeHiddenFolders=true&$top=100").await;
    assert!(top.contains(&"Deletions".to_owned()) && !top.contains(&"Finder".to_owned()), "{top:?}");
}

#[tokio::test]
async fn well_known_folders_stay_as_they_are() {
    let world = World::new().await;
    let megan = world.megan();
    let renamed = megan.patch("/v1.0/me/mailFolders/inbox", json!({"displayName": "In"})).await;
    assert_eq!(renamed.refusal(), "400 ErrorInvalidOperation: Distinguished folders cannot be renamed.");
    let hidden = megan.patch("/v1.0/me/mailFolders/archive", json!({"isHidden": true})).await;
    assert_eq!(hidden.refusal(), "400 ErrorInvalidPropertySet: isHidden cannot be changed.");
    let gone = megan.post("/v1.0/me/mailFolders/drafts/permanentDelete", json!({})).await;
    assert_eq!(gone.refusal(), "400 ErrorDeleteDistinguishedFolder: Distinguished folders cannot be deleted.");
    for absent in ["clutter", "SyncIssues", "conflicts", "localfailures", "serverfailures", "scheduled"] {
        let reply = megan.get(&format!("/v1.0/me/mailFolders/{absent}")).await;
        assert_eq!(reply.refusal(), "404 ErrorItemNotFound: The specified object was not found in the store.");
    }
    let finder = ok(megan.get("/v1.0/me/mailFolders/searchFolders").await, StatusCode::OK);
    assert_eq!((&finder.json["parentFolderId"], &finder.json["isHidden"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn what_is_deleted_permanently_is_nowhere() {
    let world = World::new().await;
    let megan = world.megan();
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    let team = folder(&megan, "calendars", json!({"name": "Team"})).await;
    let friends = folder(&megan, "contactFolders", json!({"displayName": "Friends"})).await;
    let close =
        folder(&megan, &format!("contactFolders/{friends}/childFolders"), json!({"displayName": "Close"})).await;
    let work = folder(&megan, "mailFolders", json!({"displayName": "Work"})).await;
    let made = [
        ("messages".to_owned(), json!({"subject": "x"})),
        ("events".to_owned(), json!({"start": at(10), "end": at(11)})),
        ("contacts".to_owned(), json!({"givenName": "Ada"})),
        (format!("calendars/{team}/events"), json!({"start": at(10), "end": at(11)})),
        (format!("contactFolders/{close}/contacts"), json!({"givenName": "Ada"})),
        (format!("mailFolders/{work}/messages"), json!({"subject": "x"})),
    ];
    let mut paths = Vec::new();
    for (place, body) in made {
        paths.push(format!("{place}/{}", folder(&megan, &place, body).await));
    }
    for path in &paths[..3] {
        let gone = megan.post(&format!("/v1.0/me/{path}/permanentDelete"), json!({})).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    for path in [format!("calendars/{team}"), format!("contactFolders/{friends}"), format!("mailFolders/{work}")] {
        let gone = megan.send("POST", &format!("/v1.0/me/{path}/permanentDelete"), String::new()).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0), "{}", gone.json);
        assert_eq!(megan.get(&format!("/v1.0/me/{path}")).await.status, 404);
    }
    for path in &paths {
        assert_eq!(megan.get(&format!("/v1.0/me/{path}")).await.status, 404, "{path}");
    }
    for bin in ["deleteditems", "recoverableitemsdeletions"] {
        let list = ok(megan.get(&format!("/v1.0/me/mailFolders/{bin}/messages")).await, StatusCode::OK);
        assert_eq!(list.json["value"], json!([]));
    }
    let told = told(&world).await;
    let deleted = told.iter().filter(|(change, _)| change == "deleted").count();
    assert_eq!((told.len(), deleted), (12, 6));
}

#[tokio::test]
async fn what_is_deleted_twice_can_be_recovered() {
    let world = World::new().await;
    let megan = world.megan();
    let id = megan.draft("x").await;
    ok(megan.delete(&format!("/v1.0/me/messages/{id}")).await, StatusCode::NO_CONTENT);
    let listed = async |folder: &str| {
        let list = ok(megan.get(&format!("/v1.0/me/{folder}")).await, StatusCode::OK);
        list.json["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let binned = listed("mailFolders/deleteditems/messages").await.remove(0);
    ok(megan.delete(&format!("/v1.0/me/messages/{binned}")).await, StatusCode::NO_CONTENT);
    assert_eq!(listed("messages").await, Vec::<String>::new());
    let buried = listed("mailFolders/recoverableitemsdeletions/messages").await.remove(0);
    let back = megan.post(&format!("/v1.0/me/messages/{buried}/move"), json!({"destinationId": "inbox"})).await;
    let back = ok(back, StatusCode::CREATED).text("/id");
    assert_eq!(listed("messages").await, std::slice::from_ref(&back));
    let changes: Vec<(String, String)> = told(&world).await;
    let expected = [("created", &id), ("deleted", &id), ("created", &binned), ("deleted", &binned), ("created", &back)];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(change, id)| ((*change).to_owned(), (*id).clone())).collect();
    assert_eq!(changes, expected, "nobody is told of what lies in Recoverable Items");
}

#[tokio::test]
async fn a_search_folder_shows_what_its_filter_finds_in_its_folders() {
    let world = World::new().await;
    let megan = world.megan();
    let trips = folder(&megan, "mailFolders/inbox/childFolders", json!({"displayName": "Trips"})).await;
    for (place, subject, is_read) in [
        ("inbox", "weekly one", false),
        (trips.as_str(), "The Weekly", true),
        (trips.as_str(), "other", false),
        ("archive", "weekly far away", false),
    ] {
        let body = json!({"subject": subject, "isRead": is_read});
        folder(&megan, &format!("mailFolders/{place}/messages"), body).await;
    }
    let body = json!({"@odata.type": "#microsoft.graph.mailSearchFolder", "displayName": "Weekly", "includeNestedFolders": true,
                      "sourceFolderIds": ["inbox"], "filterQuery": "contains(subject, 'weekly')"});
    let made =
        ok(megan.post("/v1.0/me/mailFolders/searchfolders/childFolders", body.clone()).await, StatusCode::CREATED);
    let path = format!("/v1.0/me/mailFolders/{}", made.text("/id"));
    let counts = |json: &Value| (json["totalItemCount"].clone(), json["unreadItemCount"].clone());
    assert_eq!(counts(&made.json), (json!(2), json!(1)));
    let subjects = async |query: &str| {
        let list = ok(megan.get(&format!("{path}/messages{query}")).await, StatusCode::OK);
        let found = list.json["value"].as_array().unwrap().iter();
        let mut found: Vec<String> = found.map(|one| one["subject"].as_str().unwrap().to_owned()).collect();
        found.sort();
        found
    };
    assert_eq!(subjects("").await, ["The Weekly", "weekly one"]);
    assert_eq!(subjects("?$filter=isRead%20eq%20false&$count=true").await, ["weekly one"]);
    let page = ok(megan.get(&format!("{path}/messages?$top=1&$count=true")).await, StatusCode::OK);
    assert_eq!(page.json["@odata.count"], 2);
    assert!(page.text("/@odata.nextLink").contains("$skip=1"), "{}", page.json);

    let patch = json!({"@odata.type": "#microsoft.graph.mailSearchFolder", "includeNestedFolders": false});
    let patched = ok(megan.patch(&path, patch).await, StatusCode::OK);
    assert_eq!(
        (counts(&patched.json), patched.text("/filterQuery")),
        ((json!(1), json!(1)), "contains(subject, 'weekly')".into())
    );
    assert_eq!(subjects("").await, ["weekly one"]);

    let listed = ok(megan.get("/v1.0/me/mailFolders/searchfolders/childFolders").await, StatusCode::OK);
    assert_eq!(listed.text("/value/0/@odata.type"), "#microsoft.graph.mailSearchFolder");
    let top = folder(&megan, "mailFolders", body).await;
    let all = ok(megan.get("/v1.0/me/mailFolders?$top=100").await, StatusCode::OK);
    let shown = all.json["value"].as_array().unwrap().iter().find(|one| one["id"] == *top).unwrap();
    assert_eq!(
        (&shown["@odata.type"], counts(shown)),
        (&json!("#microsoft.graph.mailSearchFolder"), (json!(2), json!(1)))
    );

    let filed = megan.post(&format!("{path}/messages"), json!({"subject": "x"})).await;
    assert_eq!(filed.refusal(), "400 ErrorInvalidOperation: A search folder cannot hold items.");
    let id = megan.draft("x").await;
    let moved = megan.post(&format!("/v1.0/me/messages/{id}/move"), json!({"destinationId": top})).await;
    assert_eq!(moved.refusal(), "400 ErrorInvalidOperation: A search folder cannot hold items.");
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&path).await.status, 404);
    assert_eq!(ok(megan.get("/v1.0/me/messages?$top=100&$count=true").await, StatusCode::OK).json["@odata.count"], 5);
}

#[tokio::test]
async fn two_folders_that_are_moved_into_each_other_at_a_time_make_no_ring() {
    let world = World::on_disk().await;
    let megan = world.megan();
    let work = folder(&megan, "mailFolders", json!({"displayName": "Work"})).await;
    let plans = folder(&megan, "mailFolders", json!({"displayName": "Plans"})).await;
    let into = async |folder: &str, other: &str| {
        megan.post(&format!("/v1.0/me/mailFolders/{folder}/move"), json!({"destinationId": other})).await
    };
    let (one, other) = tokio::join!(into(&work, &plans), into(&plans, &work));
    let (moved, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(moved.status, 200, "{}", moved.json);
    assert_eq!(refused.refusal(), "400 RequestBodyRead: destinationId must be a folder that can hold it.");
    let top = names(&megan, "mailFolders?$top=100").await;
    assert_eq!(top.iter().filter(|name| ["Work", "Plans"].contains(&name.as_str())).count(), 1, "{top:?}");
}

#[tokio::test]
async fn a_folder_that_is_renamed_and_moved_at_a_time_is_both() {
    let world = World::on_disk().await;
    let megan = world.megan();
    let work = folder(&megan, "mailFolders", json!({"displayName": "Work"})).await;
    let (path, into) = (format!("/v1.0/me/mailFolders/{work}"), format!("/v1.0/me/mailFolders/{work}/move"));
    let (renamed, moved) = tokio::join!(
        megan.patch(&path, json!({"displayName": "Trips"})),
        megan.post(&into, json!({"destinationId": "archive"}))
    );
    assert_eq!((renamed.status, moved.status), (200, 200), "{} {}", renamed.json, moved.json);
    assert_eq!(names(&megan, "mailFolders/archive/childFolders").await, ["Trips"]);
}

#[tokio::test]
async fn many_folders_are_made_and_categories_added_at_a_time() {
    let world = World::on_disk().await;
    let megan = world.megan();
    let make = async |number: u8| {
        let made = megan.post("/v1.0/me/mailFolders", json!({"displayName": format!("f{number}")})).await;
        let category = json!({"displayName": format!("c{number}"), "color": "preset0"});
        (made.status, megan.post("/v1.0/me/outlook/masterCategories", category).await.status)
    };
    let made = tokio::join!(make(0), make(1), make(2), make(3), make(4));
    assert_eq!(made, ((201, 201), (201, 201), (201, 201), (201, 201), (201, 201)));
}

#[tokio::test]
async fn extended_properties_of_folders_are_written_shown_and_filtered_by() {
    let world = World::new().await;
    let megan = world.megan();
    let guid = "66f5a359-4659-4830-9070-00047ec6ac6e";
    let (color, size) = (format!("String {{{guid}}} Name Color"), format!("Integer {{{guid}}} Name Size"));
    let encoded = |query: String| query.replace(' ', "%20").replace('\'', "%27");
    let expand = encoded(format!("$expand=singleValueExtendedProperties($filter=id eq '{color}')"));
    for (collection, name) in [("mailFolders", "displayName"), ("calendars", "name"), ("contactFolders", "displayName")]
    {
        let path = format!("/v1.0/me/{collection}");
        let values = json!([{"id": color, "value": "Green"}, {"id": size, "value": "1"}]);
        let made = json!({name: "Marked", "singleValueExtendedProperties": values});
        let made = ok(megan.post(&path, made).await, StatusCode::CREATED);
        assert_eq!(made.json.get("singleValueExtendedProperties"), None, "{collection}");
        ok(megan.post(&path, json!({name: "Plain"})).await, StatusCode::CREATED);
        let one = format!("{path}/{}", made.text("/id"));
        let extended = json!({
            "singleValueExtendedProperties": [{"id": format!("string {{{}}} name Color", guid.to_uppercase()), "value": "Blue"}],
            "multiValueExtendedProperties": [{"id": format!("StringArray {{{guid}}} Name Uses"), "value": ["a", "b"]}],
        });
        ok(megan.patch(&one, extended).await, StatusCode::OK);
        let read =
            ok(megan.get(&format!("{one}?$select={name}&{expand},multiValueExtendedProperties")).await, StatusCode::OK);
        assert_eq!(read.json["singleValueExtendedProperties"], json!([{"id": color, "value": "Blue"}]), "{collection}");
        assert_eq!(read.text("/multiValueExtendedProperties/0/value/1"), "b");

        let found = |value: &str| {
            let any = format!("singleValueExtendedProperties/any(e:e/id eq '{color}' and e/value eq '{value}')");
            encoded(format!("{path}?$filter={any}&{expand}"))
        };
        let list = ok(megan.get(&found("blue")).await, StatusCode::OK);
        assert_eq!(list.json["value"].as_array().map(Vec::len), Some(1), "{}", list.json);
        assert_eq!(list.text("/value/0/singleValueExtendedProperties/0/value"), "Blue");
        assert_eq!(megan.get(&found("green")).await.json["value"], json!([]), "{collection}");

        let long = json!([{"id": color, "value": "x".repeat(40_000)}]);
        let long = megan.patch(&one, json!({"singleValueExtendedProperties": long})).await;
        assert_eq!((long.status, long.text("/error/code").as_str()), (400, "RequestBodyRead"), "{}", long.json);
        let wrong = json!([{"id": "Color", "value": "x"}]);
        assert_eq!(megan.patch(&one, json!({"singleValueExtendedProperties": wrong})).await.status, 400);
    }
}
