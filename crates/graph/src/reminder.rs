//! Reminders of events: when they fire, and what became of them.
//!
//! What became of a reminder is kept apart from the event's own properties (see
//! [`crate::occurrence::REMINDER`]), so that an occurrence whose reminder was dismissed is no exception.

use serde_json::{Value, json};

use crate::occurrence::{REMINDER, time_of};
use crate::{Properties, Timestamp};

const SNOOZED: &str = "snoozedUntil";
const DISMISSED: &str = "dismissed";

/// When the reminder of a single event or of an occurrence fires; `None` if it has none, or not any more.
pub fn fires(event: &Properties) -> Option<Timestamp> {
    if event.get("isReminderOn") != Some(&Value::Bool(true)) {
        return None;
    }
    let became = event.get(REMINDER);
    if became.is_some_and(|became| became.get(DISMISSED).is_some()) {
        return None;
    }
    let snoozed = became.and_then(|became| became.get(SNOOZED)?.as_str()?.parse().ok());
    snoozed.or_else(|| due(event))
}

/// When the reminder of an event is due by its start.
pub(crate) fn due(event: &Properties) -> Option<Timestamp> {
    Some(time_of(event, "start")?.plus_minutes(-minutes(event)))
}

/// How long before its start an event's reminder is due.
pub(crate) fn minutes(event: &Properties) -> i64 {
    event.get("reminderMinutesBeforeStart").and_then(Value::as_i64).unwrap_or_default()
}

pub(crate) fn snoozed(until: Timestamp) -> Value {
    json!({ SNOOZED: until.to_string() })
}

pub(crate) fn dismissed() -> Value {
    json!({ DISMISSED: true })
}
