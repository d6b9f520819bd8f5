//! What is pushed, in each of HTTP's modes, beside what it must be read as: `tests/sdk/cloud_events.json`, which CloudEvents'
//! own libraries read in `tests/sdk`. `TIDINGS_CLOUD_EVENTS=write` writes it anew.

#![expect(clippy::disallowed_methods, reason = "it reads and writes a file that other languages read")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidings_protocol::cloud_event::{Attributes, CloudEvent, Data, Extension, HttpMessage, Json};
use tidings_protocol::event_grid::{ItemChange, ItemEvent, ItemKind, Profile, Subscription, item_event};

fn told() -> CloudEvent {
    let subscription = Subscription {
        id: "7f1d2c3b-0000-4000-8000-000000000001",
        tenant: "84bd8158-6d4d-4958-8b9f-9d6445542f95",
        app: "507c3b9a-67b8-463d-88a2-15a8cefb2111",
        expiration: "2026-12-01T10:00:00Z",
        client_state: Some("s3cret"),
        public_base: "https://tidings.example",
    };
    let told = ItemEvent {
        id: "5c0b1d7e-0000-5000-8000-000000000002",
        time: "2026-11-24T10:00:00.25Z",
        position: 9,
        kind: ItemKind::Message,
        change: ItemChange::Created,
        user: "622eaaff-0683-4862-9de4-f2ec83c2bd98",
        item: "AAMkAGUwAAA=",
        etag: "W/\"CQAAABYAAAA\"",
    };
    item_event(Profile::Documented, &subscription, &told).unwrap()
}

fn other(id: &str, content_type: &str, data: Data) -> CloudEvent {
    let attributes = Attributes {
        id: id.to_owned(),
        source: "/shop/%C3%BC".to_owned(),
        event_type: "com.example.ordered".to_owned(),
        // What headers can have only encoded.
        subject: Some("Bücher \"50 %\" 📚".to_owned()),
        // Without one, both libraries take the time at which they read it.
        time: Some("2026-11-24T10:00:00Z".to_owned()),
        data_content_type: Some(content_type.to_owned()),
        extensions: [("place".to_owned(), Extension::Text("a b".to_owned()))].into(),
        ..Attributes::default()
    };
    CloudEvent::new(attributes, Some(data)).unwrap()
}

fn events() -> Vec<CloudEvent> {
    let list = Json::parse(br#"{"list":[1,"two"]}"#).unwrap();
    vec![
        told(),
        other("json", "application/json", Data::Json(list)),
        other("text", "text/plain", Data::Text("twö".to_owned())),
        other("binary", "application/octet-stream", Data::Binary(vec![0, 255, 10, 13])),
    ]
}

/// What a reader must find in it.
fn expected(event: &CloudEvent) -> Value {
    let attributes = event.attributes();
    let (kind, data) = match event.data().unwrap() {
        Data::Json(json) => ("json", serde_json::from_str(json.as_str()).unwrap()),
        Data::Text(text) => ("text", json!(text)),
        Data::Binary(bytes) => ("binary", json!(STANDARD.encode(bytes))),
    };
    let extensions = attributes.extensions.iter();
    json!({
        "id": attributes.id, "source": attributes.source, "type": attributes.event_type, "subject": attributes.subject,
        "time": attributes.time, "datacontenttype": attributes.data_content_type,
        "extensions": extensions.map(|(name, value)| (name.clone(), json!(value.to_string()))).collect::<serde_json::Map<_, _>>(),
        "kind": kind, "data": data,
    })
}

fn message(mode: &str, HttpMessage { headers, body }: HttpMessage, events: &[CloudEvent]) -> Value {
    let headers: serde_json::Map<_, _> = headers.into_iter().map(|(name, value)| (name, json!(value))).collect();
    let expected: Vec<Value> = events.iter().map(expected).collect();
    json!({"mode": mode, "headers": headers, "body": STANDARD.encode(body), "events": expected})
}

#[test]
fn what_cloud_events_own_libraries_read_is_what_is_pushed() {
    let events = events();
    let mut messages = Vec::new();
    for event in &events {
        let one = std::slice::from_ref(event);
        messages.push(message("structured", event.to_structured_http(), one));
        messages.push(message("binary", event.to_binary_http().unwrap(), one));
    }
    messages.push(message("batch", CloudEvent::batch_to_http(&events), &events));
    let written = format!("{:#}\n", Value::from(messages));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk/cloud_events.json");
    if std::env::var("TIDINGS_CLOUD_EVENTS").is_ok_and(|value| value == "write") {
        std::fs::write(&file, &written).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written, "TIDINGS_CLOUD_EVENTS=write writes it anew");
}
