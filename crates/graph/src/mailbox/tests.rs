pub(super) use serde_json::json;

use super::*;
use crate::{ChangeType, WellKnown};

pub(crate) fn megan() -> Owner {
    Owner {
        tenant: "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().unwrap(),
        id: "622eaaff-0683-4862-9de4-f2ec83c2bd98".parse().unwrap(),
        address: "megan@contoso.test".to_owned(),
        name: "Megan".to_owned(),
    }
}

/// Ids of the n-th operation, a minute after the one before.
pub(super) fn fresh(n: u8) -> Fresh {
    Fresh {
        now: "2026-11-21T10:00:00.25Z".parse::<Timestamp>().unwrap().plus_minutes(n.into()),
        uuid: Uuid::from_u128(u128::from(n) << 64),
        change: ChangeId(Uuid::from_u128(u128::from(n) * 2)),
        removal: ChangeId(Uuid::from_u128(u128::from(n) * 2 + 1)),
    }
}

pub(super) fn folder(well_known: WellKnown) -> FolderId {
    well_known.id_in(megan().id)
}

pub(super) fn folders() -> Vec<Folder> {
    WellKnown::ALL.iter().map(|well_known| well_known.folder_in(megan().id)).collect()
}

pub(super) fn made(well_known: WellKnown, body: Value) -> Item {
    create(&megan(), &fresh(1), folder(well_known), body).unwrap().item
}

pub(super) fn draft(body: Value) -> Item {
    made(WellKnown::Drafts, body)
}

pub(super) fn meeting() -> Value {
    json!({
        "subject": "Plan",
        "start": { "dateTime": "2026-11-25T10:00:00", "timeZone": "W. Europe Standard Time" },
        "end": { "dateTime": "2026-11-25T11:00:00", "timeZone": "W. Europe Standard Time" },
    })
}

pub(super) fn patched(item: &Item, body: Value) -> Item {
    patch(&megan(), &fresh(2), item, body).unwrap().item
}

pub(super) fn refused(item: &Item, body: Value) -> String {
    patch(&megan(), &fresh(2), item, body).unwrap_err().to_string()
}

fn members<'a>(properties: &'a Properties, name: &str) -> impl Iterator<Item = &'a Value> {
    properties[name].as_array().into_iter().flatten()
}

pub(super) fn changes(mutation: &Mutation) -> Vec<(ChangeType, ItemId, FolderId)> {
    mutation.changes.iter().map(|change| (change.change, change.item, change.folder)).collect()
}

#[test]
fn a_draft_gets_outlooks_defaults() {
    let written = create(
        &megan(),
        &fresh(1),
        folder(WellKnown::Drafts),
        json!({
            "subject": "Hi",
            "body": { "contentType": "html", "content": "<style>p{}</style><p>Hello   <b>you</b></p>" },
            "toRecipients": [{ "emailAddress": { "address": "adele@contoso.test" } }],
            "receivedDateTime": "2020-01-01T00:00:00Z",
        }),
    )
    .unwrap();
    insta::assert_json_snapshot!(written.item.properties, @r#"
    {
      "bccRecipients": [],
      "body": {
        "content": "<style>p{}</style><p>Hello   <b>you</b></p>",
        "contentType": "html"
      },
      "bodyPreview": "Hello you",
      "categories": [],
      "ccRecipients": [],
      "conversationId": "AAQkAHVZKFwffllfieBiW_POgZA=",
      "conversationIndex": "AQHdeZ81dVkoXB9+WV+J4GJb886BkA==",
      "flag": {
        "flagStatus": "notFlagged"
      },
      "hasAttachments": false,
      "importance": "normal",
      "inferenceClassification": "focused",
      "internetMessageId": "<00000000-0000-0001-0000-000000000000@contoso.test>",
      "isDeliveryReceiptRequested": false,
      "isDraft": true,
      "isRead": true,
      "isReadReceiptRequested": false,
      "receivedDateTime": "2026-11-21T10:01:00Z",
      "replyTo": [],
      "sentDateTime": "2026-11-21T10:01:00Z",
      "subject": "Hi",
      "toRecipients": [
        {
          "emailAddress": {
            "address": "adele@contoso.test",
            "name": "adele@contoso.test"
          }
        }
      ]
    }
    "#);
    assert_eq!(written.mutation.expect, [(written.item.id, None)]);
    assert_eq!(written.mutation.puts.first(), Some(&written.item));
    let id = written.item.id;
    assert_eq!(changes(&written.mutation), [(ChangeType::Created, id, folder(WellKnown::Drafts))]);
    assert_eq!(written.mutation.changes[0].id, written.item.version);
    assert!(!written.mutation.changes[0].after.contains_key("body"));
}

#[test]
fn an_event_is_kept_in_utc_and_remembers_its_zone() {
    let mut body = meeting();
    body["location"] = json!({ "displayName": "Hall" });
    body["attendees"] = json!([{ "emailAddress": { "address": "adele@contoso.test" }, "type": "Optional" }]);
    insta::assert_json_snapshot!(made(WellKnown::Calendar, body).properties, @r#"
    {
      "allowNewTimeProposals": true,
      "attendees": [
        {
          "emailAddress": {
            "address": "adele@contoso.test",
            "name": "adele@contoso.test"
          },
          "status": {
            "response": "none",
            "time": "0001-01-01T00:00:00Z"
          },
          "type": "optional"
        }
      ],
      "body": {
        "content": "",
        "contentType": "text"
      },
      "bodyPreview": "",
      "categories": [],
      "end": {
        "dateTime": "2026-11-25T10:00:00.0000000",
        "timeZone": "UTC"
      },
      "hasAttachments": false,
      "hideAttendees": false,
      "iCalUId": "040000008200E00074C5B7101A82E00800000000A07BED359F79DD0100000000000000001000000000000000000000010000000000000000",
      "importance": "normal",
      "isAllDay": false,
      "isCancelled": false,
      "isDraft": false,
      "isOnlineMeeting": false,
      "isOrganizer": true,
      "isReminderOn": true,
      "location": {
        "displayName": "Hall",
        "locationType": "default",
        "uniqueId": "Hall",
        "uniqueIdType": "private"
      },
      "locations": [
        {
          "displayName": "Hall",
          "locationType": "default",
          "uniqueId": "Hall",
          "uniqueIdType": "private"
        }
      ],
      "onlineMeetingProvider": "unknown",
      "organizer": {
        "emailAddress": {
          "address": "megan@contoso.test",
          "name": "Megan"
        }
      },
      "originalEndTimeZone": "W. Europe Standard Time",
      "originalStartTimeZone": "W. Europe Standard Time",
      "reminderMinutesBeforeStart": 15,
      "responseRequested": true,
      "responseStatus": {
        "response": "organizer",
        "time": "0001-01-01T00:00:00Z"
      },
      "sensitivity": "normal",
      "showAs": "busy",
      "start": {
        "dateTime": "2026-11-25T09:00:00.0000000",
        "timeZone": "UTC"
      },
      "subject": "Plan",
      "type": "singleInstance"
    }
    "#);
}

#[test]
fn event_times_are_read_in_every_form_or_refused() {
    let calendar = folder(WellKnown::Calendar);
    let start = |start: Value| {
        let end = json!({ "dateTime": "2027-01-01T00:00:00" });
        let body = json!({ "start": start, "end": end });
        let written = create(&megan(), &fresh(1), calendar, body).map_err(|refusal| refusal.to_string())?;
        Ok::<_, String>(text(written.item.properties["start"].as_object().unwrap(), "dateTime").to_owned())
    };
    for (date_time, zone, stored) in [
        ("2026-11-25T10:00:00", "UTC", "2026-11-25T10:00:00.0000000"),
        ("2026-11-25T10:00:00.1234567", "tzone://Microsoft/Utc", "2026-11-25T10:00:00.1234567"),
        ("2026-07-01T10:00:00", "Pacific Standard Time", "2026-07-01T17:00:00.0000000"),
        ("2026-07-01T10:00", "Asia/Kolkata", "2026-07-01T04:30:00.0000000"),
        ("2026-11-25T10:00:00Z", "Asia/Kolkata", "2026-11-25T10:00:00.0000000"),
        ("2026-11-25T10:00:00+02:00", "UTC", "2026-11-25T08:00:00.0000000"),
    ] {
        assert_eq!(start(json!({ "dateTime": date_time, "timeZone": zone })).as_deref(), Ok(stored), "{date_time}");
    }
    for (value, refusal) in [
        (json!({ "dateTime": "soon" }), "start/dateTime must be a date-time such as 2026-11-25T10:00:00"),
        (json!({}), "start/dateTime must be a date-time such as 2026-11-25T10:00:00"),
        (json!({ "dateTime": "2026-11-25T10:00:00", "timeZone": "Mars" }), "the time zone Mars is not known"),
        (json!({ "dateTime": "2027-11-25T10:00:00" }), "end must be later than start"),
        (Value::Null, "start is required"),
    ] {
        assert_eq!(start(value.clone()), Err(refusal.to_owned()), "{value}");
    }
}

#[test]
fn an_all_day_event_stays_on_its_days() {
    let day = |day: &str| json!({ "dateTime": format!("2026-11-{day}"), "timeZone": "Tokyo Standard Time" });
    let all_day = |start: &str, end: &str| {
        let body = json!({ "isAllDay": true, "start": day(start), "end": day(end) });
        create(&megan(), &fresh(1), folder(WellKnown::Calendar), body).map_err(|refusal| refusal.to_string())
    };
    let stored = all_day("25T00:00:00", "26T00:00:00").unwrap().item.properties;
    assert_eq!(stored["start"], json!({ "dateTime": "2026-11-25T00:00:00.0000000", "timeZone": "UTC" }));
    assert_eq!(stored["originalStartTimeZone"], "Tokyo Standard Time");
    assert_eq!(all_day("25T00:00:00", "25T00:00:00").unwrap_err(), "end must be later than start");
    assert_eq!(all_day("25T01:00:00", "26T00:00:00").unwrap_err(), "start must be at midnight in an all-day event");
}

#[test]
fn a_transaction_names_an_event_and_another_one_when_that_is_gone() {
    let first = transaction_uuid(&megan(), "once", 0);
    assert_eq!(first, transaction_uuid(&megan(), "once", 0));
    assert_ne!(first, transaction_uuid(&megan(), "once", 1));
    assert_ne!(first, transaction_uuid(&megan(), "twice", 0));
}

#[test]
fn a_contact_is_named_by_its_parts() {
    let contact = |body| made(WellKnown::Contacts, body).properties;
    let named = contact(json!({ "givenName": "Adele", "surname": "Vance" }));
    assert_eq!((text(&named, "displayName"), text(&named, "fileAs")), ("Adele Vance", "Vance, Adele"));
    let named = contact(json!({ "emailAddresses": [{ "address": "a@contoso.test" }] }));
    assert_eq!((text(&named, "displayName"), text(&named, "fileAs")), ("a@contoso.test", "a@contoso.test"));
    let named = contact(json!({ "displayName": "Boss", "companyName": "Contoso" }));
    assert_eq!((text(&named, "displayName"), text(&named, "fileAs")), ("Boss", "Contoso"));
}

#[test]
fn a_contact_whose_name_changes_is_renamed() {
    let contact = made(WellKnown::Contacts, json!({ "givenName": "Adele", "surname": "Vance" }));
    let renamed = patched(&contact, json!({ "surname": "Smith" })).properties;
    assert_eq!((text(&renamed, "displayName"), text(&renamed, "fileAs")), ("Adele Smith", "Smith, Adele"));
    let renamed = patched(&contact, json!({ "surname": "Smith", "displayName": "Addie" })).properties;
    assert_eq!(text(&renamed, "displayName"), "Addie");
    let moved = made(WellKnown::Contacts, json!({ "homeAddress": { "city": "Lyon", "street": "x" } }));
    let moved = patched(&moved, json!({ "homeAddress": { "city": "Paris" } })).properties;
    assert_eq!(moved["homeAddress"], json!({ "city": "Paris", "street": "x" }));
}

#[test]
fn a_contact_has_three_places_for_mail_addresses_and_lists_them() {
    let at = |name: &str| json!({ "name": name, "address": format!("{name}@contoso.test") });
    let shown = |item: &Item| {
        let place = |name: &str| item.properties.get(name).map(|place| place["name"].clone()).unwrap_or_default();
        let listed = members(&item.properties, "emailAddresses").map(|address| address["name"].clone());
        let places = ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"].map(place);
        (places, listed.collect::<Vec<_>>())
    };
    let listed = made(WellKnown::Contacts, json!({ "emailAddresses": [at("a"), {}, at("b"), at("c"), at("d")] }));
    assert_eq!(shown(&listed), ([json!("a"), json!("b"), json!("c")], vec![json!("a"), json!("b"), json!("c")]));
    let replaced = patched(&listed, json!({ "secondaryEmailAddress": at("x"), "tertiaryEmailAddress": null }));
    assert_eq!(shown(&replaced), ([json!("a"), json!("x"), json!(null)], vec![json!("a"), json!("x")]));
    let gap = patched(&replaced, json!({ "primaryEmailAddress": null }));
    assert_eq!(shown(&gap), ([json!(null), json!("x"), json!(null)], vec![json!("x")]));
    assert_eq!(patched(&gap, json!({})).properties, gap.properties);
    // A client that sends back what it read, with another list, means the list.
    let mut whole = Value::Object(Properties::clone(&listed.properties));
    whole["emailAddresses"] = json!([at("z")]);
    assert_eq!(shown(&patched(&listed, whole)), ([json!("z"), json!(null), json!(null)], vec![json!("z")]));
    let both = json!({ "emailAddresses": [at("a"), at("b")], "primaryEmailAddress": at("p") });
    let both = made(WellKnown::Contacts, both);
    assert_eq!(shown(&both), ([json!("p"), json!("b"), json!(null)], vec![json!("p"), json!("b")]));
}

#[test]
fn a_contact_named_after_its_address_or_company_follows_them() {
    let contact = made(WellKnown::Contacts, json!({ "emailAddresses": [{ "address": "a@contoso.test" }] }));
    let moved = patched(&contact, json!({ "primaryEmailAddress": { "address": "b@contoso.test" } })).properties;
    assert_eq!((text(&moved, "displayName"), text(&moved, "fileAs")), ("b@contoso.test", "b@contoso.test"));
    let named = patched(&contact, json!({ "displayName": "Boss" }));
    let named = patched(&named, json!({ "companyName": "Contoso" })).properties;
    assert_eq!((text(&named, "displayName"), text(&named, "fileAs")), ("Boss", "Contoso"));
}

#[test]
fn an_empty_postal_address_has_no_members() {
    let contact = made(WellKnown::Contacts, json!({ "homeAddress": { "city": "Lyon", "street": null } }));
    assert_eq!(contact.properties["homeAddress"], json!({ "city": "Lyon" }));
    let emptied = patched(&contact, json!({ "homeAddress": { "city": null } })).properties;
    assert_eq!((&emptied["homeAddress"], &emptied["otherAddress"]), (&json!({}), &json!({})));
    let emptied = patched(&contact, json!({ "homeAddress": null })).properties;
    assert_eq!(emptied["homeAddress"], json!({}));
}

#[test]
fn a_photo_is_a_picture_and_an_update_of_its_contact() {
    let contact = made(WellKnown::Contacts, json!({ "givenName": "Ada" }));
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0".to_vec();
    let written = set_photo(&megan(), &fresh(2), &contact, png.clone()).unwrap();
    assert_eq!(changes(&written.mutation), [(ChangeType::Updated, contact.id, contact.folder)]);
    assert_ne!(written.item.version, contact.version);
    let [put] = &written.mutation.attachment_puts[..] else { panic!("one photo is written") };
    assert_eq!((put.item, put.attachment.id, &put.content), (contact.immutable, photo_id(&contact), &png));
    assert_eq!((&put.attachment.properties["width"], &put.attachment.properties["height"]), (&json!(640), &json!(480)));
    let removed = remove_photo(&megan(), &fresh(3), &written.item);
    assert_eq!(removed.mutation.attachment_removes, [(contact.immutable, photo_id(&contact))]);
    let refused = |content| set_photo(&megan(), &fresh(2), &contact, content).unwrap_err().to_string();
    assert_eq!(refused(b"GIF89a".to_vec()), "the photo must be a JPEG or PNG file");
    assert_eq!(refused(vec![0; PHOTO_BYTES_MAX + 1]), "the photo is too long: 4194304 bytes are the most");
}

#[test]
fn a_patch_makes_a_version_and_tells_the_old_values() {
    let item = draft(json!({ "subject": "Old", "body": { "content": "a" } }));
    let body = json!({ "Subject": "New", "isRead": true, "body": { "content": "b" }, "id": "x" });
    let written = patch(&megan(), &fresh(2), &item, body).unwrap();
    assert_eq!(written.mutation.expect, [(item.id, Some(item.version))]);
    assert_eq!(written.item.id, item.id);
    assert_eq!(written.item.created, item.created);
    assert_eq!(written.item.modified.to_string(), "2026-11-21T10:02:00Z");
    assert_eq!(written.item.properties["bodyPreview"], "b");
    let change = &written.mutation.changes[0];
    assert_eq!((change.change, change.id), (ChangeType::Updated, written.item.version));
    assert_eq!(json!(change.before), json!({ "subject": "Old", "bodyPreview": "a" }));
}

#[test]
fn a_patch_that_alters_nothing_still_makes_a_version() {
    let item = draft(json!({ "subject": "x" }));
    let written = patch(&megan(), &fresh(2), &item, json!({})).unwrap();
    assert_ne!(written.item.version, item.version);
    assert_eq!(written.mutation.changes.len(), 1);
    assert!(written.mutation.changes[0].before.is_empty());
}

#[test]
fn only_a_draft_changes_its_subject() {
    let owner = megan();
    let mut properties = Properties::clone(&draft(json!({ "subject": "x" })).properties);
    properties.insert("isDraft".to_owned(), json!(false));
    let received = receive(&owner, &fresh(1), folder(WellKnown::Inbox), properties).unwrap().item;
    assert_eq!(refused(&received, json!({ "subject": "y" })), "subject cannot be changed");
    assert_eq!(refused(&received, json!({ "receivedDateTime": null })), "receivedDateTime cannot be changed");
    assert_eq!(refused(&received, json!({ "isDraft": true })), "isDraft cannot be changed");
    let same = patched(&received, json!({ "subject": "x", "isRead": true, "importance": "High" }));
    assert_eq!((&same.properties["isRead"], &same.properties["importance"]), (&json!(true), &json!("high")));
}

#[test]
fn a_flag_is_set_with_times_in_utc_and_cleared_whole() {
    let item = draft(json!({}));
    let due = json!({ "dateTime": "2026-11-25T10:00:00", "timeZone": "Europe/Berlin" });
    let start = json!({ "dateTime": "2026-11-24T10:00:00", "timeZone": "Europe/Berlin" });
    let flagged =
        patched(&item, json!({ "flag": { "flagStatus": "Flagged", "startDateTime": start, "dueDateTime": due } }));
    assert_eq!(
        flagged.properties["flag"],
        json!({
            "flagStatus": "flagged",
            "startDateTime": { "dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC" },
            "dueDateTime": { "dateTime": "2026-11-25T09:00:00.0000000", "timeZone": "UTC" },
        })
    );
    let no_start = json!({ "flag": { "flagStatus": "flagged", "dueDateTime": due } });
    assert_eq!(refused(&item, no_start), "flag/startDateTime is required");
    let backwards = json!({ "flag": { "flagStatus": "flagged", "startDateTime": due, "dueDateTime": start } });
    assert_eq!(refused(&item, backwards), "flag/dueDateTime must be no earlier than flag/startDateTime");
    let complete = patched(&item, json!({ "flag": { "flagStatus": "complete" } }));
    let completed = &complete.properties["flag"]["completedDateTime"]["dateTime"];
    assert_eq!(completed, "2026-11-21T00:00:00.0000000");
    let cleared = patched(&flagged, json!({ "flag": { "flagStatus": "notFlagged", "dueDateTime": due } }));
    assert_eq!(cleared.properties["flag"], json!({ "flagStatus": "notFlagged" }));
}

#[test]
fn what_follows_from_an_events_properties_follows_their_change() {
    let event = made(WellKnown::Calendar, meeting());
    let moved = patched(
        &event,
        json!({
            "start": { "dateTime": "2026-11-25T09:30:00", "timeZone": "UTC" },
            "location": { "displayName": "Yard" },
            "recurrence": {
                "pattern": { "type": "Daily", "interval": 1 },
                "range": { "type": "noEnd", "startDate": "2026-11-25" },
            },
        }),
    )
    .properties;
    assert_eq!(moved["originalStartTimeZone"], "UTC");
    assert_eq!(moved["originalEndTimeZone"], "W. Europe Standard Time");
    assert_eq!(moved["locations"][0]["displayName"], "Yard");
    assert_eq!(moved["type"], "seriesMaster");
    assert_eq!(refused(&event, json!({ "end": { "dateTime": "2026-01-01" } })), "end must be later than start");
    assert_eq!(refused(&event, json!({ "start": null })), "start is required");
    assert_eq!(refused(&event, json!({ "transactionId": "x" })), "transactionId cannot be changed");
}

#[test]
fn attendees_that_are_sent_again_keep_their_answers() {
    let asked = |address: &str| json!({ "emailAddress": { "address": address } });
    let mut body = meeting();
    let mut adele = asked("adele@contoso.test");
    adele["status"] = json!({ "response": "accepted", "time": "2026-11-21T10:00:00Z" });
    body["attendees"] = json!([adele]);
    let event = made(WellKnown::Calendar, body);
    let both = json!({ "attendees": [asked("Adele@contoso.test"), asked("alex@contoso.test")] });
    let attendees = patched(&event, both).properties["attendees"].clone();
    assert_eq!(attendees[0]["status"]["response"], "accepted");
    assert_eq!(attendees[1]["status"]["response"], "none");
}

#[test]
fn extended_properties_are_merged_by_id() {
    let property = |id: &str, value: &str| json!({ "id": format!("String {id}"), "value": value });
    let item = draft(json!({ "singleValueExtendedProperties": [property("0x7001", "1"), property("0x700a", "2")] }));
    let merged = patched(&item, json!({ "singleValueExtendedProperties": [property("0X700A", "3")] }));
    let stored = &merged.properties["singleValueExtendedProperties"];
    assert_eq!(stored, &json!([property("0x7001", "1"), property("0x700a", "3")]));
    let many: Vec<_> = (0..999).map(|n| property(&format!("0x{n:x}"), "x")).collect();
    let too_many = refused(&item, json!({ "singleValueExtendedProperties": many }));
    assert_eq!(too_many, "singleValueExtendedProperties is too long: 1000 members are the most");
}

#[test]
fn a_recurrence_is_whole_or_refused() {
    let series = |recurrence: Value| {
        let mut body = meeting();
        body["recurrence"] = recurrence;
        let written = create(&megan(), &fresh(1), folder(WellKnown::Calendar), body);
        written.map(|written| written.item.properties).map_err(|refusal| refusal.to_string())
    };
    let range = json!({ "startDate": "2026-11-25", "endDate": "2026-12-25" });
    let whole = series(json!({ "pattern": { "type": "weekly", "daysOfWeek": ["Monday"] }, "range": range })).unwrap();
    insta::assert_json_snapshot!(whole["recurrence"], @r#"
    {
      "pattern": {
        "dayOfMonth": 0,
        "daysOfWeek": [
          "monday"
        ],
        "firstDayOfWeek": "sunday",
        "index": "first",
        "interval": 1,
        "month": 0,
        "type": "weekly"
      },
      "range": {
        "endDate": "2026-12-25",
        "numberOfOccurrences": 0,
        "recurrenceTimeZone": "W. Europe Standard Time",
        "startDate": "2026-11-25",
        "type": "endDate"
      }
    }
    "#);
    for (recurrence, refusal) in [
        (json!({}), "recurrence/pattern is required"),
        (json!({ "pattern": {} }), "recurrence/pattern/type is required"),
        (json!({ "pattern": { "type": "daily" } }), "recurrence/range is required"),
        (json!({ "pattern": { "type": "daily", "interval": 0 } }), "recurrence/pattern/interval must be from 1 to 999"),
        (json!({ "pattern": { "type": "daily" }, "range": {} }), "recurrence/range/startDate is required"),
    ] {
        assert_eq!(series(recurrence.clone()), Err(refusal.to_owned()), "{recurrence}");
    }
}

#[test]
fn a_deleted_message_goes_to_deleted_items_then_to_recoverable_items_then_for_good() {
    let (owner, item) = (megan(), draft(json!({})));
    let mutation = delete(&owner, &fresh(2), &item);
    let bin = folder(WellKnown::DeletedItems);
    let moved = &mutation.puts[0];
    assert_ne!(moved.id, item.id);
    assert_eq!((moved.folder, moved.created), (bin, item.created));
    assert_eq!(mutation.removes, [item.id]);
    assert_eq!(changes(&mutation), [(ChangeType::Deleted, item.id, item.folder), (ChangeType::Created, moved.id, bin)]);
    assert_ne!(mutation.changes[0].id, mutation.changes[1].id);
    let buried = delete(&owner, &fresh(3), moved);
    let lost = &buried.puts[0];
    assert_eq!((lost.folder, lost.immutable), (folder(WellKnown::RecoverableItemsDeletions), item.immutable));
    assert_eq!(changes(&buried), [(ChangeType::Deleted, moved.id, bin)], "nobody hears of its arrival there");
    assert_eq!(buried.changes[0].moved, None, "to every subscriber it is gone");
    assert_eq!(changes(&patch(&owner, &fresh(4), lost, json!({ "isRead": false })).unwrap().mutation), []);
    let restored = move_item(&owner, &fresh(5), lost, folder(WellKnown::Inbox)).unwrap();
    let back = (ChangeType::Created, restored.item.id, folder(WellKnown::Inbox));
    assert_eq!((changes(&restored.mutation), restored.mutation.changes[0].moved), (vec![back], None));
    let gone = delete(&owner, &fresh(6), lost);
    assert_eq!((gone.puts.len(), &gone.removes, changes(&gone)), (0, &vec![lost.id], vec![]));
}

#[test]
fn events_and_contacts_are_deleted_for_good() {
    for (place, body) in [(WellKnown::Calendar, meeting()), (WellKnown::Contacts, json!({}))] {
        let item = made(place, body);
        let mutation = delete(&megan(), &fresh(2), &item);
        assert_eq!(mutation.expect, [(item.id, Some(item.version))]);
        assert_eq!(changes(&mutation), [(ChangeType::Deleted, item.id, item.folder)]);
    }
}

#[test]
fn a_move_gives_a_new_id_even_within_the_folder() {
    let item = draft(json!({}));
    for place in [WellKnown::Archive, WellKnown::Drafts] {
        let moved = move_item(&megan(), &fresh(2), &item, folder(place)).unwrap();
        assert_eq!((moved.item.created, &moved.item.properties), (item.created, &item.properties));
        assert_eq!(
            changes(&moved.mutation),
            [(ChangeType::Deleted, item.id, item.folder), (ChangeType::Created, moved.item.id, folder(place))]
        );
        assert_ne!(moved.item.id, item.id);
    }
}

#[test]
fn a_copy_leaves_the_original() {
    let item = draft(json!({}));
    let copied = copy_item(&megan(), &fresh(2), &item, folder(WellKnown::Archive)).unwrap();
    assert!(copied.mutation.removes.is_empty());
    assert_eq!(changes(&copied.mutation), [(ChangeType::Created, copied.item.id, folder(WellKnown::Archive))]);
    let elsewhere = folder(WellKnown::Contacts);
    assert_eq!(copy_item(&megan(), &fresh(2), &item, elsewhere), Err(Refusal::FolderNotFound));
    let event = made(WellKnown::Calendar, meeting());
    assert_eq!(move_item(&megan(), &fresh(2), &event, event.folder), Err(Refusal::NotMovable));
}

fn mail() -> Value {
    json!({
        "subject": "Hi",
        "categories": ["Mine"],
        "toRecipients": [{ "emailAddress": { "address": "Adele@contoso.test", "name": "Adele" } }],
        "ccRecipients": [{ "emailAddress": { "address": "adele@contoso.test" } }],
        "bccRecipients": [{ "emailAddress": { "address": "alex@contoso.test" } }],
    })
}

#[test]
fn sent_mail_lies_in_sent_items_and_hides_blind_copies_from_recipients() {
    let sent = send_mail(&megan(), &fresh(1), mail(), true).unwrap();
    assert_eq!(sent.recipients, ["adele@contoso.test", "alex@contoso.test"]);
    let kept = &sent.mutation.puts[0];
    assert_eq!(kept.folder, folder(WellKnown::SentItems));
    assert_eq!(kept.properties["isDraft"], false);
    assert_eq!(kept.properties["isRead"], true);
    assert_eq!(kept.properties["bccRecipients"].as_array().unwrap().len(), 1);
    for own in ["bccRecipients", "categories", "isRead", "isDraft", "flag", "receivedDateTime"] {
        assert!(!sent.message.contains_key(own), "{own}");
    }
    assert_eq!(address_of(&sent.message["from"]), "megan@contoso.test");
    assert_eq!(send_mail(&megan(), &fresh(1), mail(), false).unwrap().mutation, Mutation::default());
}

#[test]
fn sent_mail_arrives_unread_in_the_same_conversation() {
    let sent = send_mail(&megan(), &fresh(1), mail(), true).unwrap();
    let adele = Owner { address: "adele@contoso.test".to_owned(), ..megan() };
    let arrived = receive(&adele, &fresh(2), folder(WellKnown::Inbox), sent.message).unwrap().item.properties;
    assert_eq!((&arrived["isRead"], &arrived["isDraft"]), (&json!(false), &json!(false)));
    assert_eq!(arrived["receivedDateTime"], "2026-11-21T10:02:00Z");
    assert_eq!(arrived["sentDateTime"], "2026-11-21T10:01:00Z");
    assert_eq!(arrived["bccRecipients"], json!([]));
    for same in ["conversationId", "internetMessageId", "subject", "bodyPreview"] {
        assert_eq!(arrived[same], sent.mutation.puts[0].properties[same], "{same}");
    }
}

#[test]
fn a_sent_draft_leaves_its_folder() {
    let item = draft(mail());
    let sent = send_draft(&megan(), &fresh(2), &item).unwrap();
    let kept = &sent.mutation.puts[0];
    assert_eq!(
        changes(&sent.mutation),
        [
            (ChangeType::Deleted, item.id, folder(WellKnown::Drafts)),
            (ChangeType::Created, kept.id, folder(WellKnown::SentItems)),
        ]
    );
    assert_eq!(kept.properties["internetMessageId"], item.properties["internetMessageId"]);
    assert_eq!(kept.properties["sentDateTime"], "2026-11-21T10:02:00Z");
    assert_eq!(send_draft(&megan(), &fresh(3), kept), Err(Refusal::NotADraft));
}

#[test]
fn mail_that_cannot_be_sent_is_refused() {
    let to = |address: &str| json!({ "toRecipients": [{ "emailAddress": { "address": address } }] });
    let send = |message| send_mail(&megan(), &fresh(1), message, true).unwrap_err().to_string();
    assert_eq!(send(json!({})), "the message has no recipients");
    assert_eq!(send(to("nobody")), "this is no mail address: nobody");
    let mut forged = to("adele@contoso.test");
    forged["from"] = json!({ "emailAddress": { "address": "alex@contoso.test" } });
    assert_eq!(send(forged), "the mailbox may not send as alex@contoso.test");
    let address = |n| json!({ "emailAddress": { "address": format!("{n}@contoso.test") } });
    let many: Vec<_> = (0..=RECIPIENTS_MAX).map(address).collect();
    assert_eq!(send(json!({ "toRecipients": many })), "the message has more than 500 recipients");
    let mut header = to("adele@contoso.test");
    header["internetMessageHeaders"] = json!([{ "name": "Received", "value": "x" }]);
    assert_eq!(send(header), "internetMessageHeaders/name must be a name that begins with x-");
}

#[test]
fn a_folder_has_a_place_and_a_name_of_its_own() {
    let (owner, mut all) = (megan(), folders());
    let number = std::cell::Cell::new(0);
    let make = |kind, parent, all: &[Folder], body| {
        number.set(number.get() + 1);
        create_folder(&owner, &fresh(number.get()), kind, parent, all, body)
    };
    let made = make(Kind::Message, None, &all, json!({ "displayName": " Work " })).unwrap();
    assert_eq!(made.folder.display_name, "Work");
    assert_eq!(made.folder.parent, Some(folder(WellKnown::MsgFolderRoot)));
    assert_eq!(made.mutation.folder_puts.first(), Some(&made.folder));
    all.push(made.folder);
    let again = make(Kind::Message, None, &all, json!({ "displayName": "WORK" }));
    assert_eq!(again, Err(Refusal::FolderExists { name: "WORK".to_owned() }));
    let inbox = Some(folder(WellKnown::Inbox));
    assert!(make(Kind::Message, inbox, &all, json!({ "displayName": "Work" })).is_ok());
    assert_eq!(make(Kind::Event, None, &all, json!({ "name": "Team" })).unwrap().folder.parent, None);
    let friends = make(Kind::Contact, None, &all, json!({ "displayName": "Friends" })).unwrap();
    assert_eq!(friends.folder.parent, Some(folder(WellKnown::Contacts)));
    for (body, refusal) in [
        (json!({}), "displayName is required"),
        (json!({ "displayName": " " }), "displayName must be a name"),
        (json!({ "displayName": "x".repeat(256) }), "displayName is too long: 255 characters are the most"),
        (json!({ "displayName": "x", "isHidden": "yes" }), "isHidden must be a boolean"),
    ] {
        assert_eq!(make(Kind::Message, None, &all, body.clone()).unwrap_err().to_string(), refusal, "{body}");
    }
    let nowhere = Some(FolderId::new(Kind::Message, Uuid::nil()));
    let lost = make(Kind::Message, nowhere, &all, json!({ "displayName": "x" }));
    assert_eq!(lost, Err(Refusal::FolderNotFound));
}

#[test]
fn well_known_folders_keep_their_names() {
    let all = folders();
    let inbox = WellKnown::Inbox.folder_in(megan().id);
    assert_eq!(rename_folder(&inbox, &all, json!({ "displayName": "In" })), Err(Refusal::FolderNameFixed));
    assert!(rename_folder(&inbox, &all, json!({ "displayName": "Inbox" })).is_ok());
    assert_eq!(delete_folder(&inbox, &all), Err(Refusal::FolderProtected));
    let team = create_folder(&megan(), &fresh(1), Kind::Event, None, &all, json!({ "name": "Team" })).unwrap().folder;
    assert_eq!(
        delete_folder(&team, &all),
        Ok(FolderDeletion::ForGood(doomed(&team, &all).unwrap())),
        "it is a calendar"
    );
    let calendar = WellKnown::Calendar.folder_in(megan().id);
    assert_eq!(delete_folder(&calendar, &all), Err(Refusal::FolderProtected));
}

#[test]
fn a_contact_folder_is_deleted_for_good_with_those_below() {
    let mut all = folders();
    let make = |parent: Option<FolderId>, n, all: &[Folder]| {
        create_folder(&megan(), &fresh(n), Kind::Contact, parent, all, json!({ "displayName": "x" })).unwrap().folder
    };
    let outer = make(None, 1, &all);
    assert_eq!(outer.parent, Some(folder(WellKnown::Contacts)));
    all.push(outer.clone());
    let inner = make(Some(outer.id), 2, &all);
    all.push(inner.clone());
    let Ok(FolderDeletion::ForGood(doomed)) = delete_folder(&outer, &all) else { panic!("it was moved") };
    assert_eq!(doomed.folders, [inner.id, outer.id]);
    let default = WellKnown::Contacts.folder_in(megan().id);
    assert_eq!(delete_folder(&default, &all), Err(Refusal::FolderProtected));
}

#[test]
fn a_deleted_folder_goes_to_deleted_items_and_from_there_for_good() {
    let (owner, mut all) = (megan(), folders());
    let body = json!({ "displayName": "Work" });
    let work = create_folder(&owner, &fresh(1), Kind::Message, None, &all, body.clone()).unwrap().folder;
    all.push(work.clone());
    let Ok(FolderDeletion::ToDeletedItems(mutation)) = delete_folder(&work, &all) else {
        panic!("it was not moved");
    };
    let moved = mutation.folder_puts[0].clone();
    assert_eq!((moved.id, moved.parent), (work.id, Some(folder(WellKnown::DeletedItems))));
    all.retain(|folder| folder.id != work.id);
    all.push(moved.clone());
    let child = create_folder(&owner, &fresh(2), Kind::Message, Some(work.id), &all, body.clone()).unwrap().folder;
    all.push(child.clone());
    let second = create_folder(&owner, &fresh(3), Kind::Message, None, &all, body).unwrap().folder;
    all.push(second.clone());
    let Ok(FolderDeletion::ToDeletedItems(mutation)) = delete_folder(&second, &all) else {
        panic!("it was not moved");
    };
    assert_eq!(mutation.folder_puts[0].display_name, "Work (2)");
    let Ok(FolderDeletion::ForGood(doomed)) = delete_folder(&moved, &all) else { panic!("it was moved") };
    assert_eq!(doomed.folders, [child.id, moved.id]);
    let item = create(&owner, &fresh(4), child.id, json!({})).unwrap().item;
    let id = ChangeId(Uuid::from_u128(99));
    let gone = remove_folders(&owner, fresh(5).now, &doomed, &[(item.clone(), id)], true);
    assert_eq!(changes(&gone), [(ChangeType::Deleted, item.id, child.id)]);
    assert_eq!((gone.expect_folders, gone.folder_removes), (vec![child, moved], doomed.folders));
}

#[test]
fn a_preview_is_short_and_plain() {
    for (content_type, content, shown) in [
        ("text", "  a\r\n\r\nb\tc ", "a b c"),
        ("text", "<b>a</b>", "<b>a</b>"),
        ("html", "<html><head><title>t</title></head><body><p>a&amp;b</p><br>&eacute;</body></html>", "a&b é"),
        ("HTML", "<script>x()</script>yes", "yes"),
    ] {
        assert_eq!(preview(content_type, content), shown, "{content}");
    }
    assert_eq!(preview("text", &"é".repeat(300)).chars().count(), PREVIEW_CHARS_MAX);
    assert!(preview("html", &"<div>".repeat(200_000)).is_empty());
    let (full, short) = ("a".repeat(PREVIEW_CHARS_MAX), "a".repeat(PREVIEW_CHARS_MAX - 1));
    assert_eq!(preview("text", &format!("{full} b")), full);
    assert_eq!(preview("text", &format!("{short}\u{a0}\u{2003}é")), format!("{short} "));
    assert_eq!(preview("text", &format!("{short} ")), short);
}

#[test]
fn what_is_named_here_says_when_and_so_does_the_conversation_that_it_begins() {
    let root = "<01890a5d-ac96-774b-bcce-b302099a8057@contoso.test>";
    let named = Some(0x0189_0a5d_ac96);
    assert_eq!((named_at(root), began_at(&conversation_id(root))), (named, named));
    let other = "<01890a5d-ac96-774b-bcce-b302099a8058@contoso.test>";
    assert_ne!(conversation_id(root), conversation_id(other));
    for foreign in ["<x@contoso.test>", "<67e55044-10b1-426f-9247-bb680e5fe0c8@contoso.test>", "", "<", "01890a5d"] {
        assert_eq!((named_at(foreign), began_at(&conversation_id(foreign))), (None, None), "{foreign}");
    }
    for text in ["", "AAQk", "AAQkAA==", "no id at all", root] {
        assert_eq!(began_at(text), None, "{text}");
    }
}

#[test]
fn a_conversation_follows_from_its_first_message() {
    let root = "<x@contoso.test>";
    assert_eq!(conversation_id(root), conversation_id(" <x@contoso.test> "));
    assert_ne!(conversation_id(root), conversation_id("<y@contoso.test>"));
    assert!(conversation_id(root).starts_with("AAQkA"));
    assert!(conversation_index(root, fresh(0).now).starts_with("AQHd"));
    assert!(!conversation_index(root, Timestamp::from_micros(i64::MIN)).is_empty());
}
