//! What every message has.

use serde_json::{Value, json};

use super::conversation::Thread;
use super::when::When;
use super::{Fresh, Owner, complete_body, default, members_mut, name_recipient, text};
use crate::{Properties, Refusal};

pub(super) const RECIPIENT_LISTS: [&str; 4] = ["toRecipients", "ccRecipients", "bccRecipients", "replyTo"];

pub(super) fn complete(owner: &Owner, fresh: &Fresh, properties: &mut Properties) -> Result<(), Refusal> {
    complete_body(properties);
    complete_flag(fresh, properties)?;
    for list in RECIPIENT_LISTS {
        default(properties, list, || json!([]));
        members_mut(properties, list).for_each(name_recipient);
    }
    for name in ["from", "sender"] {
        properties.get_mut(name).into_iter().for_each(name_recipient);
    }
    default(properties, "internetMessageId", || new_message_id(owner, fresh).into());
    let now = fresh.now.whole_seconds();
    if !(properties.contains_key("conversationId") && properties.contains_key("conversationIndex")) {
        let thread = Thread::of(text(properties, "internetMessageId"));
        default(properties, "conversationId", || thread.id().into());
        default(properties, "conversationIndex", || thread.index(now).into());
    }
    for (name, value) in [("categories", json!([])), ("subject", json!("")), ("importance", json!("normal"))] {
        default(properties, name, || value);
    }
    default(properties, "inferenceClassification", || "focused".into());
    for name in ["isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead", "isDraft"] {
        default(properties, name, || false.into());
    }
    let now = now.to_string();
    for name in ["receivedDateTime", "sentDateTime"] {
        default(properties, name, || now.as_str().into());
    }
    Ok(())
}

/// Follow-up times are kept in UTC; a flag that is not set has none. What is due must have a start, and
/// what is complete was completed at some time.
fn complete_flag(fresh: &Fresh, properties: &mut Properties) -> Result<(), Refusal> {
    default(properties, "flag", || json!({}));
    let Some(flag) = properties.get_mut("flag").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    flag.retain(|_, value| !value.is_null());
    default(flag, "flagStatus", || "notFlagged".into());
    if text(flag, "flagStatus") == "notFlagged" {
        flag.retain(|name, _| name == "flagStatus");
    }
    for name in ["completedDateTime", "dueDateTime", "startDateTime"] {
        if let Some(value) = flag.get_mut(name) {
            *value = When::read(&format!("flag/{name}"), value, false)?.to_value();
        }
    }
    if text(flag, "flagStatus") == "complete" && !flag.contains_key("completedDateTime") {
        let today = fresh.now.whole_seconds().to_string();
        let midnight = format!("{}T00:00:00.0000000", today.split('T').next().unwrap_or_default());
        flag.insert("completedDateTime".to_owned(), json!({ "dateTime": midnight, "timeZone": "UTC" }));
    }
    let at = |name: &str| flag.get(name).map(|when| when.get("dateTime").and_then(Value::as_str).unwrap_or_default());
    match (at("startDateTime"), at("dueDateTime")) {
        (None, Some(_)) => return Err(Refusal::Missing { property: "flag/startDateTime" }),
        (Some(start), Some(due)) if due < start => {
            return Err(Refusal::invalid("flag/dueDateTime", "no earlier than flag/startDateTime"));
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn new_message_id(owner: &Owner, fresh: &Fresh) -> String {
    let domain = owner.address.rsplit_once('@').map_or(owner.address.as_str(), |(_, domain)| domain);
    format!("<{}@{domain}>", fresh.uuid)
}
