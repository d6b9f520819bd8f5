//! Megan asks when others are busy.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, Reply, World, ok};

fn at(time: &str) -> Value {
    json!({"dateTime": time, "timeZone": "UTC"})
}

async fn event(caller: &Caller<'_>, hours: [&str; 2], changes: Value) {
    let mut body =
        json!({"start": at(&format!("2026-12-01T{}", hours[0])), "end": at(&format!("2026-12-01T{}", hours[1]))});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    ok(caller.post("/v1.0/me/events", body).await, StatusCode::CREATED);
}

async fn ask(caller: &Caller<'_>, people: &[&str], changes: Value) -> Reply {
    let mut body =
        json!({"schedules": people, "startTime": at("2026-12-01T09:00:00"), "endTime": at("2026-12-01T12:00:00")});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    caller.post("/v1.0/me/calendar/getSchedule", body).await
}

#[tokio::test]
async fn a_schedule_says_when_somebody_is_busy_and_what_is_ones_own() {
    let world = World::new().await;
    let daily =
        json!({"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-11-30"}});
    let standup = json!({"subject": "Standup", "showAs": "tentative", "recurrence": daily, "location": {"displayName": "Hall"},
        "start": at("2026-11-30T09:15:00"), "end": at("2026-11-30T09:45:00")});
    for caller in [world.megan(), world.adele()] {
        ok(caller.post("/v1.0/me/events", standup.clone()).await, StatusCode::CREATED);
        event(
            &caller,
            ["10:30:00", "11:00:00"],
            json!({"subject": "Doctor", "showAs": "oof", "sensitivity": "private"}),
        )
        .await;
        event(&caller, ["11:00:00", "11:30:00"], json!({"subject": "Home", "showAs": "workingElsewhere"})).await;
        event(&caller, ["20:00:00", "21:00:00"], json!({"subject": "later"})).await;
    }
    let megan = world.megan().with("prefer", "outlook.timezone=\"W. Europe Standard Time\"");
    let asked = ask(&megan, &["megan@contoso.test", "Adele@contoso.test", "nobody@contoso.test"], json!({})).await;
    let asked = ok(asked, StatusCode::OK);
    insta::assert_json_snapshot!(asked.json, @r##"
    {
      "@odata.context": "http://graph.test:8443/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)",
      "value": [
        {
          "availabilityView": "110300",
          "scheduleId": "megan@contoso.test",
          "scheduleItems": [
            {
              "end": {
                "dateTime": "2026-12-01T10:45:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": false,
              "location": "Hall",
              "start": {
                "dateTime": "2026-12-01T10:15:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "tentative",
              "subject": "Standup"
            },
            {
              "end": {
                "dateTime": "2026-12-01T12:00:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": true,
              "location": "",
              "start": {
                "dateTime": "2026-12-01T11:30:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "oof",
              "subject": "Doctor"
            },
            {
              "end": {
                "dateTime": "2026-12-01T12:30:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": false,
              "location": "",
              "start": {
                "dateTime": "2026-12-01T12:00:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "workingElsewhere",
              "subject": "Home"
            }
          ],
          "workingHours": {
            "daysOfWeek": [
              "monday",
              "tuesday",
              "wednesday",
              "thursday",
              "friday"
            ],
            "endTime": "17:00:00.0000000",
            "startTime": "08:00:00.0000000",
            "timeZone": {
              "name": "UTC"
            }
          }
        },
        {
          "availabilityView": "110300",
          "scheduleId": "Adele@contoso.test",
          "scheduleItems": [
            {
              "end": {
                "dateTime": "2026-12-01T10:45:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": false,
              "start": {
                "dateTime": "2026-12-01T10:15:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "tentative"
            },
            {
              "end": {
                "dateTime": "2026-12-01T12:00:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": true,
              "start": {
                "dateTime": "2026-12-01T11:30:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "oof"
            },
            {
              "end": {
                "dateTime": "2026-12-01T12:30:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "isPrivate": false,
              "start": {
                "dateTime": "2026-12-01T12:00:00.0000000",
                "timeZone": "W. Europe Standard Time"
              },
              "status": "workingElsewhere"
            }
          ],
          "workingHours": {
            "daysOfWeek": [
              "monday",
              "tuesday",
              "wednesday",
              "thursday",
              "friday"
            ],
            "endTime": "17:00:00.0000000",
            "startTime": "08:00:00.0000000",
            "timeZone": {
              "name": "UTC"
            }
          }
        },
        {
          "error": {
            "message": "Unable to resolve e-mail address nobody@contoso.test to an Active Directory object.",
            "responseCode": "5009"
          },
          "scheduleId": "nobody@contoso.test"
        }
      ]
    }
    "##);
}

#[tokio::test]
async fn schedules_that_cannot_be_told_are_refused_in_exchanges_words() {
    let world = World::new().await;
    let megan = world.megan();
    let mut seen = Vec::new();
    let many: Vec<String> = (0..101).map(|n| format!("p{n}@contoso.test")).collect();
    for changes in [
        json!({"endTime": at("2026-12-01T09:00:00")}),
        json!({"endTime": at("2027-02-02T09:00:00")}),
        json!({"availabilityViewInterval": 4}),
        json!({"availabilityViewInterval": 1440}),
        json!({"schedules": many}),
        json!({"schedules": null}),
        json!({"startTime": {"dateTime": "soon"}}),
    ] {
        seen.push(ask(&megan, &["megan@contoso.test"], changes).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r##"
    [
      "400 ErrorInvalidTimeInterval: The time duration specified for FreeBusyViewOptions.TimeWindow is invalid.",
      "400 ErrorTimeIntervalTooBig: The requested time duration specified for FreeBusyViewOptions.TimeWindow is too long. The allowed limit = 62 days; the actual limit = 63 days.",
      "400 ErrorInvalidMergedFreeBusyInterval: The specified merged free/busy interval is not valid. Specify an interval that is less than the free/busy time window and between 5 and 1440 minutes.",
      "400 ErrorInvalidMergedFreeBusyInterval: The specified merged free/busy interval is not valid. Specify an interval that is less than the free/busy time window and between 5 and 1440 minutes.",
      "400 ErrorMailboxDataArrayTooBig: There are too many target users in the EmailAddress array. The allowed size = 100; the actual size = 101.",
      "400 ErrorInvalidRequest: schedules is required.",
      "400 RequestBodyRead: startTime/dateTime must be a date-time such as 2026-11-25T10:00:00."
    ]
    "##);
    assert_eq!(megan.get("/v1.0/me/calendar/getSchedule").await.status, 405);
}

#[tokio::test]
async fn a_schedule_with_too_many_entries_is_not_told_and_the_others_are() {
    let world = World::new().await;
    let hourly = |hour: u32| {
        json!({"subject": "x",
        "start": at(&format!("2026-12-01T{hour:02}:00:00")), "end": at(&format!("2026-12-01T{hour:02}:30:00")),
        "recurrence": {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-12-01"}}})
    };
    for hour in 0..17 {
        ok(world.adele().post("/v1.0/me/events", hourly(hour)).await, StatusCode::CREATED);
    }
    let changes = json!({"endTime": at("2027-01-31T09:00:00"), "availabilityViewInterval": "1440"});
    let asked = ok(ask(&world.megan(), &["adele@contoso.test", "megan@contoso.test"], changes).await, StatusCode::OK);
    assert_eq!(asked.text("/value/0/error/responseCode"), "5006");
    assert_eq!(asked.text("/value/1/availabilityView"), "0".repeat(61));
}
