//! Megan says how she wants dates and times, when she works, and that she is away.

use http::StatusCode;
use serde_json::json;

use crate::world::{World, ok, settled};

const SETTINGS: &str = "/v1.0/me/mailboxSettings";

#[tokio::test]
async fn settings_are_shown_all_together_and_one_by_one() {
    let world = World::new().await;
    let megan = world.megan();
    let all = ok(megan.get(SETTINGS).await, StatusCode::OK);
    let archive = ok(megan.get("/v1.0/me/mailFolders/archive").await, StatusCode::OK).text("/id");
    assert_eq!(all.text("/archiveFolder"), archive);
    let mut shown = settled(&all.json);
    shown.as_object_mut().unwrap().remove("archiveFolder");
    insta::assert_json_snapshot!(shown, @r##"
    {
      "@odata.context": "http://graph.test:8443/v1.0/$metadata#users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/mailboxSettings",
      "automaticRepliesSetting": {
        "externalAudience": "all",
        "externalReplyMessage": "",
        "internalReplyMessage": "",
        "scheduledEndDateTime": {
          "dateTime": "0001-01-01T00:00:00.0000000",
          "timeZone": "UTC"
        },
        "scheduledStartDateTime": {
          "dateTime": "0001-01-01T00:00:00.0000000",
          "timeZone": "UTC"
        },
        "status": "disabled"
      },
      "dateFormat": "M/d/yyyy",
      "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
      "language": {
        "displayName": "English (United States)",
        "locale": "en-US"
      },
      "timeFormat": "h:mm tt",
      "timeZone": "UTC",
      "userPurpose": "user",
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
    }
    "##);
    let zone = ok(megan.get(&format!("{SETTINGS}/timezone")).await, StatusCode::OK);
    assert_eq!(
        (zone.text("/value").as_str(), zone.text("/@odata.context").ends_with("/mailboxSettings/timeZone")),
        ("UTC", true)
    );
    let hours = ok(megan.get(&format!("{SETTINGS}/workingHours")).await, StatusCode::OK);
    assert_eq!(hours.text("/startTime"), "08:00:00.0000000");
    let some = ok(megan.get(&format!("{SETTINGS}?$select=timeZone,Language")).await, StatusCode::OK);
    assert_eq!(some.json.as_object().map(|some| some.len()), Some(3), "{}", some.json);
    assert_eq!(megan.get(&format!("{SETTINGS}/colour")).await.status, 404);
    let unknown = megan.get(&format!("{SETTINGS}?$select=colour")).await;
    assert!(unknown.refusal().contains("'colour' on type 'microsoft.graph.mailboxSettings'"), "{}", unknown.refusal());
}

#[tokio::test]
async fn what_is_set_stays_and_the_rest_is_as_before() {
    let world = World::new().await;
    let megan = world.megan();
    let patch = json!({
        "@odata.context": "…",
        "timeZone": "W. Europe Standard Time",
        "userPurpose": "room",
        "language": {"locale": "de-DE"},
        "automaticRepliesSetting": {
            "status": "Scheduled",
            "internalReplyMessage": "away",
            "scheduledStartDateTime": {"dateTime": "2026-12-24T08:00:00", "timeZone": "W. Europe Standard Time"},
            "scheduledEndDateTime": {"dateTime": "2027-01-02T08:00:00", "timeZone": "W. Europe Standard Time"},
        },
    });
    let patched = ok(megan.patch(SETTINGS, patch).await, StatusCode::OK);
    let names: Vec<&String> = patched.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["@odata.context", "automaticRepliesSetting", "language", "timeZone"], "what was changed");
    let replies = &patched.json["automaticRepliesSetting"];
    assert_eq!((&replies["status"], &replies["externalAudience"]), (&json!("scheduled"), &json!("all")));
    assert_eq!(replies["scheduledStartDateTime"]["dateTime"], "2026-12-24T07:00:00.0000000");
    ok(megan.patch(SETTINGS, json!({"workingHours": {"startTime": "09:30"}})).await, StatusCode::OK);
    let all = ok(megan.get(SETTINGS).await, StatusCode::OK);
    assert_eq!((all.text("/userPurpose"), all.text("/dateFormat")), ("user".to_owned(), "M/d/yyyy".to_owned()));
    let hours = &all.json["workingHours"];
    assert_eq!((&hours["startTime"], &hours["endTime"]), (&json!("09:30:00.0000000"), &json!("17:00:00.0000000")));
    assert_eq!(hours["timeZone"]["name"], "W. Europe Standard Time");
    assert_eq!(world.adele().get(SETTINGS).await.text("/timeZone"), "UTC", "of the others nothing has changed");
    let categories = ok(megan.get("/v1.0/me/outlook/masterCategories").await, StatusCode::OK);
    assert_ne!(categories.json["value"], json!([]));
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let world = World::new().await;
    let megan = world.megan();
    let before = megan.get(SETTINGS).await.json;
    let mut seen = Vec::new();
    for patch in [
        json!({"timeZone": "Middle Earth"}),
        json!({"workingHours": {"timeZone": {"name": "Middle Earth"}}}),
        json!({"workingHours": {"startTime": "soon"}}),
        json!({"language": {"displayName": "German"}}),
        json!({"automaticRepliesSetting": {"status": "scheduled"}}),
        json!({"automaticRepliesSetting": {"internalReplyMessage": "x".repeat(60_000), "externalReplyMessage": "y".repeat(60_000)}}),
        json!({"colour": "red"}),
    ] {
        seen.push(megan.patch(SETTINGS, patch).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r##"
    [
      "400 TimeZoneNotSupportedException: A valid TimeZone value must be specified. The following TimeZone value is not supported: 'Middle Earth'.",
      "400 TimeZoneNotSupportedException: A valid TimeZone value must be specified. The following TimeZone value is not supported: 'Middle Earth'.",
      "400 RequestBodyRead: workingHours/startTime must be a time of day such as 08:00:00.",
      "400 RequestBodyRead: language/locale must be a locale such as en-US.",
      "400 RequestBodyRead: automaticRepliesSetting/scheduledEndDateTime must be later than scheduledStartDateTime.",
      "400 RequestBodyRead: mailboxSettings is too long: 65536 bytes are the most.",
      "400 RequestBodyRead: The property 'colour' does not exist on the type of this resource. Make sure to only use property names that are defined by the type."
    ]
    "##);
    assert_eq!(megan.get(SETTINGS).await.json, before);
}
