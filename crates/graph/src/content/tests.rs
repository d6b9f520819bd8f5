use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, json};
use uuid::Uuid;

use super::*;
use crate::fuzz::without_types;
use crate::mailbox::tests::megan;
use crate::mailbox::{Fresh, create, delete, move_item, remove};
use crate::schema::METADATA;
use crate::{ChangeId, ChangeType, Kind, WellKnown};

/// Ids of the n-th operation.
fn fresh(n: u128) -> Fresh {
    Fresh {
        now: "2026-11-21T10:00:00.25Z".parse().unwrap(),
        uuid: Uuid::from_u128(n),
        change: ChangeId(Uuid::from_u128(n << 8)),
        removal: ChangeId(Uuid::from_u128(n << 16)),
    }
}

fn made(kind: Kind) -> (Item, Change) {
    let (folder, body) = match kind {
        Kind::Message => (WellKnown::Drafts, message()),
        Kind::Event => (WellKnown::Calendar, event()),
        Kind::Contact => (WellKnown::Contacts, contact()),
    };
    let mut written = create(&megan(), &fresh(1), folder.id_in(megan().id), body).unwrap();
    (written.item, written.mutation.changes.remove(0))
}

fn message() -> Value {
    let megan = json!({ "emailAddress": { "name": "M. B.", "address": "mb@contoso.test" } });
    json!({
        "subject": "Hello",
        "body": { "contentType": "text", "content": "Is it \"done\"?" },
        "from": megan,
        "toRecipients": [megan, { "emailAddress": { "address": "alex@contoso.test" } }],
        "importance": "high",
        "categories": ["Red"],
        "flag": { "flagStatus": "flagged", "startDateTime": { "dateTime": "2026-11-25T10:00:00", "timeZone": "UTC" },
            "dueDateTime": { "dateTime": "2026-11-26T10:00:00", "timeZone": "UTC" } },
        "singleValueExtendedProperties": [
            { "id": "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Colour", "value": "green" },
            { "id": "Integer 0x7001", "value": "7" },
        ],
        "multiValueExtendedProperties": [
            { "id": "StringArray {66f5a359-4659-4830-9070-00047ec6ac6e} Name Fun", "value": ["food", "swimming"] },
        ],
    })
}

fn event() -> Value {
    json!({
        "subject": "Plan",
        "start": { "dateTime": "2026-11-25T10:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-11-25T11:00:00", "timeZone": "UTC" },
        "location": { "displayName": "Room 5", "coordinates": { "latitude": 47.5, "longitude": 8 } },
        "attendees": [{ "type": "optional", "emailAddress": { "name": "Alex", "address": "alex@contoso.test" } }],
        "reminderMinutesBeforeStart": 15,
        "recurrence": {
            "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["wednesday"] },
            "range": { "type": "numbered", "startDate": "2026-11-25", "numberOfOccurrences": 4 },
        },
    })
}

fn contact() -> Value {
    json!({
        "givenName": "Adele",
        "birthday": "1990-03-01T00:00:00Z",
        "businessPhones": ["+1 425 555 0100"],
        "emailAddresses": [{ "name": "Adele", "address": "adele@contoso.test" }],
        "homeAddress": { "city": "Bern" },
    })
}

fn shown(resource: &str, change: &Change) -> Option<String> {
    let content = Content::of(resource).unwrap().shown(change, false)?;
    Some(String::from_utf8(content).unwrap())
}

/// Each annotation stands right before what it speaks of, which the lines show.
fn by_line(text: &str) -> String {
    text.replace(",\"", ",\n\"")
}

#[test]
fn a_message_says_its_types_before_its_values() {
    let (_, change) = made(Kind::Message);
    // As in the documentation's sample.
    let resource = "users/622eaaff-0683-4862-9de4-f2ec83c2bd98/messages?$select=Subject,bodyPreview,importance,receivedDateTime,from";
    insta::assert_snapshot!(by_line(&shown(resource, &change).unwrap()), @r##"
    {"bodyPreview":"Is it \"done\"?",
    "from":{"@odata.type":"#microsoft.graph.recipient",
    "emailAddress":{"@odata.type":"#microsoft.graph.emailAddress",
    "address":"mb@contoso.test",
    "name":"M. B."}},
    "importance@odata.type":"#microsoft.graph.importance",
    "importance":"high",
    "receivedDateTime@odata.type":"#DateTimeOffset",
    "receivedDateTime":"2026-11-21T10:00:00Z",
    "subject":"Hello"}
    "##);
    let more = "me/messages?$select=isRead,toRecipients,ccRecipients,categories,flag,conversationIndex,sender";
    insta::assert_snapshot!(by_line(&shown(more, &change).unwrap()), @r##"
    {"categories@odata.type":"#Collection(String)",
    "categories":["Red"],
    "ccRecipients@odata.type":"#Collection(microsoft.graph.recipient)",
    "ccRecipients":[],
    "conversationIndex@odata.type":"#Binary",
    "conversationIndex":"AQHdeZ8SFOqrBd0JWVGnrXtS6y/DUg==",
    "flag":{"@odata.type":"#microsoft.graph.followupFlag",
    "dueDateTime":{"@odata.type":"#microsoft.graph.dateTimeTimeZone",
    "dateTime":"2026-11-26T10:00:00.0000000",
    "timeZone":"UTC"},
    "flagStatus@odata.type":"#microsoft.graph.followupFlagStatus",
    "flagStatus":"flagged",
    "startDateTime":{"@odata.type":"#microsoft.graph.dateTimeTimeZone",
    "dateTime":"2026-11-25T10:00:00.0000000",
    "timeZone":"UTC"}},
    "isRead":true,
    "sender":null,
    "toRecipients@odata.type":"#Collection(microsoft.graph.recipient)",
    "toRecipients":[{"@odata.type":"#microsoft.graph.recipient",
    "emailAddress":{"@odata.type":"#microsoft.graph.emailAddress",
    "address":"mb@contoso.test",
    "name":"M. B."}},{"@odata.type":"#microsoft.graph.recipient",
    "emailAddress":{"@odata.type":"#microsoft.graph.emailAddress",
    "address":"alex@contoso.test",
    "name":"alex@contoso.test"}}]}
    "##);
}

#[test]
fn an_event_says_its_types_before_its_values() {
    let (_, change) = made(Kind::Event);
    let resource = "me/events?$select=subject,start,location,attendees,recurrence,reminderMinutesBeforeStart,type,\
                    onlineMeeting,isAllDay";
    insta::assert_snapshot!(by_line(&shown(resource, &change).unwrap()), @r##"
    {"attendees@odata.type":"#Collection(microsoft.graph.attendee)",
    "attendees":[{"@odata.type":"#microsoft.graph.attendee",
    "emailAddress":{"@odata.type":"#microsoft.graph.emailAddress",
    "address":"alex@contoso.test",
    "name":"Alex"},
    "status":{"@odata.type":"#microsoft.graph.responseStatus",
    "response@odata.type":"#microsoft.graph.responseType",
    "response":"none",
    "time@odata.type":"#DateTimeOffset",
    "time":"0001-01-01T00:00:00Z"},
    "type@odata.type":"#microsoft.graph.attendeeType",
    "type":"optional"}],
    "isAllDay":false,
    "location":{"@odata.type":"#microsoft.graph.location",
    "coordinates":{"@odata.type":"#microsoft.graph.outlookGeoCoordinates",
    "latitude":47.5,
    "longitude":8},
    "displayName":"Room 5",
    "locationType@odata.type":"#microsoft.graph.locationType",
    "locationType":"default",
    "uniqueId":"Room 5",
    "uniqueIdType@odata.type":"#microsoft.graph.locationUniqueIdType",
    "uniqueIdType":"private"},
    "onlineMeeting":null,
    "recurrence":{"@odata.type":"#microsoft.graph.patternedRecurrence",
    "pattern":{"@odata.type":"#microsoft.graph.recurrencePattern",
    "dayOfMonth":0,
    "daysOfWeek@odata.type":"#Collection(microsoft.graph.dayOfWeek)",
    "daysOfWeek":["wednesday"],
    "firstDayOfWeek@odata.type":"#microsoft.graph.dayOfWeek",
    "firstDayOfWeek":"sunday",
    "index@odata.type":"#microsoft.graph.weekIndex",
    "index":"first",
    "interval":1,
    "month":0,
    "type@odata.type":"#microsoft.graph.recurrencePatternType",
    "type":"weekly"},
    "range":{"@odata.type":"#microsoft.graph.recurrenceRange",
    "numberOfOccurrences":4,
    "recurrenceTimeZone":"UTC",
    "startDate@odata.type":"#Date",
    "startDate":"2026-11-25",
    "type@odata.type":"#microsoft.graph.recurrenceRangeType",
    "type":"numbered"}},
    "reminderMinutesBeforeStart":15,
    "start":{"@odata.type":"#microsoft.graph.dateTimeTimeZone",
    "dateTime":"2026-11-25T10:00:00.0000000",
    "timeZone":"UTC"},
    "subject":"Plan",
    "type@odata.type":"#microsoft.graph.eventType",
    "type":"seriesMaster"}
    "##);
}

#[test]
fn a_contact_says_its_types_before_its_values() {
    let (_, change) = made(Kind::Contact);
    let resource =
        "me/contacts?$select=displayName,givenName,birthday,businessPhones,homePhones,emailAddresses,homeAddress";
    insta::assert_snapshot!(by_line(&shown(resource, &change).unwrap()), @r##"
    {"birthday@odata.type":"#DateTimeOffset",
    "birthday":"1990-03-01T00:00:00Z",
    "businessPhones@odata.type":"#Collection(String)",
    "businessPhones":["+1 425 555 0100"],
    "displayName":"Adele",
    "emailAddresses@odata.type":"#Collection(microsoft.graph.emailAddress)",
    "emailAddresses":[{"@odata.type":"#microsoft.graph.emailAddress",
    "address":"adele@contoso.test",
    "name":"Adele"}],
    "givenName":"Adele",
    "homeAddress":{"@odata.type":"#microsoft.graph.physicalAddress",
    "city":"Bern"},
    "homePhones@odata.type":"#Collection(String)",
    "homePhones":[]}
    "##);
}

#[test]
fn expanded_extended_properties_stand_beside_what_is_selected() {
    let (_, change) = made(Kind::Message);
    let resource = "me/messages?$select=subject&$expand=singleValueExtendedProperties($filter=id eq 'Integer 0x7001'),\
                    multiValueExtendedProperties";
    insta::assert_snapshot!(by_line(&shown(resource, &change).unwrap()), @r##"
    {"multiValueExtendedProperties@odata.type":"#Collection(microsoft.graph.multiValueLegacyExtendedProperty)",
    "multiValueExtendedProperties":[{"@odata.type":"#microsoft.graph.multiValueLegacyExtendedProperty",
    "id":"StringArray {66f5a359-4659-4830-9070-00047ec6ac6e} Name Fun",
    "value@odata.type":"#Collection(String)",
    "value":["food",
    "swimming"]}],
    "singleValueExtendedProperties@odata.type":"#Collection(microsoft.graph.singleValueLegacyExtendedProperty)",
    "singleValueExtendedProperties":[{"@odata.type":"#microsoft.graph.singleValueLegacyExtendedProperty",
    "id":"Integer 0x7001",
    "value":"7"}],
    "subject":"Hello"}
    "##);
}

#[test]
fn a_message_about_a_meeting_says_of_which_type_it_is() {
    let (_, change) = made(Kind::Message);
    let meeting = [("meetingMessageType".to_owned(), "meetingRequest".into())];
    let after: Properties =
        change.after.iter().map(|(name, value)| (name.clone(), value.clone())).chain(meeting).collect();
    let change = Change { after: after.into(), ..change };
    insta::assert_snapshot!(shown("me/messages?$select=subject", &change).unwrap(), @r##"{"@odata.type":"#microsoft.graph.eventMessageRequest","subject":"Hello"}"##);
}

#[test]
fn ids_are_shown_when_they_are_selected_in_the_form_that_was_asked_for() {
    let (item, _) = made(Kind::Message);
    let moved = move_item(&megan(), &fresh(2), &item, WellKnown::Inbox.id_in(megan().id)).unwrap();
    let here = &moved.mutation.changes[1];
    let content = Content::of("me/messages?$select=id,webLink,changeKey").unwrap();
    let of = |immutable| serde_json::from_slice::<Value>(&content.shown(here, immutable).unwrap()).unwrap();
    assert_eq!(of(false)["id"], moved.item.id.to_string());
    assert_eq!(of(true)["id"], item.immutable_id().to_string());
    assert_eq!(of(true)["changeKey"], here.id.change_key());
    assert_ne!(of(true)["webLink"], of(false)["webLink"]);
}

#[test]
fn what_was_deleted_for_good_is_not_shown_and_what_was_moved_is_shown_where_it_lies() {
    let (item, _) = made(Kind::Message);
    let resource = "me/messages?$select=parentFolderId";
    let gone = remove(&megan(), &fresh(2), &item);
    assert_eq!(shown(resource, &gone.changes[0]), None);
    let bin = WellKnown::DeletedItems.id_in(megan().id);
    let halves = delete(&megan(), &fresh(2), &item).changes;
    let [left, came] = &halves[..] else { unreachable!("a message is deleted by a move") };
    assert_eq!(left.change, ChangeType::Deleted);
    assert_eq!(shown(resource, left), Some(format!(r#"{{"parentFolderId":"{bin}"}}"#)));
    assert_eq!(shown(resource, left), shown(resource, came));
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let no_select = "select clause should be present in query string to support rich notifications";
    let unsupported = "The value of parameter 'Resource' is not supported.";
    for (resource, text) in [
        ("me/messages", no_select),
        ("me/messages?$select=*", no_select),
        ("me/messages?$select=subject,*&$filter=isRead", no_select),
        ("me/messages?$select=", no_select),
        ("me/messages?$select=internetMessageHeaders", unsupported),
        ("me/messages?$select=subject,Attachments", unsupported),
        ("me/events?$select=exceptionOccurrences", unsupported),
        ("me/contacts?$select=extensions", unsupported),
    ] {
        let Err(ContentRefusal::Refinement(refusal)) = Content::of(resource) else { panic!("{resource}") };
        assert_eq!(refusal.graph_text(), text, "{resource}");
    }
    assert!(matches!(Content::of("me/messages?$select=body"), Err(ContentRefusal::Refinement(_))));
    assert!(matches!(Content::of("me/drive?$select=subject"), Err(ContentRefusal::Path(_))));
}

/// Every name that the metadata gives a kind of items.
fn names(kind: Kind) -> Vec<String> {
    let types: Value = serde_json::from_str(METADATA).unwrap();
    let mut next = Some(crate::schema::Entity::from(kind).type_name());
    let mut names = BTreeSet::new();
    while let Some(name) = next {
        for members in ["properties", "navigation"] {
            names.extend(types[name][members].as_object().into_iter().flat_map(Map::keys).cloned());
        }
        next = types[name]["base"].as_str();
    }
    names.into_iter().filter(|name| !NOT_IN_CHANGES.contains(&name.as_str())).collect()
}

/// Each annotation stands right before its property in `text`, at whatever depth.
fn assert_ordered(value: &Value, text: &str) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match name.strip_suffix("@odata.type") {
            Some("") => assert!(text.contains(&format!("{{\"{name}\":{value}")), "{name} in {text}"),
            Some(property) => {
                assert!(text.contains(&format!("\"{name}\":{value},\"{property}\":")), "{name} in {text}");
            }
            None => assert_ordered(value, text),
        }
    }
    value.as_array().into_iter().flatten().for_each(|member| assert_ordered(member, text));
}

fn kind_and_names() -> impl Strategy<Value = (Kind, Vec<String>)> {
    prop_oneof![Just(Kind::Message), Just(Kind::Event), Just(Kind::Contact)].prop_flat_map(|kind| {
        let names = names(kind);
        let count = 1..names.len();
        (Just(kind), subsequence(names, count))
    })
}

proptest! {
    #[test]
    fn whatever_is_selected_is_shown_as_reading_the_item_shows_it((kind, names) in kind_and_names()) {
        let (item, change) = made(kind);
        let collection = match kind {
            Kind::Message => "messages",
            Kind::Event => "events",
            Kind::Contact => "contacts",
        };
        let text = shown(&format!("me/{collection}?$select={}", names.join(",")), &change).unwrap();
        let select = Select::read(kind.into(), &names.join(",")).unwrap();
        let mut read = render::item(&item, View { select: select.as_ref(), ..View::default() });
        let members = read.as_object_mut().unwrap();
        members.remove("@odata.etag");
        members.retain(|name, _| name != "id" || names.iter().any(|selected| selected == "id"));
        let shown = serde_json::from_str(&text).unwrap();
        assert_ordered(&shown, &text);
        prop_assert_eq!(without_types(shown), read);
    }
}
