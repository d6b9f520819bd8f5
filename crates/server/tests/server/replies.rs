//! Adele writes to Megan, who answers.

use graph::WellKnown;
use http::StatusCode;
use notify::{Position, Record};
use serde_json::{Value, json};
use tidings_server::seed;
use tidings_server::sources::delivery::Mailboxes;
use tidings_server::sources::{Inbound as _, Mail};

use crate::world::{Caller, World, ok};

/// Puts everything that was submitted into Inboxes, as the engine does.
pub async fn deliver(world: &World) {
    let store = world.state.store.clone();
    let clock = world.state.clock.clone();
    let mailboxes = Mailboxes::new(
        store.clone(),
        std::sync::Arc::new(move || graph::mailbox::Fresh {
            now: clock.wall(),
            uuid: uuid::Uuid::new_v4(),
            change: graph::ChangeId(uuid::Uuid::new_v4()),
            removal: graph::ChangeId(uuid::Uuid::new_v4()),
        }),
    );
    for user in seed::users() {
        for (_, record) in store.read_log(graph::Partition::of(user.id), Position(0), 1_000).await.unwrap() {
            let Record::Submit(submission) = record.as_ref() else { continue };
            for recipient in &submission.recipients {
                let to = store.user(*recipient).await.unwrap().unwrap();
                let once = format!("submission:{}", submission.id);
                let mail = Mail { properties: submission.message.clone(), meeting: None };
                mailboxes.deliver(&to, mail, once).await.unwrap();
            }
        }
    }
}

fn to(addresses: &[&str]) -> Value {
    addresses.iter().map(|address| json!({"emailAddress": {"address": address}})).collect()
}

/// A message from Adele in Megan's Inbox; its id there.
async fn mail_from_adele(world: &World) -> String {
    let message = json!({"subject": "Lunch", "toRecipients": to(&["megan@contoso.test"]),
                         "body": {"contentType": "text", "content": "At noon?"}});
    let sent = world.adele().post("/v1.0/me/sendMail", json!({"message": message})).await;
    ok(sent, StatusCode::ACCEPTED);
    deliver(world).await;
    newest(&world.megan(), "inbox").await["id"].as_str().unwrap().to_owned()
}

async fn newest(caller: &Caller<'_>, folder: &str) -> Value {
    let list = ok(caller.get(&format!("/v1.0/me/mailFolders/{folder}/messages")).await, StatusCode::OK);
    list.json["value"][0].clone()
}

#[tokio::test]
async fn a_reply_is_sent_kept_and_received_in_one_conversation() {
    let world = World::new().await;
    let id = mail_from_adele(&world).await;
    let megan = world.megan();
    let replied = megan.post(&format!("/v1.0/me/messages/{id}/reply"), json!({"Comment": "Yes!"})).await;
    assert_eq!((replied.status, replied.body.len()), (202, 0), "{}", replied.json);
    deliver(&world).await;
    let kept = newest(&megan, "sentitems").await;
    assert_eq!((&kept["subject"], &kept["isDraft"]), (&json!("RE: Lunch"), &json!(false)));
    let got = newest(&world.adele(), "inbox").await;
    assert_eq!(got["bodyPreview"].as_str().unwrap().split(' ').next(), Some("Yes!"));
    assert!(got["body"]["content"].as_str().unwrap().contains("From: Adele"), "{got}");
    let first = newest(&world.adele(), "sentitems").await;
    for message in [&kept, &got] {
        assert_eq!(message["conversationId"], first["conversationId"]);
        let index = message["conversationIndex"].as_str().unwrap();
        assert!(index.len() > first["conversationIndex"].as_str().unwrap().len());
    }
}

#[tokio::test]
async fn an_answer_can_wait_as_a_draft() {
    let world = World::new().await;
    let id = mail_from_adele(&world).await;
    let megan = world.megan();
    for (action, subject, recipients) in
        [("createReply", "RE: Lunch", 1), ("createReplyAll", "RE: Lunch", 1), ("createForward", "FW: Lunch", 0)]
    {
        let made = ok(
            megan.send("POST", &format!("/v1.0/me/messages/{id}/{action}"), String::new()).await,
            StatusCode::CREATED,
        );
        assert_eq!((made.text("/subject").as_str(), &made.json["isDraft"]), (subject, &json!(true)));
        assert_eq!(made.json["toRecipients"].as_array().unwrap().len(), recipients, "{action}");
        assert_eq!(made.text("/parentFolderId"), WellKnown::Drafts.id_in(seed::users()[0].id).to_string());
        assert!(made.header("location").contains(&made.text("/id")));
        let select = format!("/v1.0/me/messages/{}?$select=internetMessageHeaders", made.text("/id"));
        let headers = ok(megan.get(&select).await, StatusCode::OK);
        assert_eq!(headers.text("/internetMessageHeaders/0/name"), "In-Reply-To", "{}", headers.json);
    }
    let reply = ok(megan.post(&format!("/v1.0/me/messages/{id}/createReply"), json!({})).await, StatusCode::CREATED);
    let path = format!("/v1.0/me/messages/{}", reply.text("/id"));
    ok(megan.patch(&path, json!({"body": {"contentType": "text", "content": "Fine."}})).await, StatusCode::OK);
    ok(megan.post(&format!("{path}/send"), json!({})).await, StatusCode::ACCEPTED);
    deliver(&world).await;
    assert_eq!(newest(&world.adele(), "inbox").await["bodyPreview"], "Fine.");
}

#[tokio::test]
async fn a_forward_goes_where_it_is_told_once() {
    let world = World::new().await;
    let id = mail_from_adele(&world).await;
    let path = format!("/v1.0/me/messages/{id}/forward");
    let megan = world.megan();
    let both =
        json!({"toRecipients": to(&["adele@contoso.test"]), "message": {"toRecipients": to(&["diego@contoso.test"])}});
    assert_eq!(megan.post(&path, both).await.status, 400);
    let neither = megan.post(&path, json!({"comment": "FYI"})).await;
    assert_eq!(neither.refusal(), "400 ErrorInvalidRecipients: At least one recipient isn't valid.");
    let body = json!({"comment": "FYI", "message": {"body": {"contentType": "text", "content": "x"}}});
    assert_eq!(megan.post(&path, body).await.status, 400, "a comment or a body, not both");
    let twice = json!({"comment": "FYI", "toRecipients": to(&["Adele@contoso.test", "adele@CONTOSO.test"])});
    ok(megan.post(&path, twice).await, StatusCode::ACCEPTED);
    deliver(&world).await;
    let inbox = world.adele().get("/v1.0/me/mailFolders/inbox/messages").await;
    assert_eq!(inbox.json["value"].as_array().unwrap().len(), 1);
    assert_eq!(inbox.text("/value/0/subject"), "FW: Lunch");
}

#[tokio::test]
async fn who_may_not_send_may_still_draft() {
    let world = World::new().await;
    let id = mail_from_adele(&world).await;
    assert_eq!(world.stranger().post(&format!("/v1.0/me/messages/{id}/reply"), json!({})).await.status, 401);
    let lost = world.megan().post("/v1.0/me/messages/AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=/reply", json!({})).await;
    assert_eq!(lost.status, 404);
    let odd = world.megan().post(&format!("/v1.0/me/messages/{id}/reply"), json!({"comment": 5})).await;
    assert_eq!(odd.refusal(), "400 RequestBodyRead: comment must be a string.");
}

#[tokio::test]
async fn mail_to_oneself_arrives_once_and_to_nobody_is_reported() {
    let world = World::new().await;
    let megan = world.megan();
    let message = json!({"subject": "Note", "toRecipients": to(&["megan@contoso.test", "Megan@Contoso.test"]),
                         "ccRecipients": to(&["nobody@contoso.test", "x@elsewhere.example"])});
    let asked = json!({"message": message, "saveToSentItems": "false"});
    ok(megan.post("/v1.0/me/sendMail", asked).await, StatusCode::ACCEPTED);
    deliver(&world).await;
    let inbox = ok(megan.get("/v1.0/me/mailFolders/inbox/messages").await, StatusCode::OK);
    let mut subjects: Vec<&str> =
        inbox.json["value"].as_array().unwrap().iter().map(|message| message["subject"].as_str().unwrap()).collect();
    subjects.sort();
    assert_eq!(subjects, ["Note", "Undeliverable: Note"]);
    let sent = ok(megan.get("/v1.0/me/mailFolders/sentitems/messages").await, StatusCode::OK);
    assert_eq!(sent.json["value"], json!([]), "the string \"false\" is a boolean to Graph");
    let report = inbox.json["value"].as_array().unwrap().iter().find(|one| one["subject"] != "Note").unwrap();
    let content = report["body"]["content"].as_str().unwrap();
    assert!(content.contains("nobody@contoso.test") && !content.contains("elsewhere"), "{content}");
    assert_eq!((&report["isRead"], &report["isDraft"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn sending_as_another_is_refused() {
    let world = World::new().await;
    let message = json!({"from": {"emailAddress": {"address": "adele@contoso.test"}}, "toRecipients": to(&["megan@contoso.test"])});
    let refused = world.megan().post("/v1.0/me/sendMail", json!({"message": message})).await;
    assert!(refused.refusal().starts_with("403 ErrorSendAsDenied: "), "{}", refused.refusal());
    let own = json!({"sender": {"emailAddress": {"address": "MEGAN@contoso.test"}}, "toRecipients": to(&["megan@contoso.test"])});
    ok(world.megan().post("/v1.0/me/sendMail", json!({"message": own})).await, StatusCode::ACCEPTED);
}
