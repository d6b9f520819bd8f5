//! Megan travels: times in the zone that she prefers.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, World, ok};

const WINDOW: &str = "startDateTime=2026-01-01&endDateTime=2027-01-01";

fn prefers<'a>(world: &'a World, zone: &str) -> Caller<'a> {
    world.megan().with("prefer", format!("outlook.timezone=\"{zone}\""))
}

fn at(time: &str, zone: &str) -> Value {
    json!({"dateTime": time, "timeZone": zone})
}

#[tokio::test]
async fn events_are_shown_in_the_zone_that_the_caller_prefers() {
    let world = World::new().await;
    let zone = "Pacific Standard Time";
    let megan = prefers(&world, zone);
    let body = json!({"subject": "x", "start": at("2026-07-01T17:00:00", "Europe/Berlin"), "end": at("2026-07-01T18:00:00", "Europe/Berlin")});
    let made = ok(megan.post("/v1.0/me/events", body).await, StatusCode::CREATED);
    let expected = at("2026-07-01T08:00:00.0000000", zone);
    assert_eq!(made.json["start"], expected);
    assert_eq!(made.json["originalStartTimeZone"], "Europe/Berlin");
    let path = format!("/v1.0/me/events/{}", made.text("/id"));
    assert_eq!(ok(megan.get(&path).await, StatusCode::OK).json["start"], expected);
    assert_eq!(ok(megan.patch(&path, json!({"subject": "y"})).await, StatusCode::OK).json["start"], expected);
    for list in ["events".to_owned(), format!("calendarView?{WINDOW}")] {
        assert_eq!(
            ok(megan.get(&format!("/v1.0/me/{list}")).await, StatusCode::OK).json["value"][0]["start"],
            expected
        );
    }
    let plain = ok(world.megan().get(&path).await, StatusCode::OK);
    assert_eq!(plain.json["start"], at("2026-07-01T15:00:00.0000000", "UTC"));
}

#[tokio::test]
async fn the_window_of_a_view_does_not_depend_on_the_preferred_zone() {
    let world = World::new().await;
    let body = json!({"start": at("2026-07-01T00:30:00", "UTC"), "end": at("2026-07-01T01:00:00", "UTC")});
    ok(world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED);
    let path = "/v1.0/me/calendarView?startDateTime=2026-07-01T00:00:00&endDateTime=2026-07-01T02:00:00";
    let view = ok(prefers(&world, "Asia/Tokyo").get(path).await, StatusCode::OK);
    assert_eq!(view.json["value"][0]["start"], at("2026-07-01T09:30:00.0000000", "Asia/Tokyo"));
}

#[tokio::test]
async fn the_days_of_an_all_day_event_are_the_same_in_every_zone() {
    let world = World::new().await;
    let zone = "W. Europe Standard Time";
    let body = json!({"isAllDay": true, "start": at("2026-07-01T00:00:00", zone), "end": at("2026-07-02T00:00:00", zone),
        "recurrence": {"pattern": {"type": "daily", "interval": 10}, "range": {"type": "noEnd", "startDate": "2026-07-01"}}});
    ok(world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED);
    for zone in ["UTC", "Asia/Tokyo", "Pacific Standard Time"] {
        let path = "/v1.0/me/calendarView?startDateTime=2026-07-01T00:00:00Z&endDateTime=2026-07-12T00:00:00Z";
        let view = ok(prefers(&world, zone).get(path).await, StatusCode::OK);
        assert_eq!(view.json["value"][0]["start"], at("2026-07-01T00:00:00.0000000", zone));
        assert_eq!(view.json["value"][0]["end"], at("2026-07-02T00:00:00.0000000", zone));
        assert_eq!(view.json["value"][1]["start"], at("2026-07-11T00:00:00.0000000", zone));
    }
}

#[tokio::test]
async fn a_series_keeps_its_clock_time_in_its_own_zone() {
    let world = World::new().await;
    let berlin = "W. Europe Standard Time";
    let body = json!({"start": at("2026-03-22T09:00:00", berlin), "end": at("2026-03-22T10:00:00", berlin),
        "recurrence": {"pattern": {"type": "daily", "interval": 7}, "range": {"type": "noEnd", "startDate": "2026-03-22"}}});
    let made = ok(prefers(&world, "America/New_York").post("/v1.0/me/events", body).await, StatusCode::CREATED);
    assert_eq!(made.json["recurrence"]["range"]["recurrenceTimeZone"], berlin);
    let view = ok(
        prefers(&world, "America/New_York").get(&format!("/v1.0/me/calendarView?{WINDOW}&$top=2")).await,
        StatusCode::OK,
    );
    // New York changed its clocks two weeks before; Berlin does so in between.
    assert_eq!(view.json["value"][0]["start"]["dateTime"], "2026-03-22T04:00:00.0000000");
    assert_eq!(view.json["value"][1]["start"]["dateTime"], "2026-03-29T03:00:00.0000000");
}

#[tokio::test]
async fn a_zone_that_is_not_known_is_refused() {
    let world = World::new().await;
    let megan = prefers(&world, "Mars Standard Time");
    let refusal = "400 TimeZoneNotSupportedException: A valid TimeZone value must be specified. The following TimeZone value is not supported: 'Mars Standard Time'.";
    for path in ["events".to_owned(), format!("calendarView?{WINDOW}")] {
        assert_eq!(megan.get(&format!("/v1.0/me/{path}")).await.refusal(), refusal);
    }
    // Where no times are shown it does not matter.
    ok(megan.get("/v1.0/me/calendars").await, StatusCode::OK);
}
