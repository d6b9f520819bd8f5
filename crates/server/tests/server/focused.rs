//! The focused inbox, categories and flags: how Megan sorts her mail.

use http::StatusCode;
use serde_json::{Value, json};

use crate::replies::deliver;
use crate::world::{World, ok};

#[tokio::test]
async fn mail_is_sorted_as_its_senders_override_says() {
    let world = World::new().await;
    let megan = world.megan();
    let path = "/v1.0/me/inferenceClassification/overrides";
    let other =
        json!({"classifyAs": "Other", "senderEmailAddress": {"name": "Adele", "address": "ADELE@contoso.test"}});
    let made = ok(megan.post(path, other.clone()).await, StatusCode::CREATED);
    assert_eq!((made.text("/classifyAs").as_str(), made.text("/id").len()), ("other", 36));
    let again = ok(megan.post(path, other).await, StatusCode::CREATED);
    assert_eq!(again.text("/id"), made.text("/id"), "one for each sender");
    let write = async |subject: &str| {
        let to = json!([{"emailAddress": {"address": "megan@contoso.test"}}]);
        let message = json!({"message": {"subject": subject, "toRecipients": to}});
        ok(world.adele().post("/v1.0/me/sendMail", message).await, StatusCode::ACCEPTED);
        deliver(&world).await;
        let inbox = ok(world.megan().get("/v1.0/me/mailFolders/inbox/messages").await, StatusCode::OK);
        let found = inbox.json["value"].as_array().unwrap().iter().find(|one| one["subject"] == subject).cloned();
        found.unwrap()
    };
    let first = write("one").await;
    assert_eq!(first["inferenceClassification"], "other");
    let focused = json!({"inferenceClassification": "focused"});
    let message = format!("/v1.0/me/messages/{}", first["id"].as_str().unwrap());
    assert_eq!(ok(megan.patch(&message, focused).await, StatusCode::OK).text("/inferenceClassification"), "focused");

    let one = format!("{path}/{}", made.text("/id"));
    ok(megan.patch(&one, json!({"classifyAs": "focused"})).await, StatusCode::OK);
    assert_eq!(write("two").await["inferenceClassification"], "focused");
    let fixed = megan.patch(&one, json!({"senderEmailAddress": {"address": "lee@contoso.test"}})).await;
    assert_eq!(fixed.refusal(), "400 ErrorInvalidPropertySet: senderEmailAddress cannot be changed.");
    ok(megan.delete(&one).await, StatusCode::NO_CONTENT);
    for reply in [megan.get(&one).await, megan.delete(&one).await, megan.patch(&one, json!({})).await] {
        assert_eq!(reply.refusal(), "404 ErrorItemNotFound: The specified object was not found in the store.");
    }
    assert_eq!(ok(megan.get(path).await, StatusCode::OK).json["value"], json!([]));
}

#[tokio::test]
async fn categories_have_a_name_for_ever_and_a_colour_for_now() {
    let world = World::new().await;
    let megan = world.megan();
    let path = "/v1.0/me/outlook/masterCategories";
    let first = ok(megan.get(path).await, StatusCode::OK);
    assert_eq!(first.json["value"].as_array().unwrap().len(), 6);
    let made = ok(megan.post(path, json!({"displayName": "Trips", "color": "preset9"})).await, StatusCode::CREATED);
    let one = format!("{path}/{}", made.text("/id"));
    assert_eq!(ok(megan.get(&one).await, StatusCode::OK).text("/displayName"), "Trips");
    assert_eq!(ok(megan.patch(&one, json!({"color": "Preset1"})).await, StatusCode::OK).text("/color"), "preset1");
    assert_eq!(
        megan.patch(&one, json!({"displayName": "Travel"})).await.refusal(),
        "400 ErrorInvalidPropertySet: displayName cannot be changed."
    );
    assert_eq!(
        megan.post(path, json!({"displayName": "TRIPS"})).await.refusal(),
        "409 ErrorCategoryExists: A category with the specified name already exists."
    );
    assert_eq!(megan.post(path, json!({"displayName": "x", "color": "beige"})).await.status, 400);
    ok(megan.delete(&one).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&one).await.status, 404);
    assert_eq!(megan.send("PUT", &one, String::new()).await.status, 405);
    assert_eq!(ok(world.adele().get(path).await, StatusCode::OK).json["value"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn of_many_who_add_categories_at_a_time_nobody_loses() {
    let world = World::new().await;
    let megan = world.megan();
    let add = |name: &'static str| megan.post("/v1.0/me/outlook/masterCategories", json!({"displayName": name}));
    let (a, b, c, d) = tokio::join!(add("a"), add("b"), add("c"), add("d"));
    assert_eq!([a.status, b.status, c.status, d.status], [201; 4]);
    let all = ok(megan.get("/v1.0/me/outlook/masterCategories").await, StatusCode::OK);
    assert_eq!(all.json["value"].as_array().unwrap().len(), 10);
}

/// A value for each property of a message that a body may hold.
fn values() -> Vec<(&'static str, Value, bool, bool)> {
    let people = json!([{"emailAddress": {"name": "Lee", "address": "lee@contoso.test"}}]);
    let megan = json!({"emailAddress": {"name": "Megan", "address": "megan@contoso.test"}});
    vec![
        // The property, a value, whether a draft takes it, and whether any other message does.
        ("bccRecipients", people.clone(), true, true),
        ("body", json!({"contentType": "text", "content": "new"}), true, false),
        ("categories", json!(["Trips"]), true, true),
        ("ccRecipients", people.clone(), true, true),
        ("flag", json!({"flagStatus": "flagged"}), true, true),
        ("from", megan.clone(), true, true),
        ("importance", json!("high"), true, true),
        ("inferenceClassification", json!("other"), true, true),
        ("internetMessageId", json!("<new@contoso.test>"), true, false),
        ("isDeliveryReceiptRequested", json!(true), true, true),
        ("isRead", json!(false), true, true),
        ("isReadReceiptRequested", json!(true), true, true),
        ("replyTo", people.clone(), true, false),
        ("sender", megan, true, true),
        ("subject", json!("new"), true, false),
        ("toRecipients", people, true, true),
        ("internetMessageHeaders", json!([{"name": "x-a", "value": "b"}]), false, false),
        ("isDraft", json!(false), false, true),
        ("receivedDateTime", json!("2020-01-01T00:00:00Z"), false, false),
        ("sentDateTime", json!("2020-01-01T00:00:00Z"), false, false),
    ]
}

#[tokio::test]
async fn what_may_change_on_a_message_depends_on_whether_it_is_a_draft() {
    let world = World::new().await;
    let megan = world.megan();
    for (name, value, on_draft, on_sent) in values() {
        let id = megan.draft("old").await;
        let patch = json!({ name: value });
        let reply = megan.patch(&format!("/v1.0/me/messages/{id}"), patch.clone()).await;
        assert_eq!(reply.status == 200, on_draft, "draft {name}: {}", reply.json);
        let to = json!([{"emailAddress": {"address": "adele@contoso.test"}}]);
        let message = json!({"subject": "old", "toRecipients": to});
        ok(megan.post("/v1.0/me/sendMail", json!({"message": message})).await, StatusCode::ACCEPTED);
        let sent = ok(megan.get("/v1.0/me/mailFolders/sentitems/messages").await, StatusCode::OK).text("/value/0/id");
        let reply = megan.patch(&format!("/v1.0/me/messages/{sent}"), patch).await;
        assert_eq!(reply.status == 200, on_sent, "sent {name}: {}", reply.json);
        if !on_sent {
            let refusal = format!("400 ErrorInvalidPropertySet: {name} cannot be changed.");
            assert_eq!(reply.refusal(), refusal);
        }
        ok(megan.post(&format!("/v1.0/me/messages/{sent}/permanentDelete"), json!({})).await, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_flag_with_a_due_date_has_a_start() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}", megan.draft("x").await);
    let at = |day: u32| json!({"dateTime": format!("2026-12-0{day}T00:00:00"), "timeZone": "UTC"});
    let alone = megan.patch(&path, json!({"flag": {"flagStatus": "flagged", "dueDateTime": at(2)}})).await;
    assert_eq!(alone.refusal(), "400 ErrorInvalidRequest: flag/startDateTime is required.");
    let flag = json!({"flagStatus": "flagged", "startDateTime": at(1), "dueDateTime": at(2)});
    let flagged = ok(megan.patch(&path, json!({ "flag": flag })).await, StatusCode::OK);
    assert_eq!(flagged.text("/flag/dueDateTime/dateTime"), "2026-12-02T00:00:00.0000000");
    let done = ok(megan.patch(&path, json!({"flag": {"flagStatus": "complete"}})).await, StatusCode::OK);
    assert!(done.text("/flag/completedDateTime/dateTime").ends_with("T00:00:00.0000000"), "{}", done.json);
}
