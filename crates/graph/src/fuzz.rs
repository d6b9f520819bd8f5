//! Harnesses that feed arbitrary bytes to what reads remote input, and assert what must always hold.
//! They run in the tests below; a fuzzer can call the same functions.

use serde_json::Value;
use uuid::Uuid;

use crate::content::Content;
use crate::mailbox::{self, Fresh, Owner, Written};
use crate::path::{self, Resource};
use crate::registry;
use crate::render::{self, View};
use crate::schema::{self, Entity};
use crate::{ChangeId, Item, Kind, TenantId, Timestamp, UserId, WellKnown};

/// A path means the same wherever slashes are doubled; what can be watched is a collection of items.
pub fn fuzz_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = path::parse(text);
    if text.len() + 2 < path::PATH_BYTES_MAX {
        assert_eq!(parsed, path::parse(&format!("//{text}")));
    }
    if let Ok(watch) = path::watch(text) {
        let before_query = text.split('?').next().unwrap_or_default();
        let collection = Resource::Items { user: watch.user, kind: watch.kind, folder: watch.folder };
        assert_eq!(path::parse(before_query.trim()), Ok(collection));
    }
}

/// Paths and filters of resources outside of mailboxes: a thing is the same when it was stored, and a filter
/// says the same when it was printed.
pub fn fuzz_registry(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let owner = UserId(Uuid::from_u128(7));
    if let Ok(thing) = registry::thing(text, |_| Ok::<_, registry::ThingError>(owner)) {
        let stored = serde_json::to_string(&thing).expect("a thing has a stored form");
        assert_eq!(serde_json::from_str::<registry::Thing>(&stored).ok(), Some(thing));
    }
    if let Ok(place) = registry::place(text)
        && let Ok(asked) = registry::Asked::read(&place, Some(owner))
    {
        // What the path names in braces itself is an id like any other.
        let is_filled = |place: &String| !place.contains('{') || text.contains('{');
        assert!(!asked.places.is_empty() && asked.places.iter().all(is_filled));
    }
    if let Ok(filter) = registry::Open::read(text) {
        assert_eq!(registry::Open::read(filter.text()).as_ref(), Ok(&filter));
        let state = serde_json::json!({ "isFetchable": true, "status": { "state": "new" }, "tags": ["a", 1, null] });
        let _ = filter.holds(state.as_object());
    }
}

/// What a body is read as reads again as the same; an item made of it can be patched, shown and
/// stored, and holds nothing that belongs in typed fields.
pub fn fuzz_body(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    for entity in Entity::ALL {
        if let Ok(read) = schema::read(entity, body.clone()) {
            assert_eq!(schema::read(entity, Value::Object(read.clone())), Ok(read));
        }
    }
    let owner = owner();
    for (kind, place) in
        [(Kind::Message, WellKnown::Drafts), (Kind::Event, WellKnown::Calendar), (Kind::Contact, WellKnown::Contacts)]
    {
        let Ok(made) = mailbox::create(&owner, &fresh(1), place.id_in(owner.id), body.clone()) else {
            continue;
        };
        assert_eq!(made.item.id.kind, kind);
        assert_sound(&made.item);
        assert_shown(&made);
        let patched = mailbox::patch(&owner, &fresh(2), &made.item, Value::Object(Default::default()));
        let patched = patched.expect("an empty patch is never refused").item;
        assert_eq!(patched.properties, made.item.properties, "an empty patch alters nothing");
        let _ = mailbox::send_draft(&owner, &fresh(3), &made.item);
    }
}

fn assert_sound(item: &Item) {
    for typed in ["id", "changeKey", "parentFolderId", "createdDateTime", "lastModifiedDateTime"] {
        assert!(!item.properties.contains_key(typed), "{typed} lies in the property bag");
    }
    assert!(item.properties.values().all(|value| !value.is_null()), "null is absence");
    assert!(render::item(item, View::default()).get("id").is_some());
    let stored = serde_json::to_vec(item).expect("an item can be stored");
    assert_eq!(serde_json::from_slice::<Item>(&stored).ok().as_ref(), Some(item));
}

/// Content says of an item what reading it says, once the types are taken away.
fn assert_shown(made: &Written) {
    let (collection, select) = match made.item.id.kind {
        Kind::Message => ("messages", "from,toRecipients,flag,importance,categories,conversationIndex,sentDateTime"),
        Kind::Event => ("events", "start,location,locations,attendees,organizer,recurrence,responseStatus,showAs,type"),
        Kind::Contact => ("contacts", "emailAddresses,homeAddress,imAddresses,birthday,displayName,children"),
    };
    let content = Content::of(&format!("me/{collection}?$select={select}")).expect("these can be shown");
    let shown = content.shown(&made.mutation.changes[0], false).expect("the item exists");
    let shown: Value = serde_json::from_slice(&shown).expect("content is JSON");
    let select = render::Select::read(made.item.id.kind.into(), select).expect("these can be selected");
    let mut read = render::item(&made.item, View { select: select.as_ref(), ..View::default() });
    for besides in ["id", "@odata.etag", "@odata.type"] {
        read.as_object_mut().and_then(|read| read.remove(besides));
    }
    assert_eq!(without_types(shown), read);
}

/// Takes all type annotations away.
pub(crate) fn without_types(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| !name.ends_with("@odata.type"));
            Value::Object(kept.map(|(name, value)| (name, without_types(value))).collect())
        }
        Value::Array(values) => values.into_iter().map(without_types).collect(),
        value => value,
    }
}

pub(crate) fn owner() -> Owner {
    Owner {
        tenant: TenantId(Uuid::from_u128(1)),
        id: UserId(Uuid::from_u128(2)),
        address: "megan@contoso.test".to_owned(),
        name: "Megan".to_owned(),
    }
}

pub(crate) fn fresh(n: u8) -> Fresh {
    Fresh {
        now: Timestamp::from_seconds(1_795_000_000),
        uuid: Uuid::from_u128(n.into()),
        change: ChangeId(Uuid::from_u128(n.into())),
        removal: ChangeId(Uuid::from_u128(u128::from(n) + 100)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const PATH_PIECES: [&str; 22] = [
        "me",
        "users",
        "/",
        "('",
        "')",
        "'",
        "(",
        ")",
        "%27",
        "%2F",
        "%",
        "@",
        "?",
        "=",
        "&$select=",
        "messages",
        "Events",
        "mailFolders",
        "childFolders",
        "inbox",
        "AAD-UPN:",
        "622eaaff-0683-4862-9de4-f2ec83c2bd98",
    ];

    const NAMES: [&str; 29] = [
        "subject",
        "body",
        "content",
        "contentType",
        "start",
        "end",
        "dateTime",
        "timeZone",
        "isAllDay",
        "location",
        "locations",
        "displayName",
        "toRecipients",
        "emailAddress",
        "address",
        "flag",
        "flagStatus",
        "dueDateTime",
        "attachments",
        "@odata.type",
        "name",
        "emailAddresses",
        "recurrence",
        "givenName",
        "contentBytes",
        "extensionName",
        "extensions",
        "item",
        "singleValueExtendedProperties",
    ];

    const TEXTS: [&str; 16] = [
        "",
        "x",
        "HTML",
        "<p>a&#x110000;</p",
        "2026-11-25T10:00:00",
        "9999-12-31T23:59:59",
        "0001-01-01T00:00:00",
        "flagged",
        "Pacific Standard Time",
        "#microsoft.graph.fileAttachment",
        "#microsoft.graph.itemAttachment",
        "#microsoft.graph.message",
        "#microsoft.graph.openTypeExtension",
        "Integer 0x7001",
        "a@contoso.test",
        "true",
    ];

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            4 => select(&TEXTS[..]).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => any::<i64>().prop_map(Value::from),
            1 => Just(Value::Null),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                3 => prop::collection::vec((select(&NAMES[..]), inner), 0..6)
                    .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    const REGISTRY_PIECES: [&str; 36] = [
        "users",
        "/",
        "me",
        "groups",
        "drives",
        "drive",
        "root",
        "chats",
        "messages",
        "teams",
        "channels",
        "sites",
        "lists",
        "communications",
        "presences",
        "onlineMeetings",
        "security",
        "alerts",
        "('a')",
        "b",
        "%2F",
        "{id}",
        "?",
        "$filter=",
        "id in (",
        "'5a6e2f26-5d0b-4f0c-a1a8-6a30e6a3f8c1'",
        ",",
        ")",
        "JoinWebUrl eq 'x'",
        "status/state",
        " eq ",
        " ne ",
        "'new'",
        "1",
        " and ",
        "tags/any(t:t eq 'a')",
    ];

    /// A body of an event that is likely to be accepted, with one arbitrary property.
    fn event() -> impl Strategy<Value = Value> {
        let time = || (select(&TEXTS[..]), select(&TEXTS[..]));
        (time(), time(), select(&NAMES[..]), json()).prop_map(|(start, end, name, value)| {
            let mut body = serde_json::json!({
                "start": { "dateTime": start.0, "timeZone": "UTC" },
                "end": { "dateTime": end.0, "timeZone": end.1 },
            });
            body[name] = value;
            body
        })
    }

    proptest! {
        #[test]
        fn paths_hold_their_promises(pieces in prop::collection::vec(select(&PATH_PIECES[..]), 0..24)) {
            fuzz_path(pieces.concat().as_bytes());
        }

        #[test]
        fn arbitrary_bytes_hold_their_promises(data in prop::collection::vec(any::<u8>(), 0..64)) {
            fuzz_path(&data);
            fuzz_body(&data);
            fuzz_registry(&data);
        }

        #[test]
        fn resources_hold_their_promises(pieces in prop::collection::vec(select(&REGISTRY_PIECES[..]), 0..16)) {
            fuzz_registry(pieces.concat().as_bytes());
        }

        #[test]
        fn bodies_hold_their_promises(body in json()) {
            fuzz_body(body.to_string().as_bytes());
        }

        #[test]
        fn events_hold_their_promises(body in event()) {
            fuzz_body(body.to_string().as_bytes());
        }
    }
}
