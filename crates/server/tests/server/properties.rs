//! Every property that Graph's metadata gives the six types of a mailbox, walked by name: is it shown with
//! its type, can it be written and read back, and filtered by. A property that is missing fails by its name.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::world::{Caller, World, ok};

/// Graph's types, as they are embedded in the program.
fn types() -> &'static Map<String, Value> {
    static TYPES: OnceLock<Map<String, Value>> = OnceLock::new();
    TYPES.get_or_init(|| serde_json::from_str(include_str!("../../../graph/src/schema/types.json")).unwrap())
}

/// The properties of a type and its bases with their types. Relations are left out: they have requests of
/// their own.
fn properties(type_name: &str) -> BTreeMap<&'static str, &'static str> {
    let mut found = BTreeMap::new();
    let mut next = types().get(type_name);
    assert!(next.is_some(), "the metadata has no {type_name}");
    while let Some(one) = next {
        for (name, property) in one["properties"].as_object().into_iter().flatten() {
            found.insert(name.as_str(), property["type"].as_str().unwrap());
        }
        next = one["base"].as_str().and_then(|base| types().get(base));
    }
    found
}

fn nullable(type_name: &str, property: &str) -> bool {
    let own = types()[type_name].pointer(&format!("/properties/{property}/nullable")).and_then(Value::as_bool);
    let base = || types()[type_name]["base"].as_str().map(|base| nullable(base, property));
    own.or_else(base).unwrap_or(true)
}

/// One of the six types, as a caller makes and names one.
struct Sort {
    name: &'static str,
    /// Where it is made, and listed.
    collection: &'static str,
    /// What a body must have.
    least: fn() -> Value,
    /// What no caller sets, each with the reason.
    read_only: &'static [(&'static str, &'static str)],
    /// What a new one takes and a later change does not.
    only_when_made: &'static [(&'static str, &'static str)],
    /// What is shown only if it is asked for, or set.
    not_unasked: &'static [(&'static str, &'static str)],
}

const IDENTITY: &str = "the server identifies by it";
const FOLLOWS: &str = "follows from other properties";
const STATE: &str = "follows from what was done with it";
const PLACE: &str = "changes by a move";

const SORTS: [Sort; 6] = [
    Sort {
        name: "message",
        collection: "/v1.0/me/messages",
        least: || json!({}),
        read_only: &[
            ("id", IDENTITY),
            ("changeKey", IDENTITY),
            ("createdDateTime", STATE),
            ("lastModifiedDateTime", STATE),
            ("receivedDateTime", STATE),
            ("sentDateTime", STATE),
            ("isDraft", STATE),
            ("parentFolderId", PLACE),
            ("bodyPreview", FOLLOWS),
            ("uniqueBody", FOLLOWS),
            ("conversationId", FOLLOWS),
            ("conversationIndex", FOLLOWS),
            ("hasAttachments", FOLLOWS),
            ("webLink", FOLLOWS),
        ],
        only_when_made: &[("internetMessageHeaders", "the headers of a message are written once")],
        not_unasked: &[
            ("internetMessageHeaders", "large, and seldom wanted"),
            ("uniqueBody", "computed from the whole body"),
            ("from", "a draft has none until it is sent"),
            ("sender", "a draft has none until it is sent"),
        ],
    },
    Sort {
        name: "event",
        collection: "/v1.0/me/events",
        least: || json!({"start": at("2026-12-01T10:00:00"), "end": at("2026-12-01T11:00:00")}),
        read_only: &[
            ("id", IDENTITY),
            ("changeKey", IDENTITY),
            ("iCalUId", IDENTITY),
            ("createdDateTime", STATE),
            ("lastModifiedDateTime", STATE),
            ("isCancelled", STATE),
            ("isDraft", STATE),
            ("responseStatus", STATE),
            ("cancelledOccurrences", STATE),
            ("organizer", "whoever owns the calendar"),
            ("isOrganizer", FOLLOWS),
            ("bodyPreview", FOLLOWS),
            ("hasAttachments", FOLLOWS),
            ("onlineMeeting", "comes from a provider of online meetings, and there is none"),
            ("onlineMeetingUrl", "comes from a provider of online meetings, and there is none"),
            ("originalStart", FOLLOWS),
            ("originalStartTimeZone", FOLLOWS),
            ("originalEndTimeZone", FOLLOWS),
            ("seriesMasterId", FOLLOWS),
            ("type", FOLLOWS),
            ("webLink", FOLLOWS),
        ],
        only_when_made: &[("transactionId", "tells two attempts to make one event apart from two events")],
        not_unasked: &[
            ("transactionId", "shown only if it is set"),
            ("cancelledOccurrences", "shown of a series, if it is asked for"),
            ("originalStart", "shown of occurrences only"),
        ],
    },
    Sort {
        name: "contact",
        collection: "/v1.0/me/contacts",
        least: || json!({}),
        read_only: &[
            ("id", IDENTITY),
            ("changeKey", IDENTITY),
            ("createdDateTime", STATE),
            ("lastModifiedDateTime", STATE),
            ("parentFolderId", PLACE),
        ],
        only_when_made: &[],
        not_unasked: &[],
    },
    Sort {
        name: "mailFolder",
        collection: "/v1.0/me/mailFolders",
        least: || json!({"displayName": "Made"}),
        read_only: &[
            ("id", IDENTITY),
            ("parentFolderId", PLACE),
            ("childFolderCount", FOLLOWS),
            ("totalItemCount", FOLLOWS),
            ("unreadItemCount", FOLLOWS),
        ],
        only_when_made: &[("isHidden", "set at creation only")],
        not_unasked: &[],
    },
    Sort {
        name: "calendar",
        collection: "/v1.0/me/calendars",
        least: || json!({"name": "Made"}),
        read_only: &[
            ("id", IDENTITY),
            ("changeKey", IDENTITY),
            ("allowedOnlineMeetingProviders", "there is no provider of online meetings"),
            ("defaultOnlineMeetingProvider", "there is no provider of online meetings"),
            ("canEdit", "calendars are not shared"),
            ("canShare", "calendars are not shared"),
            ("canViewPrivateItems", "calendars are not shared"),
            ("hexColor", FOLLOWS),
            ("isDefaultCalendar", FOLLOWS),
            ("isRemovable", FOLLOWS),
            ("isTallyingResponses", FOLLOWS),
            ("owner", "whoever owns the mailbox"),
        ],
        only_when_made: &[],
        not_unasked: &[],
    },
    Sort {
        name: "contactFolder",
        collection: "/v1.0/me/contactFolders",
        least: || json!({"displayName": "Made"}),
        read_only: &[("id", IDENTITY), ("parentFolderId", PLACE)],
        only_when_made: &[],
        not_unasked: &[],
    },
];

fn has(table: &[(&str, &str)], name: &str) -> bool {
    table.iter().any(|(known, _)| *known == name)
}

fn at(time: &str) -> Value {
    json!({"dateTime": format!("{time}.0000000"), "timeZone": "UTC"})
}

/// A value of a type that differs with `n`, where not every value of the type can stand: its path decides.
fn particular(path: &str, n: usize) -> Option<Value> {
    let (_, property) = path.split_once('/')?;
    let name = property.rsplit('/').next()?;
    Some(match (property, name) {
        ("start", _) => at(&format!("2026-12-0{}T10:00:00", n + 1)),
        ("end", _) => at(&format!("2026-12-0{}T11:00:00", n + 1)),
        ("isAllDay", _) => false.into(),
        ("internetMessageHeaders", _) => json!([{"name": format!("x-header-{n}"), "value": "v"}]),
        ("flag", _) => json!({
            "flagStatus": "flagged",
            "startDateTime": at("2026-12-01T00:00:00"),
            "dueDateTime": at(&format!("2026-12-0{}T00:00:00", n + 1)),
        }),
        ("recurrence", _) => json!({
            "pattern": {"type": "weekly", "interval": n + 1, "daysOfWeek": ["tuesday"], "firstDayOfWeek": "monday",
                        "dayOfMonth": 0, "index": "first", "month": 0},
            "range": {"type": "endDate", "startDate": "2026-12-01", "endDate": format!("2027-0{}-01", n + 1),
                      "numberOfOccurrences": 0, "recurrenceTimeZone": "UTC"},
        }),
        ("attendees", _) => json!([{
            "emailAddress": {"name": "Adele", "address": format!("adele{n}@elsewhere.example")}, "type": "optional"
        }]),
        // The first of the locations; the two are the same thing in two forms.
        ("locations", _) => json!([sample("event/location", "graph.location", n)]),
        ("isOnlineMeeting", _) => (n == 1).into(),
        ("color", _) => ["lightRed", "lightTeal"][n].into(),
        (_, "address") if !property.ends_with("location/address") => format!("someone{n}@elsewhere.example").into(),
        (_, "contentType") => "text".into(),
        _ => return None,
    })
}

fn sample(path: &str, type_name: &str, n: usize) -> Value {
    if let Some(value) = particular(path, n) {
        return value;
    }
    if let Some(member) = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        return json!([sample(path, member, n)]);
    }
    let name = path.rsplit('/').next().unwrap();
    match type_name {
        "Edm.String" => format!("{name} {n}").into(),
        "Edm.Boolean" => (n == 0).into(),
        "Edm.Int32" => (n + 1).into(),
        "Edm.Double" => (n as f64 + 0.5).into(),
        "Edm.DateTimeOffset" => format!("2026-12-0{}T10:00:00Z", n + 1).into(),
        "Edm.Date" => format!("2026-12-0{}", n + 1).into(),
        "Edm.Binary" => "AAECAw==".into(),
        other => {
            let named = other.strip_prefix("graph.").unwrap_or_else(|| panic!("{path} is of an unknown type {other}"));
            match types()[named]["members"].as_array() {
                Some(members) => members[(n + 1) % members.len()].clone(),
                None => properties(named)
                    .into_iter()
                    .map(|(name, type_name)| (name.to_owned(), sample(&format!("{path}/{name}"), type_name, n)))
                    .collect(),
            }
        }
    }
}

/// Why a value is not of a type; `None` if it is.
fn unlike(value: &Value, type_name: &str, path: &str) -> Option<String> {
    if let Some(member) = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        let Some(members) = value.as_array() else { return Some(format!("{path} is no collection: {value}")) };
        return members.iter().find_map(|one| unlike(one, member, path));
    }
    let text = || value.as_str().unwrap_or_default();
    let is = match type_name {
        "Edm.String" => value.is_string(),
        "Edm.Boolean" => value.is_boolean(),
        "Edm.Int32" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Edm.Double" => value.is_number(),
        "Edm.DateTimeOffset" => text().parse::<graph::Timestamp>().is_ok() && text().ends_with('Z'),
        "Edm.Date" => text().parse::<jiff::civil::Date>().is_ok(),
        "Edm.Binary" => value.is_string(),
        other => {
            let named = other.strip_prefix("graph.").unwrap_or(other);
            if let Some(members) = types()[named]["members"].as_array() {
                members.contains(value)
            } else {
                let Some(members) = value.as_object() else { return Some(format!("{path} is no {named}: {value}")) };
                let known = properties(named);
                return members.iter().filter(|(name, _)| !name.starts_with('@')).find_map(|(name, value)| {
                    let inner = format!("{path}/{name}");
                    match known.get(name.as_str()) {
                        None => Some(format!("{inner} is not in the metadata")),
                        Some(_) if value.is_null() => None,
                        Some(type_name) => unlike(value, type_name, &inner),
                    }
                });
            }
        }
    };
    (!is).then(|| format!("{path} is no {type_name}: {value}"))
}

/// Whether everything that was written is in what was read; the server may add members.
fn holds(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            written.iter().all(|(name, value)| read.get(name).is_some_and(|read| holds(read, value)))
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len() && read.iter().zip(written).all(|(read, written)| holds(read, written))
        }
        _ => read == written,
    }
}

fn quoted(id: &str) -> String {
    format!("('{id}')")
}

async fn make(megan: &Caller<'_>, sort: &Sort, body: Value) -> String {
    let made = megan.post(sort.collection, body.clone()).await;
    assert_eq!(made.status, 201, "{} of {body}: {}", sort.name, made.json);
    format!("{}{}", sort.collection, quoted(&made.text("/id")))
}

#[tokio::test]
async fn every_property_of_the_metadata_is_shown_with_its_type() {
    let world = World::new().await;
    let megan = world.megan();
    let mut missing = Vec::new();
    for sort in &SORTS {
        let path = make(&megan, sort, (sort.least)()).await;
        let whole = ok(megan.get(&path).await, StatusCode::OK).json;
        for (name, type_name) in properties(sort.name) {
            let what = format!("{}/{name}", sort.name);
            if !has(sort.not_unasked, name) && whole.get(name).is_none() {
                missing.push(format!("{what} is not shown"));
            }
            let asked = megan.get(&format!("{path}?$select={name}")).await;
            match asked.json.get(name) {
                Some(Value::Null) if nullable(sort.name, name) && !type_name.starts_with("Collection") => {}
                Some(value) => missing.extend(unlike(value, type_name, &what)),
                None => missing.push(format!("{what} is not shown when it is selected: {}", asked.json)),
            }
        }
        for name in whole.as_object().unwrap().keys().filter(|name| !name.contains('@')) {
            if !properties(sort.name).contains_key(name.as_str()) {
                missing.push(format!("{}/{name} is shown and not in the metadata", sort.name));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[tokio::test]
async fn every_property_that_can_be_written_is_read_back() {
    let world = World::new().await;
    let megan = world.megan();
    let mut lost = Vec::new();
    for sort in &SORTS {
        for (name, type_name) in properties(sort.name) {
            let what = format!("{}/{name}", sort.name);
            if has(sort.read_only, name) {
                continue;
            }
            let mut body = (sort.least)();
            let written = sample(&what, type_name, 0);
            body[name] = written.clone();
            let made = megan.post(sort.collection, body).await;
            if made.status != 201 {
                lost.push(format!("{what} cannot be given to a new one: {}", made.refusal()));
                continue;
            }
            let path = format!("{}{}", sort.collection, quoted(&made.text("/id")));
            let read = megan.get(&format!("{path}?$select={name}")).await.json;
            if !holds(&read[name], &written) {
                lost.push(format!("{what} was written as {written} and reads {}", read[name]));
            }
            if !has(sort.only_when_made, name) {
                let written = sample(&what, type_name, 1);
                // A name that a sibling has cannot be taken; the first one goes.
                let patched = megan.patch(&path, patch_of(sort, name, &written)).await;
                if patched.status != 200 {
                    lost.push(format!("{what} cannot be changed: {}", patched.refusal()));
                } else if !holds(&patched.json[name], &written) {
                    lost.push(format!("{what} was changed to {written} and reads {}", patched.json[name]));
                }
            }
            let gone = megan.delete(&path).await;
            if gone.status != 204 {
                lost.push(format!("a {} cannot be deleted: {}", sort.name, gone.refusal()));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// A body that changes one property, and what must change with it.
fn patch_of(sort: &Sort, name: &str, value: &Value) -> Value {
    let mut body = json!({});
    body[name] = value.clone();
    if sort.name == "event" && name == "start" {
        body["end"] = sample("event/end", "", 1);
    }
    body
}

#[tokio::test]
async fn a_client_may_send_back_everything_that_it_read() {
    let world = World::new().await;
    let megan = world.megan();
    for sort in &SORTS {
        let path = make(&megan, sort, (sort.least)()).await;
        let mut whole = ok(megan.get(&path).await, StatusCode::OK).json;
        whole["@odata.type"] = format!("#Microsoft.Graph.{}", sort.name).into();
        let after = megan.patch(&path, whole.clone()).await;
        assert_eq!(after.status, 200, "{}: {}", sort.name, after.json);
        for name in
            properties(sort.name).into_keys().filter(|name| !["changeKey", "lastModifiedDateTime"].contains(name))
        {
            assert_eq!(after.json[name], whole[name], "{}/{name}", sort.name);
        }
    }
}

/// What no filter can name, with the reason.
const NOT_FILTERED: &[(&str, &str)] = &[
    ("message/uniqueBody", "made only for showing"),
    ("message/webLink", "made only for showing"),
    ("event/webLink", "made only for showing"),
];

/// Filters that an item meets whose property has this value: one for each member of a complex value.
fn filters(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !name.contains('@'))
            .flat_map(|(name, value)| filters(&format!("{path}/{name}"), value))
            .collect(),
        Value::Array(members) => match members.first() {
            None => Vec::new(),
            Some(first) => filters("one", first).into_iter().map(|inner| format!("{path}/any(one:{inner})")).collect(),
        },
        Value::Null => vec![format!("{path} eq null")],
        Value::String(text) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            let is_time = text.parse::<graph::Timestamp>().is_ok() && (name.ends_with("DateTime") || name == "time");
            let is_date = text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10;
            let is_time = is_time || name == "birthday" || name == "originalStart";
            let literal = if is_time || is_date { text.clone() } else { format!("'{}'", text.replace('\'', "''")) };
            vec![format!("{path} eq {literal}")]
        }
        other => vec![format!("{path} eq {other}")],
    }
}

#[tokio::test]
async fn every_property_of_an_item_can_be_filtered_by() {
    let world = World::new().await;
    let megan = world.megan();
    let mut wrong = Vec::new();
    for sort in SORTS.iter().filter(|sort| ["message", "event", "contact"].contains(&sort.name)) {
        let mut body = (sort.least)();
        for (name, type_name) in properties(sort.name).into_iter().filter(|(name, _)| !has(sort.read_only, name)) {
            body[name] = sample(&format!("{}/{name}", sort.name), type_name, 0);
        }
        let path = make(&megan, sort, body).await;
        for name in properties(sort.name).into_keys() {
            let what = format!("{}/{name}", sort.name);
            if has(NOT_FILTERED, &what) {
                continue;
            }
            let read = megan.get(&format!("{path}?$select={name}")).await.json;
            for filter in filters(name, &read[name]) {
                let encoded = percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC);
                let found = megan.get(&format!("{}?$filter={encoded}", sort.collection)).await;
                if found.status != 200 {
                    wrong.push(format!("{what}: {filter}: {}", found.refusal()));
                } else if found.json["value"].as_array().is_none_or(|value| value.len() != 1) {
                    wrong.push(format!("{what}: {filter} finds {}", found.json["value"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_of_exceptions_name_properties_that_there_are() {
    for sort in &SORTS {
        let known = properties(sort.name);
        for (name, reason) in [sort.read_only, sort.only_when_made, sort.not_unasked].concat() {
            assert!(known.contains_key(name), "{} has no {name}", sort.name);
            assert!(!reason.is_empty());
        }
    }
}
