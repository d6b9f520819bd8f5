//! Megan changes single occurrences of her series.

use http::StatusCode;
use notify::{Position, Record};
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{Caller, Reply, World, ok};

const WINDOW: &str = "startDateTime=2026-01-01&endDateTime=2026-02-01";

fn at(time: &str) -> Value {
    json!({"dateTime": time, "timeZone": "UTC"})
}

/// Every Monday at nine, from 5 January 2026, five times.
async fn series(caller: &Caller<'_>) -> String {
    let body = json!({
        "subject": "Plan", "start": at("2026-01-05T09:00:00"), "end": at("2026-01-05T10:00:00"),
        "recurrence": {
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
            "range": {"type": "numbered", "startDate": "2026-01-05", "numberOfOccurrences": 5},
        },
    });
    ok(caller.post("/v1.0/me/events", body).await, StatusCode::CREATED).text("/id")
}

async fn instances(caller: &Caller<'_>, master: &str) -> Vec<Value> {
    let found = ok(caller.get(&format!("/v1.0/me/events/{master}/instances?{WINDOW}")).await, StatusCode::OK);
    found.json["value"].as_array().unwrap().clone()
}

fn path(occurrence: &Value) -> String {
    format!("/v1.0/me/events/{}", occurrence["id"].as_str().unwrap())
}

fn starts(instances: &[Value]) -> Vec<&str> {
    instances.iter().map(|instance| &instance["start"]["dateTime"].as_str().unwrap()[5..16]).collect()
}

fn is_gone(reply: &Reply) {
    assert_eq!(reply.refusal(), "404 ErrorItemNotFound: The specified object was not found in the store.");
}

#[tokio::test]
async fn an_occurrence_is_read_by_its_id() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    assert_eq!(starts(&found), ["01-05T09:00", "01-12T09:00", "01-19T09:00", "01-26T09:00"]);
    let read = ok(megan.get(&path(&found[1])).await, StatusCode::OK).json;
    for name in ["id", "iCalUId", "start", "end", "changeKey", "webLink", "type", "originalStart"] {
        assert_eq!(read[name], found[1][name], "{name}");
    }
    assert_eq!((&read["type"], &read["seriesMasterId"]), (&json!("occurrence"), &json!(master)));
    assert_eq!((&read["recurrence"], &read["originalStart"]), (&Value::Null, &json!("2026-01-12T09:00:00Z")));
    assert_ne!(found[0]["iCalUId"], found[1]["iCalUId"]);
    let selected = ok(megan.get(&format!("{}?$select=subject", path(&found[1]))).await, StatusCode::OK).json;
    assert_eq!((&selected["subject"], selected.get("start")), (&json!("Plan"), None));
}

#[tokio::test]
async fn a_changed_occurrence_becomes_an_exception_of_its_master() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    let change = json!({"subject": "Other", "start": at("2026-01-13T09:00:00"), "end": at("2026-01-13T09:30:00")});
    let patched = ok(megan.patch(&path(&found[1]), change).await, StatusCode::OK).json;
    assert_eq!((&patched["id"], &patched["type"]), (&found[1]["id"], &json!("exception")));
    let after = instances(&megan, &master).await;
    assert_eq!(starts(&after), ["01-05T09:00", "01-13T09:00", "01-19T09:00", "01-26T09:00"]);
    assert_eq!(after[1]["id"], found[1]["id"]);
    let exceptions = ok(megan.get(&format!("/v1.0/me/events/{master}/exceptionOccurrences")).await, StatusCode::OK);
    assert_eq!(exceptions.json["value"].as_array().unwrap().len(), 1);
    assert_eq!(exceptions.json["value"][0]["subject"], "Other");
    let whole = ok(megan.get(&format!("/v1.0/me/events/{master}")).await, StatusCode::OK).json;
    assert_eq!(whole["subject"], "Plan");
    assert!(whole.get("exceptionOccurrences").is_none());

    let megan_id = seed::users()[0].id;
    let log = world.state.store.read_log(graph::Partition::of(megan_id), Position(0), 10).await.unwrap();
    let changes: Vec<_> = log
        .iter()
        .filter_map(|(_, record)| match record.as_ref() {
            Record::Change(change) => Some((change.change.as_str(), change.item.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [("created", master.clone()), ("updated", master)]);
}

#[tokio::test]
async fn an_occurrence_keeps_its_place_among_the_others() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    let far = json!({"start": at("2026-01-20T09:00:00"), "end": at("2026-01-20T10:00:00")});
    let refused = megan.patch(&path(&found[1]), far).await.refusal();
    assert_eq!(
        refused,
        "400 ErrorOccurrenceCrossingBoundary: Modified occurrence is crossing or overlapping adjacent occurrence."
    );
    let repeat = json!({"recurrence": {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-01-12"}}});
    let refused = megan.patch(&path(&found[1]), repeat).await.refusal();
    assert_eq!(refused, "400 ErrorInvalidPropertySet: recurrence cannot be changed.");
}

#[tokio::test]
async fn a_deleted_occurrence_is_among_the_cancelled_ones() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    ok(megan.delete(&path(&found[1])).await, StatusCode::NO_CONTENT);
    is_gone(&megan.get(&path(&found[1])).await);
    is_gone(&megan.delete(&path(&found[1])).await);
    assert_eq!(starts(&instances(&megan, &master).await), ["01-05T09:00", "01-19T09:00", "01-26T09:00"]);
    let whole = ok(megan.get(&format!("/v1.0/me/events/{master}?$select=cancelledOccurrences")).await, StatusCode::OK);
    assert_eq!(whole.json["cancelledOccurrences"], json!([format!("OID.{master}.2026-01-12")]));
}

#[tokio::test]
async fn an_occurrence_that_never_was_is_not_found_and_goes_with_its_master() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    is_gone(&world.adele().get(&path(&found[0])).await);
    let days = json!({"recurrence": {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"]},
        "range": {"type": "noEnd", "startDate": "2026-01-05"},
    }});
    ok(megan.patch(&format!("/v1.0/me/events/{master}"), days).await, StatusCode::OK);
    is_gone(&megan.get(&path(&found[0])).await);
    assert_eq!(starts(&instances(&megan, &master).await), ["01-06T09:00", "01-13T09:00", "01-20T09:00", "01-27T09:00"]);
    ok(megan.delete(&format!("/v1.0/me/events/{master}")).await, StatusCode::NO_CONTENT);
    let view = ok(megan.get(&format!("/v1.0/me/calendarView?{WINDOW}")).await, StatusCode::OK);
    assert_eq!(view.json["value"], json!([]));
}

#[tokio::test]
async fn a_writer_with_an_old_etag_of_the_series_is_refused() {
    let world = World::new().await;
    let megan = world.megan();
    let master = series(&megan).await;
    let found = instances(&megan, &master).await;
    let etag = found[0]["@odata.etag"].as_str().unwrap();
    ok(megan.patch(&path(&found[0]), json!({"subject": "One"})).await, StatusCode::OK);
    let late = world.megan().with("if-match", etag).patch(&path(&found[1]), json!({"subject": "Two"})).await;
    assert_eq!(late.status, 412);
}

#[tokio::test]
async fn a_recurrence_that_cannot_be_is_refused_as_graph_does() {
    let world = World::new().await;
    let body = json!({
        "subject": "Plan", "start": at("2026-01-05T09:00:00"), "end": at("2026-01-05T10:00:00"),
        "recurrence": {
            "pattern": {"type": "absoluteMonthly", "interval": 1},
            "range": {"type": "noEnd", "startDate": "2026-01-05"},
        },
    });
    let refused = world.megan().post("/v1.0/me/events", body).await;
    assert_eq!(refused.refusal(), "400 ErrorPropertyValidationFailure: At least one property failed validation.");
    assert_eq!(refused.text("/error/details/0/target"), "recurrence/pattern/dayOfMonth");
    assert_eq!(refused.text("/error/details/0/message"), "recurrence/pattern/dayOfMonth must be from 1 to 31");
}
