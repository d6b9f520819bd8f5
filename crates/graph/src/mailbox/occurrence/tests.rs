use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::mailbox::tests::megan;
use crate::mailbox::{create, patch};
use crate::occurrence::{CANCELLED, EXCEPTIONS, instances};
use crate::render::{self, Preferences, Select, View};
use crate::schema::Entity;
use crate::{ChangeId, ChangeType, Timestamp, WellKnown};

fn fresh(n: u8) -> Fresh {
    Fresh {
        now: at("2026-11-21T10:00:00Z").plus_minutes(n.into()),
        uuid: Uuid::from_u128(u128::from(n) << 64),
        change: ChangeId(Uuid::from_u128(u128::from(n) * 2)),
        removal: ChangeId(Uuid::from_u128(u128::from(n) * 2 + 1)),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn local(time: &str) -> Value {
    json!({ "dateTime": time, "timeZone": "W. Europe Standard Time" })
}

/// Every Monday from nine to ten in Berlin, from 5 January 2026.
fn body() -> Value {
    json!({
        "subject": "Plan",
        "start": local("2026-01-05T09:00:00"),
        "end": local("2026-01-05T10:00:00"),
        "recurrence": {
            "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["monday"] },
            "range": { "type": "numbered", "startDate": "2026-01-05", "numberOfOccurrences": 10,
                "recurrenceTimeZone": "W. Europe Standard Time" },
        },
    })
}

fn made(body: Value) -> Result<Item, String> {
    let calendar = WellKnown::Calendar.id_in(megan().id);
    create(&megan(), &fresh(1), calendar, body).map(|made| made.item).map_err(|refusal| refusal.to_string())
}

fn master() -> Item {
    made(body()).unwrap()
}

fn changed(master: &Item, date: &str, body: Value) -> OccurrenceWritten {
    patch_occurrence(&megan(), &fresh(2), master, day(date), body).unwrap()
}

fn put(mutation: &Mutation) -> Item {
    mutation.puts[0].clone()
}

fn starts(event: &Item) -> String {
    let mut found = instances(event, at("2025-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"));
    found.sort();
    found.iter().map(|instance| instance.start.to_string()[..16].to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_series_begins_with_its_first_occurrence() {
    let mut late = body();
    late["recurrence"]["pattern"]["daysOfWeek"] = json!(["tuesday"]);
    let event = made(late).unwrap();
    assert_eq!(event.properties["start"]["dateTime"], "2026-01-06T08:00:00.0000000");
    assert_eq!(event.properties["recurrence"]["range"]["startDate"], "2026-01-05");
    assert_eq!(event.properties["type"], "seriesMaster");
}

#[test]
fn a_recurrence_that_contradicts_itself_is_refused() {
    for (pointer, value, refusal) in [
        ("/range/startDate", json!("2026-01-12"), "recurrence/range/startDate must be the day of start"),
        ("/range/numberOfOccurrences", json!(0), "recurrence/range/numberOfOccurrences must be from 1 to 999"),
        (
            "/range/recurrenceTimeZone",
            json!("Mars"),
            "recurrence/range/recurrenceTimeZone must be a time zone that is known",
        ),
        ("/pattern/interval", json!(100), "recurrence/pattern/interval must be from 1 to 99"),
        ("/pattern/daysOfWeek", json!([]), "recurrence/pattern/daysOfWeek must be one to seven days of the week"),
        ("/pattern/type", json!("absoluteMonthly"), "recurrence/pattern/dayOfMonth must be from 1 to 31"),
    ] {
        let mut wrong = body();
        *wrong["recurrence"].pointer_mut(pointer).unwrap() = value;
        assert_eq!(made(wrong).unwrap_err(), refusal);
    }
}

#[test]
fn what_differs_in_a_series_has_a_length_that_it_does_not_exceed() {
    let long = json!({ "body": { "contentType": "text", "content": "x".repeat(EXCEPTIONS_BYTES_MAX / 2) } });
    let first = put(&changed(&master(), "2026-01-12", long.clone()).mutation);
    let refused = patch_occurrence(&megan(), &fresh(2), &first, day("2026-01-19"), long.clone());
    let expected = Refusal::TooLong {
        property: "exceptionOccurrences".to_owned(),
        length_max: EXCEPTIONS_BYTES_MAX,
        unit: "bytes",
    };
    assert_eq!(refused, Err(expected));
    changed(&first, "2026-01-12", long);
}

#[test]
fn a_changed_occurrence_is_an_exception_and_its_master_is_updated() {
    let master = master();
    let written = changed(
        &master,
        "2026-01-12",
        json!({ "subject": "Other", "start": local("2026-01-13T09:00:00"), "end": local("2026-01-13T11:00:00") }),
    );
    let changes: Vec<_> = written.mutation.changes.iter().map(|change| (change.change, change.item)).collect();
    assert_eq!(changes, [(ChangeType::Updated, master.id)]);
    assert_eq!(written.mutation.expect, [(master.id, Some(master.version))]);
    let shown = written.occurrence.item.properties;
    assert_eq!((&shown["type"], &shown["subject"]), (&json!("exception"), &json!("Other")));
    assert_eq!(shown["originalStart"], "2026-01-12T08:00:00Z");
    assert_eq!(shown["start"]["dateTime"], "2026-01-13T08:00:00.0000000");
    assert_eq!(shown["seriesMasterId"], master.id.to_string());
    let series = put(&written.mutation);
    assert!(starts(&series).starts_with("2026-01-05T08:00 2026-01-13T08:00 2026-01-19T08:00"), "{}", starts(&series));
    // What was not changed of it still follows the series.
    let renamed = patch(&megan(), &fresh(3), &series, json!({ "subject": "New", "importance": "high" })).unwrap().item;
    let exception = Series::of(&renamed).unwrap().occurrence(day("2026-01-12")).unwrap().item.properties;
    assert_eq!((&exception["subject"], &exception["importance"]), (&json!("Other"), &json!("high")));
}

#[test]
fn an_exception_can_be_changed_again() {
    let once = put(&changed(&master(), "2026-01-12", json!({ "subject": "One" })).mutation);
    let twice = put(&changed(&once, "2026-01-12", json!({ "showAs": "free" })).mutation);
    let exceptions = twice.properties[EXCEPTIONS].as_array().unwrap();
    assert_eq!(exceptions, &[json!({ "subject": "One", "showAs": "free", "originalStart": "2026-01-12T08:00:00Z" })]);
}

#[test]
fn an_occurrence_does_not_cross_or_overlap_its_neighbours() {
    let moved = |master: &Item, from: &str, to: &str| {
        let body = json!({ "start": local(from), "end": local(to) });
        patch_occurrence(&megan(), &fresh(2), master, day("2026-01-12"), body).map(|written| put(&written.mutation))
    };
    let master = master();
    for (from, to) in [
        ("2026-01-05T09:30:00", "2026-01-05T10:30:00"),
        ("2026-01-04T09:00:00", "2026-01-04T10:00:00"),
        ("2026-01-12T09:00:00", "2026-01-19T09:01:00"),
        ("2026-01-20T09:00:00", "2026-01-20T10:00:00"),
    ] {
        assert_eq!(moved(&master, from, to), Err(Refusal::OccurrenceCrossing), "{from}");
    }
    moved(&master, "2026-01-05T10:00:00", "2026-01-19T09:00:00").unwrap();
    // One that is no more is in nobody's way.
    let without = put(&cancel_occurrence(&megan(), &fresh(2), &master, day("2026-01-19")).unwrap());
    moved(&without, "2026-01-20T09:00:00", "2026-01-20T10:00:00").unwrap();
}

#[test]
fn what_belongs_to_the_series_cannot_be_changed_on_an_occurrence() {
    let refused = |body: Value| {
        let written = patch_occurrence(&megan(), &fresh(2), &master(), day("2026-01-12"), body);
        written.unwrap_err().to_string()
    };
    let recurrence = body()["recurrence"].clone();
    assert_eq!(refused(json!({ "recurrence": recurrence })), "recurrence cannot be changed");
    assert_eq!(refused(json!({ "transactionId": "x" })), "transactionId cannot be changed");
    let nothing = patch_occurrence(&megan(), &fresh(2), &master(), day("2026-01-13"), json!({}));
    assert_eq!(nothing.unwrap_err(), Refusal::OccurrenceNotFound);
}

#[test]
fn a_cancelled_occurrence_is_gone_and_its_master_is_updated() {
    let exception = put(&changed(&master(), "2026-01-12", json!({ "subject": "One" })).mutation);
    let mutation = cancel_occurrence(&megan(), &fresh(3), &exception, day("2026-01-12")).unwrap();
    assert_eq!(mutation.changes[0].change, ChangeType::Updated);
    let series = put(&mutation);
    assert_eq!(series.properties[CANCELLED], json!(["2026-01-12"]));
    assert!(!series.properties.contains_key(EXCEPTIONS));
    assert!(starts(&series).starts_with("2026-01-05T08:00 2026-01-19T08:00"));
    let again = cancel_occurrence(&megan(), &fresh(4), &series, day("2026-01-12"));
    assert_eq!(again, Err(Refusal::OccurrenceNotFound));
}

#[test]
fn a_changed_recurrence_forgets_exceptions_that_are_not_in_it_any_more() {
    let one = put(&changed(&master(), "2026-01-12", json!({ "subject": "One" })).mutation);
    let two = put(&changed(&one, "2026-01-26", json!({ "subject": "Two" })).mutation);
    let series = put(&cancel_occurrence(&megan(), &fresh(3), &two, day("2026-02-02")).unwrap());
    let after = |body: Value| patch(&megan(), &fresh(4), &series, body).unwrap().item.properties;
    let mut fewer = body()["recurrence"].clone();
    fewer["range"]["numberOfOccurrences"] = json!(2);
    let fewer = after(json!({ "recurrence": fewer }));
    assert_eq!(fewer[EXCEPTIONS].as_array().unwrap().len(), 1);
    assert!(!fewer.contains_key(CANCELLED));
    let later = after(json!({ "start": local("2026-01-05T12:00:00"), "end": local("2026-01-05T13:00:00") }));
    assert!(!later.contains_key(EXCEPTIONS) && later.contains_key(CANCELLED));
    let single = after(json!({ "recurrence": null }));
    assert_eq!(single["type"], "singleInstance");
    assert!(!single.contains_key(EXCEPTIONS) && !single.contains_key(CANCELLED));
    let renamed = after(json!({ "subject": "New" }));
    assert_eq!(renamed[EXCEPTIONS].as_array().unwrap().len(), 2);
}

#[test]
fn of_start_and_recurrence_the_one_that_is_changed_decides_when_the_series_starts() {
    let after = |body: Value| patch(&megan(), &fresh(4), &master(), body).unwrap().item.properties;
    let moved = after(json!({ "start": local("2026-01-07T09:00:00"), "end": local("2026-01-07T10:00:00") }));
    assert_eq!(moved["recurrence"]["range"]["startDate"], "2026-01-07");
    assert_eq!(moved["start"]["dateTime"], "2026-01-12T08:00:00.0000000");
    let mut other = body()["recurrence"].clone();
    other["range"]["startDate"] = json!("2026-07-01");
    let other = after(json!({ "recurrence": other }));
    // Nine o'clock in summer.
    assert_eq!(other["start"]["dateTime"], "2026-07-06T07:00:00.0000000");
}

#[test]
fn the_last_end_of_a_series_is_that_of_its_last_occurrence() {
    let master = master();
    assert_eq!(master.last_end(), at("2026-03-09T09:00:00Z"));
    let longer = changed(&master, "2026-03-09", json!({ "end": local("2026-03-12T10:00:00") }));
    assert_eq!(put(&longer.mutation).last_end(), at("2026-03-12T09:00:00Z"));
    let mut endless = body();
    endless["recurrence"]["range"] = json!({ "type": "noEnd", "startDate": "2026-01-05" });
    assert_eq!(made(endless).unwrap().last_end(), Timestamp::from_micros(i64::MAX));
}

#[test]
fn an_occurrence_is_shown_with_an_id_and_a_uid_of_its_own() {
    let series = put(&cancel_occurrence(&megan(), &fresh(3), &master(), day("2026-01-19")).unwrap());
    let occurrence = Series::of(&series).unwrap().occurrence(day("2026-01-12")).unwrap();
    let shown = render::occurrence(&occurrence, View::default());
    assert_eq!(shown["id"], occurrence.id.to_string());
    assert_eq!(shown["seriesMasterId"], series.id.to_string());
    assert_eq!(shown["recurrence"], Value::Null);
    assert_eq!(&shown["iCalUId"].as_str().unwrap()[32..40], "07EA010C");
    assert!(shown.get(CANCELLED).is_none());
    let select = Select::read(Entity::Event, "cancelledOccurrences,occurrenceId").unwrap();
    let view = View { select: select.as_ref(), ..View::default() };
    assert_eq!(render::item(&series, view)[CANCELLED], json!([format!("OID.{}.2026-01-19", series.id)]));
    assert_eq!(render::occurrence(&occurrence, view)["occurrenceId"], format!("OID.{}.2026-01-12", series.id));
}

#[test]
fn times_are_shown_in_the_zone_that_is_preferred() {
    let shown = |event: &Item, zone: &str| {
        let prefer = Preferences { time_zone: Some(zone.to_owned()), ..Preferences::default() };
        render::item(event, View { prefer: &prefer, ..View::default() })
    };
    let event = shown(&master(), "Pacific Standard Time");
    assert_eq!(
        event["start"],
        json!({ "dateTime": "2026-01-05T00:00:00.0000000", "timeZone": "Pacific Standard Time" })
    );
    assert_eq!(event["originalStartTimeZone"], "W. Europe Standard Time");
    assert_eq!(event["recurrence"]["range"]["recurrenceTimeZone"], "W. Europe Standard Time");
    let all_day = made(json!({ "isAllDay": true,
        "start": local("2026-01-05T00:00:00"), "end": local("2026-01-06T00:00:00") }));
    let all_day = shown(&all_day.unwrap(), "Asia/Tokyo");
    assert_eq!(all_day["start"], json!({ "dateTime": "2026-01-05T00:00:00.0000000", "timeZone": "Asia/Tokyo" }));
    assert_eq!(all_day["end"]["dateTime"], "2026-01-06T00:00:00.0000000");
}
