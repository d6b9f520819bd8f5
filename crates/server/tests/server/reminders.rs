//! Megan is reminded.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, Reply, World, ok};

const VIEW: &str =
    "/v1.0/me/reminderView(startDateTime='2026-12-01T00:00:00.0000000',endDateTime='2026-12-04T00:00:00Z')";

fn at(time: &str) -> Value {
    json!({"dateTime": time, "timeZone": "UTC"})
}

async fn event(caller: &Caller<'_>, more: Value) -> String {
    let mut body = json!({"subject": "Plan", "start": at("2026-12-01T09:00:00"), "end": at("2026-12-01T10:00:00")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ok(caller.post("/v1.0/me/events", body).await, StatusCode::CREATED).text("/id")
}

fn fires(reply: &Reply) -> Vec<String> {
    let value = reply.json["value"].as_array().unwrap_or_else(|| panic!("{}", reply.json));
    value.iter().map(|reminder| reminder["reminderFireTime"]["dateTime"].as_str().unwrap()[8..16].to_owned()).collect()
}

#[tokio::test]
async fn reminders_of_events_and_occurrences_are_shown_by_start() {
    let world = World::new().await;
    let megan = world.megan();
    let single = event(&megan, json!({"reminderMinutesBeforeStart": 30, "location": {"displayName": "Hall"}})).await;
    event(&megan, json!({"isReminderOn": false})).await;
    let daily =
        json!({"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-12-02"}});
    let later = json!({"start": at("2026-12-02T09:00:00"), "end": at("2026-12-02T10:00:00"), "recurrence": daily});
    event(&megan, later).await;
    let view = ok(megan.get(VIEW).await, StatusCode::OK);
    assert_eq!(fires(&view), ["01T08:30", "02T08:45", "03T08:45"]);
    let first = &view.json["value"][0];
    assert_eq!((&first["eventId"], &first["eventSubject"]), (&json!(single), &json!("Plan")));
    assert_eq!(
        (&first["eventStartTime"], &first["eventEndTime"]),
        (&at("2026-12-01T09:00:00.0000000"), &at("2026-12-01T10:00:00.0000000"))
    );
    assert_eq!(first["eventLocation"]["displayName"], "Hall");
    assert!(first["eventWebLink"].is_string() && first["changeKey"].is_string());
    let zone = world.megan().with("prefer", "outlook.timezone=\"Asia/Tokyo\"");
    let shown = ok(zone.get(VIEW).await, StatusCode::OK);
    assert_eq!(shown.json["value"][0]["reminderFireTime"]["dateTime"], "2026-12-01T17:30:00.0000000");
}

#[tokio::test]
async fn a_reminder_is_snoozed_and_dismissed() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/events/{}", event(&megan, json!({})).await);
    let later = json!({"newReminderTime": {"dateTime": "2026-12-01T10:55:00", "timeZone": "W. Europe Standard Time"}});
    ok(megan.post(&format!("{path}/snoozeReminder"), later).await, StatusCode::OK);
    assert_eq!(fires(&megan.get(VIEW).await), ["01T09:55"]);
    ok(megan.patch(&path, json!({"reminderMinutesBeforeStart": 5})).await, StatusCode::OK);
    assert_eq!(fires(&megan.get(VIEW).await), ["01T08:55"]);
    let reply = ok(megan.send("POST", &format!("{path}/dismissReminder"), String::new()).await, StatusCode::OK);
    assert_eq!(reply.body.len(), 0);
    assert!(fires(&megan.get(VIEW).await).is_empty());
    assert_eq!(megan.get(&path).await.json["isReminderOn"], false);
    let missing = megan.post(&format!("{path}/snoozeReminder"), json!({})).await;
    assert_eq!(missing.refusal(), "400 ErrorInvalidRequest: newReminderTime is required.");
}

#[tokio::test]
async fn the_reminder_of_one_occurrence_is_dismissed_alone() {
    let world = World::new().await;
    let megan = world.megan();
    let daily =
        json!({"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-12-01"}});
    let master = event(&megan, json!({"recurrence": daily})).await;
    let view = ok(megan.get(VIEW).await, StatusCode::OK);
    let second = view.text("/value/1/eventId");
    ok(megan.post(&format!("/v1.0/me/events/{second}/dismissReminder"), json!({})).await, StatusCode::OK);
    assert_eq!(fires(&megan.get(VIEW).await), ["01T08:45", "03T08:45"]);
    // It is no exception for that.
    let occurrence = ok(megan.get(&format!("/v1.0/me/events/{second}")).await, StatusCode::OK);
    assert_eq!((&occurrence.json["type"], &occurrence.json["isReminderOn"]), (&json!("occurrence"), &json!(true)));
    assert!(occurrence.json.get("reminder").is_none());
    // Of the series it is the first one, while none has fired.
    ok(megan.post(&format!("/v1.0/me/events/{master}/dismissReminder"), json!({})).await, StatusCode::OK);
    assert_eq!(fires(&megan.get(VIEW).await), ["03T08:45"]);
}
