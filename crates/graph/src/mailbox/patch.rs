//! `PATCH` of an item.

use serde_json::Value;

use super::{Fresh, Owner, Written, address_of, complete, contact, flag, meeting, rewrite, series};
use crate::occurrence::REMINDER;
use crate::{Item, Kind, Properties, Refusal, schema};

/// Changes an item. A patch that alters nothing still makes a version; a property that cannot be
/// changed may be repeated with the value it has.
pub fn patch(owner: &Owner, fresh: &Fresh, item: &Item, body: Value) -> Result<Written, Refusal> {
    let kind = item.id.kind;
    let (mut properties, changed) = apply(owner, fresh, kind, &item.properties, body)?;
    if kind == Kind::Event {
        series::change(&changed, &mut properties)?;
        meeting::settle(owner, &item.properties, &mut properties);
    }
    Ok(rewrite(owner, fresh, item, properties))
}

/// The properties with a patch applied, and the names of those that it altered.
pub(super) fn apply(
    owner: &Owner,
    fresh: &Fresh,
    kind: Kind,
    before: &Properties,
    body: Value,
) -> Result<(Properties, Vec<String>), Refusal> {
    let sent = schema::read(kind.into(), body)?;
    let mut properties = before.clone();
    let is_draft = flag(&properties, "isDraft");
    let mut changed = Vec::new();
    for (name, value) in sent {
        if properties.get(&name).unwrap_or(&Value::Null) == &value {
            continue;
        }
        if !is_updatable(kind, &name, is_draft) {
            return Err(Refusal::NotUpdatable { property: name });
        }
        merge(&mut properties, &name, value)?;
        changed.push(name);
    }
    forget_derived(kind, before, &changed, &mut properties);
    complete(owner, fresh, kind, &mut properties)?;
    Ok((properties, changed))
}

const MESSAGE: [&str; 14] = [
    "bccRecipients",
    "categories",
    "ccRecipients",
    "flag",
    "from",
    "importance",
    "inferenceClassification",
    "isDeliveryReceiptRequested",
    "isRead",
    "isReadReceiptRequested",
    "multiValueExtendedProperties",
    "sender",
    "singleValueExtendedProperties",
    "toRecipients",
];
const MESSAGE_DRAFT: [&str; 4] = ["body", "internetMessageId", "replyTo", "subject"];
/// Parts of an item that have requests of their own.
const FIXED: [&str; 3] = ["attachments", "extensions", "transactionId"];

fn is_updatable(kind: Kind, name: &str, is_draft: bool) -> bool {
    match kind {
        Kind::Message => MESSAGE.contains(&name) || (is_draft && MESSAGE_DRAFT.contains(&name)),
        Kind::Event | Kind::Contact => !FIXED.contains(&name),
    }
}

/// Bodies and postal addresses keep the members that are not sent, extended properties the ones with other
/// ids, attendees their answers; everything else is replaced.
pub(super) fn merge(properties: &mut Properties, name: &str, value: Value) -> Result<(), Refusal> {
    match (properties.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(new))
            if name == "body" || (name.ends_with("Address") && !name.ends_with("EmailAddress")) =>
        {
            old.extend(new);
        }
        (Some(Value::Array(old)), Value::Array(new)) if name.ends_with("ExtendedProperties") => {
            old.retain(|old| new.iter().all(|new| new.get("id") != old.get("id")));
            old.extend(new);
            if old.len() > schema::MEMBERS_MAX {
                return Err(Refusal::TooLong {
                    property: name.to_owned(),
                    length_max: schema::MEMBERS_MAX,
                    unit: "members",
                });
            }
        }
        (Some(Value::Array(old)), Value::Array(mut new)) if name == "attendees" => {
            new.iter_mut().for_each(|attendee| keep_answer(old, attendee));
            *old = new;
        }
        (_, value) => {
            properties.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

/// An attendee sent without a status has the one that the same address had.
fn keep_answer(old: &[Value], attendee: &mut Value) {
    let same = old.iter().find(|old| address_of(old).eq_ignore_ascii_case(address_of(attendee)));
    if let (Some(attendee), Some(status)) = (attendee.as_object_mut(), same.and_then(|old| old.get("status")))
        && attendee.get("status").is_none_or(Value::is_null)
    {
        attendee.insert("status".to_owned(), status.clone());
    }
}

/// Removes what followed from properties that have changed, so that it is made anew.
fn forget_derived(kind: Kind, before: &Properties, changed: &[String], properties: &mut Properties) {
    let has = |name: &str| changed.iter().any(|changed| changed == name);
    let mut forget = |name: &str| properties.remove(name);
    if has("body") {
        forget("bodyPreview");
    }
    if kind == Kind::Event {
        if ["start", "isReminderOn", "reminderMinutesBeforeStart"].iter().any(|name| has(name)) {
            forget(REMINDER);
        }
        for (cause, derived) in [
            ("start", "originalStartTimeZone"),
            ("end", "originalEndTimeZone"),
            ("recurrence", "type"),
            ("location", "locations"),
            ("locations", "location"),
        ] {
            if has(cause) && !has(derived) {
                forget(derived);
            }
        }
    }
    if kind == Kind::Contact {
        contact::forget_derived(before, changed, properties);
    }
}
