//! Notifications with resource data as an app sees them once it has opened them: of each kind of item, created,
//! updated and deleted, with filters, and through moves.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use protocol::envelope::{EncryptedContent, OpeningKey, open};
use serde_json::{Value, json};
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::seed;
use tidings_server::server::Running;
use tokio::sync::mpsc;

use crate::delivery::{receiver, server};

const CERTIFICATE: &str = include_str!("../../../protocol/tests/data/throwaway_certificate_2048.pem");
const PRIVATE_KEY: &str = include_str!("../../../protocol/tests/data/throwaway_key_2048.pem");
const ARRIVES_MAX: Duration = Duration::from_secs(20);

/// An app that watches Megan's mailbox, with what it is told.
struct App {
    server: Running,
    hook: String,
    bodies: mpsc::UnboundedReceiver<Value>,
    /// Ids and what they are called here, since they differ in every run.
    names: Vec<(String, String)>,
}

impl App {
    async fn new() -> Self {
        let (hook, bodies) = receiver().await;
        let mut app = Self { server: server().await, hook, bodies, names: Vec::new() };
        for folder in ["inbox", "drafts", "deleteditems", "archive"] {
            for prefer in ["", r#"IdType="ImmutableId""#] {
                let found = app.call("GET", &format!("me/mailFolders/{folder}"), prefer, Value::Null).await;
                app.name(&found, folder);
            }
        }
        app
    }

    async fn call(&self, method: &str, path: &str, prefer: &str, body: Value) -> Value {
        let state = &self.server.state;
        let grant = Grant::Delegated(&seed::users()[0], SCOPES);
        let token = state.tokens.issue(&seed::app(), grant, state.clock.wall(), 60).unwrap();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/v1.0/{path}", self.server.listen.http[0]))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("prefer", prefer)
            .body(Full::new(if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) }))
            .unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer = serde_json::from_slice(&body).unwrap_or_default();
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    fn name(&mut self, found: &Value, name: &str) {
        self.names.push((found["id"].as_str().unwrap().to_owned(), format!("[{name}]")));
    }

    /// With `resource` below the mailbox, and with immutable ids if `prefer` says so.
    async fn watch(&self, resource: &str, prefer: &str) {
        let asked = json!({
            "changeType": "created,updated,deleted",
            "notificationUrl": self.hook,
            "resource": format!("me/{resource}"),
            "expirationDateTime": self.server.state.clock.wall().plus_minutes(60),
            "clientState": "s3cret",
            "includeResourceData": true,
            "encryptionCertificate": CERTIFICATE,
            "encryptionCertificateId": "throwaway",
        });
        self.call("POST", "subscriptions", prefer, asked).await;
    }

    /// Makes an item that is called `name` from now on.
    async fn make(&mut self, collection: &str, name: &str, item: Value) -> String {
        let made = self.call("POST", &format!("me/{collection}"), "", item).await;
        self.name(&made, name);
        let kind = collection.rsplit('/').next().unwrap();
        format!("me/{kind}/{}", made["id"].as_str().unwrap())
    }

    async fn patch(&self, path: &str, changes: Value) {
        self.call("PATCH", path, "", changes).await;
    }

    async fn delete(&self, path: &str) {
        self.call("DELETE", path, "", Value::Null).await;
    }

    async fn next_body(&mut self) -> Value {
        let body = tokio::time::timeout(ARRIVES_MAX, self.bodies.recv()).await;
        body.expect("a notification arrives in time").expect("the receiver is there")
    }

    /// What the next so many notifications tell, in order of their texts: the change, the resource, and the content to
    /// the letter, as far as it is the same in every run. Long content has each property on a line of its own.
    async fn told(&mut self, count: usize) -> String {
        let mut lines = Vec::new();
        while lines.len() < count {
            let body = self.next_body().await;
            lines.extend(body["value"].as_array().unwrap().iter().map(|item| self.line(item)));
        }
        lines.sort();
        lines.join("\n")
    }

    fn line(&self, item: &Value) -> String {
        let content = opened(item).map_or("without content".to_owned(), |content| folded(&undated(&content)));
        let (change, resource) = (item["changeType"].as_str().unwrap(), item["resource"].as_str().unwrap());
        let resource = resource.split_once('/').unwrap().1;
        self.named(format!("{change} {resource} {content}"))
    }

    fn named(&self, text: String) -> String {
        self.names.iter().fold(text, |text, (id, name)| text.replace(id, name))
    }
}

fn opened(item: &Value) -> Option<String> {
    let sealed: EncryptedContent = serde_json::from_value(item.get("encryptedContent")?.clone()).unwrap();
    assert_eq!(sealed.encryption_certificate_id, "throwaway");
    let plain = open(&sealed, &OpeningKey::from_pem(PRIVATE_KEY).unwrap()).unwrap();
    Some(String::from_utf8(plain.to_vec()).unwrap())
}

/// The content without the times at which this test runs.
fn undated(content: &str) -> String {
    let Value::Object(members) = serde_json::from_str(content).unwrap() else { panic!("{content} is no object") };
    members
        .iter()
        .filter(|(name, _)| name.ends_with("DateTime"))
        .fold(content.to_owned(), |text, (name, time)| text.replace(time.as_str().unwrap(), &format!("[{name}]")))
}

/// Long content with a new line before each of its members.
fn folded(content: &str) -> String {
    const LONG_CHARS: usize = 120;
    let (mut depth, mut is_text) = (0, false);
    let fold = |letter| {
        match letter {
            '"' => is_text = !is_text,
            '{' | '[' if !is_text => depth += 1,
            '}' | ']' if !is_text => depth -= 1,
            _ => {}
        }
        let ends = depth == 1 && !is_text && matches!(letter, '{' | ',');
        [Some(letter), ends.then_some('\n')]
    };
    match content.len() > LONG_CHARS {
        true => content.chars().flat_map(fold).flatten().collect(),
        false => content.to_owned(),
    }
}

/// A body with what differs from run to run replaced by its name.
fn settled(body: &Value) -> Value {
    const VARY: [&str; 6] = ["subscriptionId", "id", "@odata.etag", "data", "dataKey", "dataSignature"];
    match body {
        Value::Object(members) => {
            let settle = |(name, value): (&String, &Value)| {
                let varies = VARY.contains(&name.as_str()) || name.ends_with("DateTime");
                (name.clone(), if varies { format!("[{name}]").into() } else { settled(value) })
            };
            members.iter().map(settle).collect()
        }
        Value::Array(values) => values.iter().map(settled).collect(),
        Value::String(text) if text.starts_with("eyJ") => "[token]".into(),
        other => other.clone(),
    }
}

fn lunch() -> Value {
    let attendee = json!({"emailAddress": {"name": "Adele", "address": "adele@contoso.test"}, "type": "optional"});
    let at = |hour| json!({"dateTime": format!("2026-03-02T{hour}:30:00"), "timeZone": "UTC"});
    json!({"subject": "Lunch", "start": at("12"), "end": at("13"), "showAs": "oof", "isReminderOn": false,
           "location": {"displayName": "the pier"}, "attendees": [attendee]})
}

#[tokio::test]
async fn a_notification_with_content_names_its_item_in_parentheses_and_brings_a_token() {
    let mut app = App::new().await;
    app.watch("messages?$select=subject", "").await;
    app.make("messages", "hello", json!({"subject": "Hello"})).await;
    let body = app.next_body().await;
    let body: Value = serde_json::from_str(&app.named(body.to_string())).unwrap();
    insta::assert_json_snapshot!(settled(&body), @r##"
        {
          "validationTokens": [
            "[token]"
          ],
          "value": [
            {
              "changeType": "created",
              "clientState": "s3cret",
              "encryptedContent": {
                "data": "[data]",
                "dataKey": "[dataKey]",
                "dataSignature": "[dataSignature]",
                "encryptionCertificateId": "throwaway",
                "encryptionCertificateThumbprint": "5C37D7461A449C2815B95C9CA61EA4C581C99F4C"
              },
              "id": "[id]",
              "resource": "Users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/messages('[hello]')",
              "resourceData": {
                "@odata.etag": "[@odata.etag]",
                "@odata.id": "Users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/messages('[hello]')",
                "@odata.type": "#microsoft.graph.message",
                "id": "[id]"
              },
              "subscriptionExpirationDateTime": "[subscriptionExpirationDateTime]",
              "subscriptionId": "[subscriptionId]",
              "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95"
            }
          ]
        }
    "##);
}

#[tokio::test]
async fn a_message_is_shown_as_it_was_at_each_change() {
    let mut app = App::new().await;
    app.watch("messages?$select=subject,bodyPreview,importance,isRead,toRecipients,parentFolderId,sentDateTime", "")
        .await;
    let hello = json!({"subject": "Hello", "body": {"contentType": "html", "content": "<p>The tide <b>comes</b></p>"},
                       "toRecipients": [{"emailAddress": {"name": "Adele", "address": "adele@contoso.test"}}]});
    let hello = app.make("messages", "hello", hello).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        created messages('[hello]') {
        "bodyPreview":"The tide comes",
        "importance@odata.type":"#microsoft.graph.importance",
        "importance":"normal",
        "isRead":true,
        "parentFolderId":"[drafts]",
        "sentDateTime@odata.type":"#DateTimeOffset",
        "sentDateTime":"[sentDateTime]",
        "subject":"Hello",
        "toRecipients@odata.type":"#Collection(microsoft.graph.recipient)",
        "toRecipients":[{"@odata.type":"#microsoft.graph.recipient","emailAddress":{"@odata.type":"#microsoft.graph.emailAddress","address":"adele@contoso.test","name":"Adele"}}]}
    "##);
    app.patch(&hello, json!({"subject": "Good bye", "importance": "high"})).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        updated messages('[hello]') {
        "bodyPreview":"The tide comes",
        "importance@odata.type":"#microsoft.graph.importance",
        "importance":"high",
        "isRead":true,
        "parentFolderId":"[drafts]",
        "sentDateTime@odata.type":"#DateTimeOffset",
        "sentDateTime":"[sentDateTime]",
        "subject":"Good bye",
        "toRecipients@odata.type":"#Collection(microsoft.graph.recipient)",
        "toRecipients":[{"@odata.type":"#microsoft.graph.recipient","emailAddress":{"@odata.type":"#microsoft.graph.emailAddress","address":"adele@contoso.test","name":"Adele"}}]}
    "##);
    app.call("POST", &format!("{hello}/permanentDelete"), "", Value::Null).await;
    insta::assert_snapshot!(app.told(1).await, @"deleted messages('[hello]') without content");
}

#[tokio::test]
async fn an_event_is_shown_as_it_was_at_each_change() {
    let mut app = App::new().await;
    app.watch("events?$select=subject,start,end,showAs,isAllDay,reminderMinutesBeforeStart,location,attendees", "")
        .await;
    let lunch = app.make("events", "lunch", lunch()).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        created events('[lunch]') {
        "attendees@odata.type":"#Collection(microsoft.graph.attendee)",
        "attendees":[{"@odata.type":"#microsoft.graph.attendee","emailAddress":{"@odata.type":"#microsoft.graph.emailAddress","address":"adele@contoso.test","name":"Adele"},"status":{"@odata.type":"#microsoft.graph.responseStatus","response@odata.type":"#microsoft.graph.responseType","response":"none","time@odata.type":"#DateTimeOffset","time":"0001-01-01T00:00:00Z"},"type@odata.type":"#microsoft.graph.attendeeType","type":"optional"}],
        "end":{"@odata.type":"#microsoft.graph.dateTimeTimeZone","dateTime":"2026-03-02T13:30:00.0000000","timeZone":"UTC"},
        "isAllDay":false,
        "location":{"@odata.type":"#microsoft.graph.location","displayName":"the pier","locationType@odata.type":"#microsoft.graph.locationType","locationType":"default","uniqueId":"the pier","uniqueIdType@odata.type":"#microsoft.graph.locationUniqueIdType","uniqueIdType":"private"},
        "reminderMinutesBeforeStart":15,
        "showAs@odata.type":"#microsoft.graph.freeBusyStatus",
        "showAs":"oof",
        "start":{"@odata.type":"#microsoft.graph.dateTimeTimeZone","dateTime":"2026-03-02T12:30:00.0000000","timeZone":"UTC"},
        "subject":"Lunch"}
    "##);
    app.patch(&lunch, json!({"subject": "Late lunch", "attendees": []})).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        updated events('[lunch]') {
        "attendees@odata.type":"#Collection(microsoft.graph.attendee)",
        "attendees":[],
        "end":{"@odata.type":"#microsoft.graph.dateTimeTimeZone","dateTime":"2026-03-02T13:30:00.0000000","timeZone":"UTC"},
        "isAllDay":false,
        "location":{"@odata.type":"#microsoft.graph.location","displayName":"the pier","locationType@odata.type":"#microsoft.graph.locationType","locationType":"default","uniqueId":"the pier","uniqueIdType@odata.type":"#microsoft.graph.locationUniqueIdType","uniqueIdType":"private"},
        "reminderMinutesBeforeStart":15,
        "showAs@odata.type":"#microsoft.graph.freeBusyStatus",
        "showAs":"oof",
        "start":{"@odata.type":"#microsoft.graph.dateTimeTimeZone","dateTime":"2026-03-02T12:30:00.0000000","timeZone":"UTC"},
        "subject":"Late lunch"}
    "##);
    app.delete(&lunch).await;
    insta::assert_snapshot!(app.told(1).await, @"deleted events('[lunch]') without content");
}

#[tokio::test]
async fn a_contact_is_shown_as_it_was_at_each_change() {
    let mut app = App::new().await;
    app.watch("contacts?$select=displayName,emailAddresses,businessPhones,homeAddress,birthday,companyName", "").await;
    let ada = json!({"displayName": "Ada", "emailAddresses": [{"name": "A", "address": "ada@example.org"}],
                     "businessPhones": ["+354 555 0100"], "homeAddress": {"city": "Reykjavík"},
                     "birthday": "1990-12-10T11:59:00Z"});
    let ada = app.make("contacts", "ada", ada).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        created contacts('[ada]') {
        "birthday@odata.type":"#DateTimeOffset",
        "birthday":"1990-12-10T11:59:00Z",
        "businessPhones@odata.type":"#Collection(String)",
        "businessPhones":["+354 555 0100"],
        "companyName":null,
        "displayName":"Ada",
        "emailAddresses@odata.type":"#Collection(microsoft.graph.emailAddress)",
        "emailAddresses":[{"@odata.type":"#microsoft.graph.emailAddress","address":"ada@example.org","name":"A"}],
        "homeAddress":{"@odata.type":"#microsoft.graph.physicalAddress","city":"Reykjavík"}}
    "##);
    app.patch(&ada, json!({"businessPhones": []})).await;
    insta::assert_snapshot!(app.told(1).await, @r##"
        updated contacts('[ada]') {
        "birthday@odata.type":"#DateTimeOffset",
        "birthday":"1990-12-10T11:59:00Z",
        "businessPhones@odata.type":"#Collection(String)",
        "businessPhones":[],
        "companyName":null,
        "displayName":"Ada",
        "emailAddresses@odata.type":"#Collection(microsoft.graph.emailAddress)",
        "emailAddresses":[{"@odata.type":"#microsoft.graph.emailAddress","address":"ada@example.org","name":"A"}],
        "homeAddress":{"@odata.type":"#microsoft.graph.physicalAddress","city":"Reykjavík"}}
    "##);
    app.delete(&ada).await;
    insta::assert_snapshot!(app.told(1).await, @"deleted contacts('[ada]') without content");
}

#[tokio::test]
async fn what_comes_into_a_filter_is_created_and_what_leaves_it_is_deleted_with_its_content() {
    let mut app = App::new().await;
    app.watch("messages?$select=subject,isRead&$filter=isRead eq false", "").await;
    let first = app.make("messages", "first", json!({"subject": "First", "isRead": false})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"created messages('[first]') {"isRead":false,"subject":"First"}"#);
    app.patch(&first, json!({"subject": "Still unread"})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"updated messages('[first]') {"isRead":false,"subject":"Still unread"}"#);
    app.patch(&first, json!({"isRead": true})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"deleted messages('[first]') {"isRead":true,"subject":"Still unread"}"#);
    app.patch(&first, json!({"isRead": false})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"created messages('[first]') {"isRead":false,"subject":"Still unread"}"#);
}

#[tokio::test]
async fn events_and_contacts_come_into_filters_and_leave_them() {
    let mut app = App::new().await;
    app.watch("events?$select=subject&$filter=showAs eq 'oof'", "").await;
    let lunch = app.make("events", "lunch", lunch()).await;
    insta::assert_snapshot!(app.told(1).await, @r#"created events('[lunch]') {"subject":"Lunch"}"#);
    app.patch(&lunch, json!({"showAs": "busy"})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"deleted events('[lunch]') {"subject":"Lunch"}"#);

    app.watch("contacts?$select=displayName,companyName&$filter=companyName eq 'Tides'", "").await;
    let ada = app.make("contacts", "ada", json!({"displayName": "Ada"})).await;
    app.patch(&ada, json!({"companyName": "Tides"})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"created contacts('[ada]') {"companyName":"Tides","displayName":"Ada"}"#);
    app.delete(&ada).await;
    insta::assert_snapshot!(app.told(1).await, @"deleted contacts('[ada]') without content");
}

#[tokio::test]
async fn a_message_that_is_deleted_is_shown_where_it_lies_now() {
    let mut app = App::new().await;
    app.watch("mailFolders('drafts')/messages?$select=subject,parentFolderId", "").await;
    let hello = app.make("messages", "hello", json!({"subject": "Hello"})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"created messages('[hello]') {"parentFolderId":"[drafts]","subject":"Hello"}"#);
    app.delete(&hello).await;
    insta::assert_snapshot!(app.told(1).await, @r#"deleted messages('[hello]') {"parentFolderId":"[deleteditems]","subject":"Hello"}"#);
}

#[tokio::test]
async fn a_move_is_told_of_by_both_ids_and_once_by_the_immutable_one() {
    let mut app = App::new().await;
    app.watch("messages?$select=subject,parentFolderId", "").await;
    let hello = app.make("messages", "hello", json!({"subject": "Hello"})).await;
    app.told(1).await;
    let moved = app.call("POST", &format!("{hello}/move"), "", json!({"destinationId": "archive"})).await;
    app.name(&moved, "hello, moved");
    insta::assert_snapshot!(app.told(2).await, @r#"
        created messages('[hello, moved]') {"parentFolderId":"[archive]","subject":"Hello"}
        deleted messages('[hello]') {"parentFolderId":"[archive]","subject":"Hello"}
    "#);

    let prefer = r#"IdType="ImmutableId""#;
    let mut app = App::new().await;
    app.watch("messages?$select=id,subject,parentFolderId", prefer).await;
    let hello = app.make("messages", "hello", json!({"subject": "Hello"})).await;
    let stays = app.call("GET", &hello, prefer, Value::Null).await;
    app.name(&stays, "hello, immutable");
    insta::assert_snapshot!(app.told(1).await, @r#"created messages('[hello, immutable]') {"id":"[hello, immutable]","parentFolderId":"[drafts]","subject":"Hello"}"#);
    app.call("POST", &format!("{hello}/move"), "", json!({"destinationId": "archive"})).await;
    insta::assert_snapshot!(app.told(1).await, @r#"updated messages('[hello, immutable]') {"id":"[hello, immutable]","parentFolderId":"[archive]","subject":"Hello"}"#);
}
