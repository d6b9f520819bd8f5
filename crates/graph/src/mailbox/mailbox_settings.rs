//! `mailboxSettings`: how a user wants dates, times and language, when the user works, and automatic replies.
//! They are kept and shown; nothing else here follows them, and nobody is replied to.

use serde_json::{Value, json};

use super::when::When;
use super::{Settings, text};
use crate::{Properties, Refusal, UserId, WellKnown, schema, zone};

/// How long what is set may be as JSON: it lies in a folder, which is read with all others.
pub const MAILBOX_SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// The name of Graph's type.
pub const MAILBOX_SETTINGS: &str = "mailboxSettings";

const FORMAT_CHARS_MAX: usize = 64;
const READ_ONLY: [&str; 2] = ["archiveFolder", "userPurpose"];

/// All of a mailbox's settings, in Graph's JSON form: what was set, and a new mailbox's for the rest.
pub fn mailbox_settings(settings: &Settings, mailbox: UserId) -> Properties {
    let zone = settings.mailbox.get("timeZone").and_then(Value::as_str).unwrap_or("UTC");
    let never = json!({ "dateTime": "0001-01-01T00:00:00.0000000", "timeZone": "UTC" });
    let first = json!({
        "archiveFolder": WellKnown::Archive.id_in(mailbox).to_string(),
        "timeZone": zone,
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "dateFormat": "M/d/yyyy",
        "timeFormat": "h:mm tt",
        "userPurpose": "user",
        "automaticRepliesSetting": {
            "status": "disabled",
            "externalAudience": "all",
            "internalReplyMessage": "",
            "externalReplyMessage": "",
            "scheduledStartDateTime": never,
            "scheduledEndDateTime": never,
        },
        "language": { "locale": "en-US", "displayName": "English (United States)" },
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": { "name": zone },
        },
    });
    let mut all = first.as_object().cloned().unwrap_or_default();
    for (name, value) in &settings.mailbox {
        put(&mut all, name, value.clone());
    }
    all
}

/// Changes settings; those that were changed, as they are now.
pub fn patch_mailbox_settings(settings: &mut Settings, mailbox: UserId, body: Value) -> Result<Properties, Refusal> {
    let mut sent = schema::read_named(MAILBOX_SETTINGS, body)?;
    sent.retain(|name, value| !READ_ONLY.contains(&name.as_str()) && !value.is_null());
    for (name, mut value) in sent.clone() {
        check(&name, &mut value)?;
        put(&mut settings.mailbox, &name, value);
    }
    let length = Value::Object(settings.mailbox.clone()).to_string().len();
    if length > MAILBOX_SETTINGS_BYTES_MAX {
        let property = MAILBOX_SETTINGS.to_owned();
        return Err(Refusal::TooLong { property, length_max: MAILBOX_SETTINGS_BYTES_MAX, unit: "bytes" });
    }
    let all = mailbox_settings(settings, mailbox);
    check_replies(&all)?;
    Ok(all.into_iter().filter(|(name, _)| sent.contains_key(name)).collect())
}

/// Of automatic replies and working hours, members that are not sent stay.
fn put(into: &mut Properties, name: &str, value: Value) {
    match (into.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(new)) if name != "language" => old.extend(new),
        (_, value) => drop(into.insert(name.to_owned(), value)),
    }
}

/// Brings a setting into the form that is kept.
fn check(name: &str, value: &mut Value) -> Result<(), Refusal> {
    match name {
        "timeZone" => check_zone(value.as_str().unwrap_or_default()),
        "dateFormat" | "timeFormat" if value.as_str().is_some_and(|text| text.chars().count() > FORMAT_CHARS_MAX) => {
            let property = name.to_owned();
            Err(Refusal::TooLong { property, length_max: FORMAT_CHARS_MAX, unit: "characters" })
        }
        "language" => {
            let members = value.as_object_mut().ok_or_else(|| Refusal::invalid(name, "a locale"))?;
            let locale = text(members, "locale").trim().to_owned();
            let is_one =
                (2..=35).contains(&locale.len()) && locale.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !is_one {
                return Err(Refusal::invalid("language/locale", "a locale such as en-US"));
            }
            let shown = if locale == "en-US" { "English (United States)" } else { &locale };
            *value = json!({ "locale": locale, "displayName": shown });
            Ok(())
        }
        "workingHours" => match value.pointer("/timeZone/name").and_then(Value::as_str) {
            Some(zone) => check_zone(zone),
            None => Ok(()),
        },
        "automaticRepliesSetting" => {
            let members = value.as_object_mut().into_iter().flatten();
            for (member, time) in members.filter(|(member, time)| member.starts_with("scheduled") && !time.is_null()) {
                *time = When::read(&format!("{name}/{member}"), time, false)?.to_value();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_zone(name: &str) -> Result<(), Refusal> {
    let unknown = || Refusal::UnknownTimeZone { name: name.chars().take(128).collect() };
    zone::find(name).map(drop).ok_or_else(unknown)
}

/// Replies that are scheduled begin before they end.
fn check_replies(all: &Properties) -> Result<(), Refusal> {
    let replies = all.get("automaticRepliesSetting");
    let member = |name: &str| replies.and_then(|replies| replies.get(name));
    let time = |name: &str| member(name).and_then(|time| time.get("dateTime")?.as_str()).unwrap_or_default();
    let is_scheduled = member("status").and_then(Value::as_str) == Some("scheduled");
    if is_scheduled && time("scheduledStartDateTime") >= time("scheduledEndDateTime") {
        let property = "automaticRepliesSetting/scheduledEndDateTime";
        return Err(Refusal::invalid(property, "later than scheduledStartDateTime"));
    }
    Ok(())
}
