use serde_json::{Value, json};

use super::*;

/// A series of an hour from nine o'clock of its first day in Berlin.
fn series(pattern: Value, range: Value) -> Recurrence {
    try_series(pattern, range).unwrap()
}

fn try_series(pattern: Value, range: Value) -> Result<Recurrence, RecurrenceError> {
    let day: Date = range["startDate"].as_str().unwrap().parse().unwrap();
    in_zone(pattern, range, "Europe/Berlin", [day.at(9, 0, 0, 0), day.at(10, 0, 0, 0)])
}

fn in_zone(pattern: Value, range: Value, zone: &str, times: [DateTime; 2]) -> Result<Recurrence, RecurrenceError> {
    let zone_found = crate::zone::find(zone).unwrap();
    let [start, end] = times.map(|local| {
        let utc = TimeZone::UTC.to_datetime(zone_found.to_timestamp(local).unwrap());
        json!({ "dateTime": utc.to_string(), "timeZone": "UTC" })
    });
    let event = json!({
        "start": start, "end": end, "originalStartTimeZone": zone,
        "recurrence": { "pattern": pattern, "range": range },
    });
    Recurrence::of(event.as_object().unwrap()).map(Option::unwrap)
}

fn no_end(start: &str) -> Value {
    json!({ "type": "noEnd", "startDate": start })
}

fn dates(recurrence: &Recurrence, count: usize) -> String {
    let slots = (0..).map_while(|number| recurrence.slot(number)).take(count);
    slots.map(|slot| slot.date.to_string()).collect::<Vec<_>>().join(" ")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn each_of_the_six_patterns_has_its_days() {
    for (pattern, start, expected) in [
        (json!({ "type": "daily", "interval": 3 }), "2026-02-26", "2026-02-26 2026-03-01 2026-03-04"),
        (
            json!({ "type": "weekly", "interval": 2, "daysOfWeek": ["monday", "sunday"], "firstDayOfWeek": "sunday" }),
            "2026-01-07",
            "2026-01-18 2026-01-19 2026-02-01 2026-02-02",
        ),
        (
            json!({ "type": "weekly", "interval": 2, "daysOfWeek": ["monday", "sunday"], "firstDayOfWeek": "monday" }),
            "2026-01-07",
            "2026-01-11 2026-01-19 2026-01-25 2026-02-02",
        ),
        (
            json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31 }),
            "2028-01-31",
            "2028-01-31 2028-02-29 2028-03-31 2028-04-30",
        ),
        (
            json!({ "type": "relativeMonthly", "interval": 2, "daysOfWeek": ["tuesday", "monday"], "index": "second" }),
            "2026-06-10",
            "2026-08-04 2026-10-06 2026-12-07",
        ),
        (
            json!({ "type": "absoluteYearly", "interval": 1, "month": 2, "dayOfMonth": 29 }),
            "2027-03-01",
            "2028-02-29 2029-02-28 2030-02-28",
        ),
        (
            json!({ "type": "relativeYearly", "interval": 1, "month": 11, "daysOfWeek": ["friday"], "index": "last" }),
            "2026-01-01",
            "2026-11-27 2027-11-26 2028-11-24",
        ),
    ] {
        let count = expected.split(' ').count();
        assert_eq!(dates(&series(pattern.clone(), no_end(start)), count), expected, "{pattern}");
    }
}

#[test]
fn each_of_the_three_ranges_ends_where_it_says() {
    let last = |range: Value| series(json!({ "type": "daily", "interval": 2 }), range).last().map(|slot| slot.date);
    let end_date = json!({ "type": "endDate", "startDate": "2026-01-01", "endDate": "2026-01-06" });
    assert_eq!(last(end_date).unwrap().to_string(), "2026-01-05");
    let numbered = json!({ "type": "numbered", "startDate": "2026-01-01", "numberOfOccurrences": 3 });
    assert_eq!(last(numbered).unwrap().to_string(), "2026-01-05");
    assert_eq!(last(no_end("2026-01-01")), None);
}

#[test]
fn the_clock_time_stays_when_the_clocks_change() {
    let series = series(json!({ "type": "daily", "interval": 1 }), no_end("2026-03-28"));
    let starts: Vec<String> = (0..2).map(|number| series.slot(number).unwrap().start.to_string()).collect();
    assert_eq!(starts, ["2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z"]);
}

#[test]
fn a_time_that_is_left_out_is_later_and_one_that_comes_twice_is_the_first() {
    let daily = |start: &str| {
        let day: Date = start.parse().unwrap();
        let times = [day.at(2, 30, 0, 0), day.at(2, 45, 0, 0)];
        let pattern = json!({ "type": "daily", "interval": 1 });
        in_zone(pattern, no_end(start), "W. Europe Standard Time", times).unwrap().slot(1).unwrap()
    };
    let gap = daily("2026-03-28");
    assert_eq!(
        (gap.start.to_string(), gap.end.to_string()),
        ("2026-03-29T01:30:00Z".into(), "2026-03-29T01:45:00Z".into())
    );
    let fold = daily("2026-10-24");
    assert_eq!(
        (fold.start.to_string(), fold.end.to_string()),
        ("2026-10-25T00:30:00Z".into(), "2026-10-25T00:45:00Z".into())
    );
}

#[test]
fn an_occurrence_over_midnight_ends_on_the_next_day() {
    let day: Date = "2026-10-24".parse().unwrap();
    let times = [day.at(23, 0, 0, 0), day.tomorrow().unwrap().at(4, 0, 0, 0)];
    let pattern = json!({ "type": "daily", "interval": 1 });
    let series = in_zone(pattern, no_end("2026-10-24"), "Europe/Berlin", times).unwrap();
    // Six hours long, as the clocks go back in between.
    assert_eq!(series.slot(0).unwrap().end.to_string(), "2026-10-25T03:00:00Z");
    assert_eq!(series.slot(1).unwrap().end.to_string(), "2026-10-26T03:00:00Z");
}

#[test]
fn a_window_far_away_is_found_without_walking_there() {
    let series = series(json!({ "type": "daily", "interval": 1 }), no_end("0001-01-01"));
    let found: Vec<Slot> = series.between(at("9000-06-01T00:00:00Z"), at("9000-06-03T00:00:00Z")).collect();
    assert_eq!(found.iter().map(|slot| slot.date.to_string()).collect::<Vec<_>>(), ["9000-06-01", "9000-06-02"]);
    assert!(series.between(at("9999-12-30T00:00:00Z"), Timestamp::from_micros(i64::MAX)).count() > 0);
}

#[test]
fn a_window_holds_what_overlaps_it() {
    let series = series(json!({ "type": "daily", "interval": 1 }), no_end("2026-01-05"));
    let count = |from: &str, until: &str| series.between(at(from), at(until)).count();
    assert_eq!(count("2026-01-06T08:30:00Z", "2026-01-06T08:45:00Z"), 1);
    assert_eq!(count("2026-01-06T09:00:00Z", "2026-01-07T08:00:00Z"), 0);
    assert_eq!(count("2026-01-06T08:59:59Z", "2026-01-07T08:00:01Z"), 2);
    assert_eq!(count("2020-01-01T00:00:00Z", "2026-01-05T08:00:00Z"), 0);
}

#[test]
fn days_and_times_name_occurrences_and_their_neighbours() {
    let weekly = json!({ "type": "weekly", "interval": 1, "daysOfWeek": ["monday", "thursday"] });
    let series = series(weekly, json!({ "type": "numbered", "startDate": "2026-01-05", "numberOfOccurrences": 4 }));
    let day = |text: &str| text.parse::<Date>().unwrap();
    assert!(series.slot_on(day("2026-01-08")).is_some());
    assert!(series.slot_on(day("2026-01-09")).is_none() && series.slot_on(day("2026-01-19")).is_none());
    assert!(
        series.slot_at(at("2026-01-08T08:00:00Z")).is_some() && series.slot_at(at("2026-01-08T08:00:01Z")).is_none()
    );
    assert_eq!(series.before(day("2026-01-08")).next().unwrap().date, day("2026-01-05"));
    assert_eq!(series.before(day("2026-01-05")).count(), 0);
    assert_eq!(
        series.after(day("2026-01-08")).map(|slot| slot.date.to_string()).collect::<Vec<_>>(),
        ["2026-01-12", "2026-01-15"]
    );
}

#[test]
fn what_cannot_be_expanded_is_refused_by_its_name() {
    let range = no_end("2026-01-05");
    for (pattern, range, refusal) in [
        (
            json!({ "type": "weekly", "daysOfWeek": [] }),
            &range,
            "recurrence/pattern/daysOfWeek must be one to seven days of the week",
        ),
        (
            json!({ "type": "absoluteMonthly", "dayOfMonth": 32 }),
            &range,
            "recurrence/pattern/dayOfMonth must be from 1 to 31",
        ),
        (json!({ "type": "absoluteYearly", "dayOfMonth": 1 }), &range, "recurrence/pattern/month must be from 1 to 12"),
        (
            json!({ "type": "relativeYearly", "month": 1, "daysOfWeek": ["monday"], "index": "fifth" }),
            &range,
            "recurrence/pattern/index must be first, second, third, fourth or last",
        ),
        (
            json!({ "type": "daily" }),
            &json!({ "type": "endDate", "startDate": "2026-01-05", "endDate": "2026-01-04" }),
            "recurrence/range/endDate must be a day from startDate on",
        ),
        (
            json!({ "type": "weekly", "daysOfWeek": ["sunday"] }),
            &json!({ "type": "endDate", "startDate": "2026-01-05", "endDate": "2026-01-10" }),
            "recurrence has no occurrence",
        ),
    ] {
        assert_eq!(try_series(pattern.clone(), range.clone()).unwrap_err().to_string(), refusal, "{pattern}");
    }
}
