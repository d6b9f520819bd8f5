//! Megan looks at her calendar.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, Reply, World, ok};

fn at(time: &str) -> Value {
    json!({"dateTime": time, "timeZone": "W. Europe Standard Time"})
}

/// Makes an event of an hour, repeated if there is a pattern, and returns its id.
async fn event(caller: &Caller<'_>, calendar: &str, subject: &str, start: &str, pattern: Option<Value>) -> String {
    let hour: u32 = start[11..13].parse().unwrap();
    let end = format!("{}{:02}{}", &start[..11], hour + 1, &start[13..]);
    let mut body = json!({"subject": subject, "start": at(start), "end": at(&end)});
    if let Some(pattern) = pattern {
        body["recurrence"] = json!({"pattern": pattern, "range": {"type": "noEnd", "startDate": &start[..10]}});
    }
    ok(caller.post(&format!("/v1.0/me/{calendar}events"), body).await, StatusCode::CREATED).text("/id")
}

/// `subject start` of each in the answer.
fn shown(reply: &Reply) -> Vec<String> {
    let value = reply.json["value"].as_array().unwrap_or_else(|| panic!("{}", reply.json));
    let shown = |event: &Value| {
        let (subject, start) = (event["subject"].as_str().unwrap(), event["start"]["dateTime"].as_str().unwrap());
        format!("{subject} {}", &start[5..16])
    };
    value.iter().map(shown).collect()
}

#[tokio::test]
async fn series_are_expanded_among_single_events_by_their_start() {
    let world = World::new().await;
    let megan = world.megan();
    event(&megan, "", "standup", "2026-03-27T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    event(&megan, "", "lunch", "2026-03-28T12:00:00", None).await;
    event(&megan, "", "later", "2026-04-28T12:00:00", None).await;
    let weekly = json!({"type": "weekly", "interval": 1, "daysOfWeek": ["sunday"], "firstDayOfWeek": "monday"});
    event(&megan, "", "walk", "2026-03-01T08:00:00", Some(weekly)).await;
    let window = "startDateTime=2026-03-28T00:00:00Z&endDateTime=2026-03-30T00:00:00Z";
    for path in ["me/calendarView", "me/calendar/calendarView", "me/CalendarView"] {
        let view = ok(megan.get(&format!("/v1.0/{path}?{window}&$count=true")).await, StatusCode::OK);
        let expected = ["standup 03-28T08:00", "lunch 03-28T11:00", "walk 03-29T06:00", "standup 03-29T07:00"];
        assert_eq!(shown(&view), expected, "{path}");
        assert_eq!(view.json["@odata.count"], 4);
        let types: Vec<&Value> = view.json["value"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
        assert_eq!(types, ["occurrence", "singleInstance", "occurrence", "occurrence"]);
    }
}

#[tokio::test]
async fn a_view_is_paged_selected_and_turned_around() {
    let world = World::new().await;
    let megan = world.megan();
    event(&megan, "", "standup", "2026-03-27T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    event(&megan, "", "retro", "2026-03-28T09:00:00", Some(json!({"type": "daily", "interval": 7}))).await;
    let mut path = "/v1.0/me/calendarView?startdatetime=2026-03-01&endDateTime=2026-04-05T00:00:00%2B02:00&$top=3&$select=subject,start".to_owned();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let page = ok(megan.get(&path).await, StatusCode::OK);
        seen.extend(shown(&page));
        pages += 1;
        assert!(page.json["value"][0].get("end").is_none());
        match page.text("/@odata.nextLink").strip_prefix("http://graph.test:8443") {
            Some(rest) => path = rest.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (4, 11), "{seen:?}");
    let mut sorted = seen.clone();
    sorted.sort_by_key(|shown| shown.split_once(' ').unwrap().1.to_owned());
    assert_eq!(seen, sorted);
    let window = "startDateTime=2026-03-01&endDateTime=2026-04-01";
    let last = megan
        .get(&format!("/v1.0/me/calendarView?{window}&$orderby=start/dateTime desc&$top=1").replace(' ', "%20"))
        .await;
    assert_eq!(shown(&ok(last, StatusCode::OK)), ["standup 03-31T07:00"]);
}

/// `subject start` of what a calendar view or a series' instances show.
async fn asked(megan: &Caller<'_>, path: &str) -> Vec<String> {
    shown(&ok(megan.get(&path.replace(' ', "%20").replace('\'', "%27")).await, StatusCode::OK))
}

#[tokio::test]
async fn a_view_is_filtered_ordered_and_counted_by_what_each_occurrence_is() {
    let world = World::new().await;
    let megan = world.megan();
    let master =
        event(&megan, "", "standup", "2026-03-27T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    event(&megan, "", "lunch", "2026-03-28T12:00:00", None).await;
    let window = "startDateTime=2026-03-27T00:00:00Z&endDateTime=2026-03-30T00:00:00Z";
    let second = ok(megan.get(&format!("/v1.0/me/events/{master}/instances?{window}")).await, StatusCode::OK);
    let second = second.text("/value/1/id");
    let changed = json!({"subject": "Retro", "attendees": [{"emailAddress": {"address": "adele@contoso.test"}}]});
    ok(megan.patch(&format!("/v1.0/me/events/{second}"), changed).await, StatusCode::OK);

    let view = format!("/v1.0/me/calendarView?{window}");
    for (query, expected) in [
        ("$filter=subject eq 'STANDUP'", &["standup 03-27T08:00", "standup 03-29T07:00"][..]),
        ("$filter=type eq 'exception' or type eq 'singleInstance'", &["Retro 03-28T08:00", "lunch 03-28T11:00"]),
        ("$filter=start/dateTime ge '2026-03-28T10:00'", &["lunch 03-28T11:00", "standup 03-29T07:00"]),
        ("$filter=attendees/any(a:startswith(a/emailAddress/address,'adele'))", &["Retro 03-28T08:00"]),
        ("$filter=isAllDay eq true", &[]),
        ("$orderby=subject desc,start/dateTime desc&$top=2", &["standup 03-29T07:00", "standup 03-27T08:00"]),
        ("$orderby=subject&$top=2&$skip=1", &["Retro 03-28T08:00", "standup 03-27T08:00"]),
        (
            "$filter=subject ne 'lunch'&$orderby=start/dateTime desc&$skip=1",
            &["Retro 03-28T08:00", "standup 03-27T08:00"],
        ),
    ] {
        assert_eq!(asked(&megan, &format!("{view}&{query}")).await, expected, "{query}");
    }
    let counted = format!("{view}&$filter=contains(subject,'t')&$count=true&$top=1").replace(' ', "%20");
    let counted = ok(megan.get(&counted.replace('\'', "%27")).await, StatusCode::OK);
    assert_eq!((shown(&counted).len(), &counted.json["@odata.count"]), (1, &json!(3)));
    assert!(counted.text("/@odata.nextLink").contains("$filter=contains"), "{}", counted.json);
    let instances =
        format!("/v1.0/me/events/{master}/instances?{window}&$filter=type eq 'occurrence'&$orderby=subject");
    assert_eq!(asked(&megan, &instances).await, ["standup 03-27T08:00", "standup 03-29T07:00"]);
}

#[tokio::test]
async fn a_view_that_cannot_be_filtered_or_ordered_so_is_refused() {
    let world = World::new().await;
    let view = "/v1.0/me/calendarView?startDateTime=2026-03-01&endDateTime=2026-04-01";
    for (query, refusal) in [
        (
            "$filter=subjekt%20eq%20'x'",
            "400 RequestBroker--ParseUri: Could not find a property named 'subjekt' on type 'microsoft.graph.event'.",
        ),
        (
            "$orderby=subject&$skip=4090",
            "400 InefficientFilter: The restriction or sort order is too complex for this operation.",
        ),
        ("$search=x", "400 BadRequest: The query option '$search' is not supported by this server."),
    ] {
        assert_eq!(world.megan().get(&format!("{view}&{query}")).await.refusal(), refusal);
    }
}

#[tokio::test]
async fn relations_of_a_series_are_shown_with_each_occurrence() {
    let world = World::new().await;
    let megan = world.megan();
    let master =
        event(&megan, "", "standup", "2026-03-27T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    let id = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color";
    let extended = json!({"singleValueExtendedProperties": [{"id": id, "value": "Green"}]});
    ok(megan.patch(&format!("/v1.0/me/events/{master}"), extended).await, StatusCode::OK);
    let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="});
    ok(megan.post(&format!("/v1.0/me/events/{master}/attachments"), file).await, StatusCode::CREATED);

    let window = "startDateTime=2026-03-27T00:00:00Z&endDateTime=2026-03-29T00:00:00Z";
    let expand = format!("$expand=attachments($select=name),singleValueExtendedProperties($filter=id eq '{id}')");
    let expand = expand.replace(' ', "%20").replace('\'', "%27");
    let by_color = format!("$filter=singleValueExtendedProperties/any(e:e/id eq '{id}' and e/value eq 'green')");
    let by_color = by_color.replace(' ', "%20").replace('\'', "%27");
    for list in ["calendarView".to_owned(), format!("events/{master}/instances")] {
        let list = ok(megan.get(&format!("/v1.0/me/{list}?{window}&{expand}&{by_color}")).await, StatusCode::OK);
        assert_eq!(list.json["value"].as_array().map(Vec::len), Some(2), "{}", list.json);
        for event in list.json["value"].as_array().unwrap() {
            assert_eq!(event["attachments"][0]["name"], "a.txt");
            assert_eq!(event["singleValueExtendedProperties"], json!([{"id": id, "value": "Green"}]));
        }
        let one = list.text("/value/1/id");
        let one = ok(megan.get(&format!("/v1.0/me/events/{one}?{expand}")).await, StatusCode::OK);
        assert_eq!(one.json["attachments"], list.json["value"][1]["attachments"]);
    }
}

#[tokio::test]
async fn each_calendar_has_a_view_of_its_own() {
    let world = World::new().await;
    let megan = world.megan();
    let made = ok(megan.post("/v1.0/me/calendars", json!({"name": "Sport"})).await, StatusCode::CREATED).text("/id");
    event(&megan, &format!("calendars/{made}/"), "run", "2026-03-28T09:00:00", None).await;
    event(&megan, "", "work", "2026-03-28T09:00:00", None).await;
    let window = "startDateTime=2026-03-01&endDateTime=2026-04-01";
    let view = |path: String| async move { shown(&ok(world.megan().get(&path).await, StatusCode::OK)) };
    assert_eq!(view(format!("/v1.0/me/calendars/{made}/calendarView?{window}")).await, ["run 03-28T08:00"]);
}

#[tokio::test]
async fn what_overlaps_a_window_is_in_it_and_what_touches_it_is_not() {
    let world = World::new().await;
    let megan = world.megan();
    event(&megan, "", "x", "2026-03-28T09:00:00", None).await;
    let utc = |time: &str| json!({"dateTime": time, "timeZone": "UTC"});
    let moment = json!({"subject": "moment", "start": utc("2026-03-20T10:00:00"), "end": utc("2026-03-20T10:00:00")});
    ok(megan.post("/v1.0/me/events", moment).await, StatusCode::CREATED);
    for (window, expected) in [
        (["2026-03-28T08:30:00Z", "2026-03-28T08:45:00Z"], 1),
        (["2026-03-28T09:00:00Z", "2026-03-28T10:00:00Z"], 0),
        (["2026-03-28T07:00:00Z", "2026-03-28T08:00:00Z"], 0),
        (["2026-03-20T10:00:00Z", "2026-03-20T11:00:00Z"], 1),
        (["2026-03-20T09:00:00Z", "2026-03-20T10:00:00Z"], 0),
    ] {
        let path = format!("/v1.0/me/calendarView?startDateTime={}&endDateTime={}", window[0], window[1]);
        assert_eq!(shown(&ok(megan.get(&path).await, StatusCode::OK)).len(), expected, "{window:?}");
    }
}

#[tokio::test]
async fn a_view_needs_a_window_that_is_not_too_long() {
    let world = World::new().await;
    let megan = world.megan();
    let needed = "400 ErrorInvalidParameter: This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.";
    for (query, refusal) in [
        ("", needed),
        ("?startDateTime=2026-01-01", needed),
        (
            "?startDateTime=2026-01-01&endDateTime=soon",
            "400 ErrorInvalidParameter: The value 'soon' of the parameter 'endDateTime' is not a valid date-time.",
        ),
        (
            "?startDateTime=2019-11-12T08:49:06Z&endDateTime=2024-11-12T08:49:06Z",
            "400 ErrorInvalidRequest: Your request can't be completed. The range between the start and end dates is greater than the allowed range. Maximum number of days: 1825",
        ),
        (
            "?startDateTime=2026-01-02&endDateTime=2026-01-01",
            "400 ErrorCalendarEndDateIsEarlierThanStartDate: The end of the time window is earlier than its start.",
        ),
    ] {
        assert_eq!(megan.get(&format!("/v1.0/me/calendarView{query}")).await.refusal(), refusal);
    }
}

#[tokio::test]
async fn a_window_far_in_the_future_is_answered_at_once() {
    let world = World::new().await;
    let megan = world.megan();
    event(&megan, "", "forever", "2026-03-27T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    let view = megan.get("/v1.0/me/calendarView?startDateTime=9000-03-28&endDateTime=9000-03-30").await;
    assert_eq!(shown(&ok(view, StatusCode::OK)), ["forever 03-28T08:00", "forever 03-29T08:00"]);
}

#[tokio::test]
async fn a_page_of_long_occurrences_ends_early_and_the_next_goes_on() {
    let world = World::new().await;
    let megan = world.megan();
    let master =
        event(&megan, "", "standup", "2026-03-02T09:00:00", Some(json!({"type": "daily", "interval": 1}))).await;
    let long = json!({"body": {"contentType": "text", "content": "x".repeat(200 << 10)}});
    ok(megan.patch(&format!("/v1.0/me/events/{master}"), long).await, StatusCode::OK);
    let window = "startDateTime=2026-03-02T00:00:00Z&endDateTime=2026-06-10T00:00:00Z";
    let first = ok(megan.get(&format!("/v1.0/me/calendarView?{window}&$top=1000")).await, StatusCode::OK);
    let (seen, next) = (shown(&first), first.text("/@odata.nextLink"));
    assert!(seen.len() < 100, "{}", seen.len());
    let path = next.strip_prefix("http://graph.test:8443").unwrap();
    let rest = shown(&ok(megan.get(path).await, StatusCode::OK));
    assert_eq!(seen.len() + rest.len(), 100);
    assert!(seen.last() < rest.first());
}
