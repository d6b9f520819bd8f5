//! Megan orders her calendars.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, ok, settled};

fn names(list: &Value) -> Vec<&str> {
    list["value"].as_array().unwrap().iter().map(|calendar| calendar["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_calendar_is_made_changed_filled_and_deleted() {
    let world = World::new().await;
    let megan = world.megan();
    let body = json!({ "Name": "Travel", "color": "LightBlue", "canEdit": true, "isDefaultCalendar": false });
    let made = ok(megan.post("/v1.0/me/calendars", body).await, StatusCode::CREATED);
    insta::assert_json_snapshot!("calendar", settled(&made.json));
    let path = format!("/v1.0/me/calendars/{}", made.text("/id"));
    let patch = json!({ "name": "Trips", "color": "auto", "defaultOnlineMeetingProvider": "teamsForBusiness" });
    let patched = ok(megan.patch(&path, patch).await, StatusCode::OK);
    assert_eq!(
        (patched.text("/name"), patched.text("/color"), patched.text("/hexColor")),
        ("Trips".to_owned(), "auto".to_owned(), String::new())
    );
    assert_eq!(patched.text("/defaultOnlineMeetingProvider"), "teamsForBusiness");
    assert_ne!(patched.text("/changeKey"), made.text("/changeKey"));
    assert_eq!(ok(megan.get(&path).await, StatusCode::OK).json, patched.json);

    let at = |hour: u32| json!({ "dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC" });
    let event = json!({ "subject": "Flight", "start": at(10), "end": at(11) });
    let event = ok(megan.post(&format!("{path}/events"), event).await, StatusCode::CREATED).text("/id");
    let of_event = ok(megan.get(&format!("/v1.0/me/events/{event}/calendar?$select=name")).await, StatusCode::OK);
    assert_eq!(of_event.text("/name"), "Trips");
    assert_eq!(names(&megan.get("/v1.0/me/calendars?$select=name").await.json), ["Calendar", "Trips"]);
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&format!("/v1.0/me/events/{event}")).await.status, 404);
    assert_eq!(names(&megan.get("/v1.0/me/calendars").await.json), ["Calendar"]);
}

#[tokio::test]
async fn the_default_calendar_keeps_its_name_and_stays() {
    let world = World::new().await;
    let megan = world.megan();
    let calendar = ok(megan.get("/v1.0/me/calendar").await, StatusCode::OK);
    insta::assert_json_snapshot!("default_calendar", settled(&calendar.json));
    let coloured = ok(megan.patch("/v1.0/me/calendar", json!({ "color": "lightRed" })).await, StatusCode::OK);
    assert_eq!(coloured.text("/hexColor"), "#F88C9B");
    let other = ok(megan.post("/v1.0/me/calendars", json!({ "name": "Other" })).await, StatusCode::CREATED).text("/id");
    let refused = [
        megan.delete("/v1.0/me/calendar").await,
        megan.patch("/v1.0/me/calendar", json!({ "name": "Mine" })).await,
        megan.patch(&format!("/v1.0/me/calendars/{other}"), json!({ "isDefaultCalendar": true })).await,
        megan.patch(&format!("/v1.0/me/calendars/{other}"), json!({ "name": "calendar" })).await,
        megan.post("/v1.0/me/calendars", json!({ "name": " " })).await,
        megan.post("/v1.0/me/calendars", json!({ "color": "auto" })).await,
        megan.post("/v1.0/me/calendars", json!({ "name": "x", "color": "pink" })).await,
    ];
    let refused: Vec<String> = refused.iter().map(|reply| reply.refusal()).collect();
    insta::assert_json_snapshot!("refused_calendars", refused);
}

#[tokio::test]
async fn calendars_lie_in_groups() {
    let world = World::new().await;
    let megan = world.megan();
    let groups = ok(megan.get("/v1.0/me/calendarGroups").await, StatusCode::OK);
    insta::assert_json_snapshot!("calendar_groups", settled(&groups.json));
    let default = format!("/v1.0/me/calendarGroups/{}", groups.text("/value/0/id"));
    let made = ok(megan.post("/v1.0/me/calendarGroups", json!({ "name": "Work" })).await, StatusCode::CREATED);
    let group = format!("/v1.0/me/calendarGroups/{}", made.text("/id"));
    let calendar =
        ok(megan.post(&format!("{group}/calendars"), json!({ "name": "Shifts" })).await, StatusCode::CREATED);
    ok(megan.post(&format!("{default}/calendars"), json!({ "name": "Home" })).await, StatusCode::CREATED);
    let of = async |path: &str| ok(megan.get(&format!("{path}/calendars")).await, StatusCode::OK).json;
    assert_eq!(names(&of(&group).await), ["Shifts"]);
    assert_eq!(names(&of(&default).await), ["Calendar", "Home"]);
    assert_eq!(names(&of("/v1.0/me").await), ["Calendar", "Home", "Shifts"]);
    let through = format!("{group}/calendars/{}", calendar.text("/id"));
    assert_eq!(ok(megan.get(&through).await, StatusCode::OK).text("/name"), "Shifts");

    let renamed = ok(megan.patch(&group, json!({ "name": "Jobs" })).await, StatusCode::OK);
    assert_eq!(ok(megan.get(&group).await, StatusCode::OK).json, renamed.json);
    let listed = ok(megan.get("/v1.0/me/calendarGroups?$select=name").await, StatusCode::OK);
    assert_eq!(names(&listed.json), ["My Calendars", "Jobs"]);
    let as_calendar = group.replace("calendarGroups", "calendars");
    let event = json!({ "subject": "x", "start": { "dateTime": "2026-12-01T10:00:00" }, "end": { "dateTime": "2026-12-01T11:00:00" } });
    let refused = [
        megan.delete(&default).await,
        megan.patch(&default, json!({ "name": "Ours" })).await,
        megan.delete(&group).await,
        megan.post("/v1.0/me/calendarGroups", json!({ "name": "my calendars" })).await,
        megan.get(&as_calendar).await,
        megan.post(&format!("{as_calendar}/events"), event).await,
        megan.get(&format!("/v1.0/me/calendarGroups/{}", calendar.text("/id"))).await,
    ];
    let refused: Vec<String> = refused.iter().map(|reply| reply.refusal()).collect();
    insta::assert_json_snapshot!("refused_groups", refused);
    ok(megan.delete(&through).await, StatusCode::NO_CONTENT);
    ok(megan.delete(&group).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&group).await.status, 404);
}

#[tokio::test]
async fn of_many_who_make_a_calendar_at_a_time_one_succeeds() {
    let world = World::new().await;
    let megan = world.megan();
    for collection in ["calendars", "calendarGroups"] {
        let make = async || megan.post(&format!("/v1.0/me/{collection}"), json!({ "name": "Travel" })).await.status;
        let (one, two, three) = tokio::join!(make(), make(), make());
        let mut statuses = [one, two, three];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409], "{collection}");
    }
}
