//! Megan works in her mailbox.

use http::StatusCode;
use notify::{Position, Record};
use serde_json::json;
use tidings_server::seed;

use crate::world::{World, ok, settled};

#[tokio::test]
async fn a_message_lives_from_draft_to_gone() {
    let world = World::new().await;
    let megan = world.megan();
    let made = ok(
        megan
            .post(
                "/v1.0/me/messages",
                json!({"subject": "Lunch?", "body": {"contentType": "Text", "content": "At noon."},
                       "toRecipients": [{"emailAddress": {"address": "adele@contoso.test"}}]}),
            )
            .await,
        StatusCode::CREATED,
    );
    insta::assert_json_snapshot!("message", settled(&made.json));
    let id = made.text("/id");
    assert!(made.header("location").ends_with(&format!("/messages('{id}')")));

    let read = ok(megan.get(&format!("/v1.0/Users('{}')/Messages('{id}')", seed::users()[0].id)).await, StatusCode::OK);
    assert_eq!(read.json, made.json);
    let patched = ok(megan.patch(&format!("/v1.0/me/messages/{id}"), json!({"isRead": false})).await, StatusCode::OK);
    assert_ne!(patched.text("/changeKey"), made.text("/changeKey"));

    let moved = megan.post(&format!("/v1.0/me/messages/{id}/move"), json!({"destinationId": "archive"})).await;
    let moved = ok(moved, StatusCode::CREATED).text("/id");
    assert_ne!(moved, id);
    assert_eq!(megan.get(&format!("/v1.0/me/messages/{id}")).await.status, 404);

    ok(megan.delete(&format!("/v1.0/me/messages/{moved}")).await, StatusCode::NO_CONTENT);
    let binned = ok(megan.get("/v1.0/me/mailFolders/DeletedItems/messages?$select=subject").await, StatusCode::OK);
    assert_eq!(binned.text("/value/0/subject"), "Lunch?");
}

#[tokio::test]
async fn a_writer_with_an_old_etag_is_refused() {
    let world = World::new().await;
    let megan = world.megan();
    let id = megan.draft("one").await;
    let path = format!("/v1.0/me/messages/{id}");
    let etag = megan.get(&path).await.text("/@odata.etag");
    ok(world.megan().with("if-match", &etag).patch(&path, json!({"subject": "two"})).await, StatusCode::OK);
    let late = world.megan().with("if-match", &etag).patch(&path, json!({"subject": "three"})).await;
    assert!(late.refusal().starts_with("412 ErrorIrresolvableConflict: "), "{}", late.refusal());
    ok(world.megan().with("if-match", "*").delete(&path).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn events_and_contacts_are_made_read_changed_and_deleted() {
    let world = World::new().await;
    let megan = world.megan();
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    let event = json!({"subject": "Standup", "start": at(10), "end": at(11), "transactionId": "t-1"});
    for (collection, body, change) in [
        ("events", event.clone(), json!({"subject": "Later"})),
        ("contacts", json!({"givenName": "Ada", "surname": "L"}), json!({"jobTitle": "Analyst"})),
    ] {
        let made = ok(megan.post(&format!("/v1.0/me/{collection}"), body).await, StatusCode::CREATED);
        let path = format!("/v1.0/me/{collection}/{}", made.text("/id"));
        ok(megan.patch(&path, change).await, StatusCode::OK);
        ok(megan.get(&path).await, StatusCode::OK);
        let listed = ok(megan.get(&format!("/beta/me/{collection}?$count=true")).await, StatusCode::OK);
        assert_eq!(listed.json["@odata.count"], 1, "{collection}");
        if collection == "events" {
            let again = ok(megan.post("/v1.0/me/events", event.clone()).await, StatusCode::CREATED);
            assert_eq!(again.text("/id"), made.text("/id"), "the transaction id makes no second event");
        }
        ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
        assert_eq!(
            megan.delete(&path).await.refusal(),
            "404 ErrorItemNotFound: The specified object was not found in the store."
        );
    }
}

#[tokio::test]
async fn lists_page_by_absolute_links_under_the_callers_host() {
    let world = World::new().await;
    let megan = world.megan();
    for number in 0..5 {
        megan.draft(&format!("m{number}")).await;
    }
    let mut path = "/v1.0//me/messages?%24select=subject&$top=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = ok(megan.get(&path).await, StatusCode::OK);
        let subjects = page.json["value"].as_array().unwrap().iter().map(|item| item["subject"].clone());
        seen.extend(subjects.map(|subject| subject.as_str().unwrap().to_owned()));
        let next = page.text("/@odata.nextLink");
        match next.strip_prefix("http://graph.test:8443") {
            Some(rest) => path = rest.to_owned(),
            None => break assert_eq!(next, ""),
        }
    }
    seen.sort();
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
}

#[tokio::test]
async fn folders_are_made_renamed_filled_and_deleted() {
    let world = World::new().await;
    let megan = world.megan();
    let made = ok(megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"})).await, StatusCode::CREATED);
    let path = format!("/v1.0/me/mailFolders/{}", made.text("/id"));
    let twice = megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"})).await;
    assert_eq!(twice.refusal(), "409 ErrorFolderExists: A folder with the specified name already exists.");
    ok(megan.post(&format!("{path}/messages"), json!({"subject": "Ticket"})).await, StatusCode::CREATED);
    let renamed = ok(megan.patch(&path, json!({"displayName": "Trips"})).await, StatusCode::OK);
    insta::assert_json_snapshot!("mail_folder", settled(&renamed.json));
    // Into Deleted Items first, then for good.
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&path).await.status, 404);
    let inbox = megan.delete("/v1.0/me/mailFolders/inbox").await;
    assert_eq!(inbox.refusal(), "400 ErrorDeleteDistinguishedFolder: Distinguished folders cannot be deleted.");
    let names = ok(megan.get("/v1.0/me/mailFolders?$select=displayName&$top=50").await, StatusCode::OK);
    insta::assert_json_snapshot!("mail_folders", settled(&names.json));
}

#[tokio::test]
async fn of_many_who_make_a_folder_at_a_time_one_succeeds() {
    let world = World::new().await;
    let megan = world.megan();
    let make = || megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"}));
    let answers = tokio::join!(make(), make(), make(), make());
    let statuses = [answers.0.status, answers.1.status, answers.2.status, answers.3.status];
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 3, "{statuses:?}");
    // Gone, the name is free again.
    let path = format!(
        "/v1.0/me/mailFolders/{}",
        megan.get("/v1.0/me/mailFolders?$top=50").await.json["value"]
            .as_array()
            .unwrap()
            .iter()
            .find(|folder| folder["displayName"] == "Travel")
            .unwrap()["id"]
            .as_str()
            .unwrap()
    );
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    ok(make().await, StatusCode::CREATED);
}

#[tokio::test]
async fn mail_is_kept_in_sent_items_and_submitted_to_recipients_of_the_tenant() {
    let world = World::new().await;
    let to = |address: &str| json!({"emailAddress": {"address": address}});
    let message = json!({"subject": "Hi", "toRecipients": [to("Adele@contoso.test"), to("x@elsewhere.example")]});
    let sent = world.megan().post("/v1.0/me/sendMail", json!({"message": message, "SaveToSentItems": "true"})).await;
    assert_eq!((sent.status, sent.body.len()), (202, 0));
    let kept = world.megan().get("/v1.0/me/mailFolders('SentItems')/messages").await;
    assert_eq!(kept.json["value"].as_array().unwrap().len(), 1);

    let (megan, adele) = (seed::users()[0].id, seed::users()[1].id);
    let log = world.state.store.read_log(graph::Partition::of(megan), Position(0), 10).await.unwrap();
    let submitted = log.iter().find_map(|(_, record)| match record.as_ref() {
        Record::Submit(submission) => Some(submission.recipients.clone()),
        _ => None,
    });
    assert_eq!(submitted, Some(vec![adele]));
}
