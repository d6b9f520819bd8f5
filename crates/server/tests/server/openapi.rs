//! The description says what is served, all of it and nothing else.

use std::collections::{BTreeSet, HashSet};

use graph::path;
use http::StatusCode;
use serde_json::Value;
use tidings_server::http::event_grid::routes;
use tidings_server::http::openapi::{self, Shape};

use crate::world::{World, ok};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[tokio::test]
async fn anybody_may_read_the_description() {
    let world = World::new().await;
    let read = ok(world.stranger().get("/openapi.json").await, StatusCode::OK);
    assert_eq!(read.header("content-type"), "application/json");
    assert_eq!(read.json["openapi"], "3.1.0");
    let message = &read.json["components"]["schemas"]["message"]["properties"];
    assert_eq!(message["subject"]["anyOf"][0]["type"], "string");
    assert_eq!(dangling(&read.json), BTreeSet::new());
    let read = ok(world.stranger().get("/event-grid/openapi.json").await, StatusCode::OK);
    let topic = &read.json["components"]["schemas"]["PartnerTopic"]["properties"];
    assert_eq!(topic["location"]["type"], "string");
    assert_eq!(dangling(&read.json), BTreeSet::new());
}

/// What is referred to and not there.
fn dangling(description: &Value) -> BTreeSet<String> {
    let mut dangling = BTreeSet::new();
    references(description, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if description.pointer(pointer).is_none() {
            dangling.insert(reference.to_owned());
        }
    });
    dangling
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found(reference),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_served_is_described_and_what_is_described_is_served() {
    let world = World::new().await;
    let megan = world.megan();
    let mut wrong = BTreeSet::new();
    for route in openapi::routes() {
        let path = openapi::sample_path(route);
        let shape = openapi::shape(&path::parse(&path).unwrap_or_else(|error| panic!("{path}: {error}")));
        for method in METHODS {
            let same = |other: &&openapi::Route| {
                let parsed = path::parse(&openapi::sample_path(other));
                other.method == method && parsed.is_ok_and(|parsed| openapi::shape(&parsed) == shape)
            };
            let described = openapi::routes().iter().any(|other| same(&other));
            let reply = megan.send(method, &format!("/v1.0/{path}"), String::new()).await;
            let served = ![405, 501].contains(&reply.status);
            if served != described {
                wrong.insert(format!("{method} {path}: described {described}, answered {}", reply.status));
            }
            if reply.status == 405 {
                assert!(!reply.header("allow").split(", ").any(|allowed| allowed == method), "{method} {path}");
                assert!(!reply.header("allow").is_empty(), "{method} {path}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_served_of_event_grid_is_described_and_what_is_described_is_served() {
    let world = World::new().await;
    let (manager, data) = (world.manager(), world.app().saying("aud", "https://eventgrid.azure.net".into()));
    let mut wrong = BTreeSet::new();
    for served in &routes::ALL {
        let is_data = served.path.starts_with("/topics");
        let (caller, version) = if is_data { (&data, "2024-06-01") } else { (&manager, "2025-02-15") };
        for method in METHODS {
            let path = format!("{}?api-version={version}", served.sample_path());
            let reply = caller.send(method, &path, String::new()).await;
            let described = served.operations.iter().any(|operation| operation.method == method);
            if (reply.status != 405) != described {
                wrong.insert(format!("{method} {path}: described {described}, answered {}", reply.status));
            }
            if reply.status == 405 {
                assert_eq!(reply.header("allow"), served.methods(), "{method} {path}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_option_that_is_described_is_taken() {
    let world = World::new().await;
    let megan = world.megan();
    let mut refused = BTreeSet::new();
    for route in openapi::routes() {
        for option in route.query {
            // Of an attachment, nothing but the attached item can be expanded.
            let attached = *option == "$expand" && route.path.contains("/attachments");
            let value = if attached { "microsoft.graph.itemAttachment/item" } else { "x" };
            let path = format!("/v1.0/{}?{}={value}", openapi::sample_path(route), option.trim_end_matches('!'));
            let reply = megan.send(route.method, &path, String::new()).await;
            if reply.text("/error/message").contains("is not supported by this server") {
                refused.insert(format!("{} {path}", route.method));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Paths of every resource that the grammar knows; one that has no path here fails below.
const PATHS: &[&str] = &[
    "$metadata",
    "$batch",
    "users",
    "users/x@contoso.test",
    "me/sendMail",
    "me/translateExchangeIds",
    "me/outlook/masterCategories",
    "me/outlook/masterCategories/x",
    "me/reminderView(startDateTime='2026-12-01',endDateTime='2026-12-02')",
    "me/inferenceClassification/overrides",
    "me/inferenceClassification/overrides/x",
    "me/mailboxSettings",
    "me/mailboxSettings/timeZone",
    "me/calendarView",
    "me/calendarView/delta",
    "me/calendarGroups",
    "me/calendarGroups/x",
    "me/calendarGroups/x/calendars",
    "me/calendar/getSchedule",
    "me/events/x/calendar",
    "me/events/x/instances",
    "me/events/x/instances/delta",
    "me/events/x/exceptionOccurrences",
    "me/messages/x/event",
    "me/messages/x/$value",
    "me/messages/x/attachments",
    "me/messages/x/attachments/$count",
    "me/messages/x/attachments/x",
    "me/messages/x/attachments/x/$value",
    "me/messages/x/attachments/createUploadSession",
    "me/messages/x/extensions",
    "me/messages/x/extensions/x",
    "me/contacts/x/photo",
    "me/contacts/x/photo/$value",
    "me/messages/delta",
    "me/messages/$count",
    "me/mailFolders/delta",
    "me/mailFolders/$count",
    "me/mailFolders/inbox",
    "me/mailFolders/inbox/move",
    "me/mailFolders/inbox/copy",
    "me/mailFolders/inbox/permanentDelete",
    "me/messages/x/send",
    "me/messages/x/move",
    "me/messages/x/copy",
    "me/messages/x/permanentDelete",
    "me/messages/x/reply",
    "me/messages/x/replyAll",
    "me/messages/x/forward",
    "me/messages/x/createReply",
    "me/messages/x/createReplyAll",
    "me/messages/x/createForward",
    "me/events/x/accept",
    "me/events/x/decline",
    "me/events/x/tentativelyAccept",
    "me/events/x/cancel",
    "me/events/x/forward",
    "me/events/x/snoozeReminder",
    "me/events/x/dismissReminder",
    "subscriptions",
    "subscriptions/x",
    "subscriptions/x/reauthorize",
];

#[tokio::test]
async fn every_resource_that_is_served_is_described() {
    let world = World::new().await;
    let megan = world.megan();
    let parsed = |path: &str| path::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let shape = |path: &str| openapi::shape(&parsed(path));
    let described: HashSet<(Shape, &str)> =
        openapi::routes().iter().map(|route| (shape(&openapi::sample_path(route)), route.method)).collect();
    let mut missing = BTreeSet::new();
    for path in PATHS {
        for method in METHODS {
            let reply = megan.send(method, &format!("/v1.0/{path}"), String::new()).await;
            if ![405, 501].contains(&reply.status) && !described.contains(&(shape(path), method)) {
                missing.insert(format!("{method} {path}: {}", reply.status));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
