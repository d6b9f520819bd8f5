//! What makes an event a series, and keeps it whole.

use serde_json::{Value, json};

use super::{default, text};
use crate::occurrence::{self, utc_value};
use crate::recurrence::RecurrenceError;
use crate::{Properties, Recurrence, Refusal};

/// Gives a recurrence the members that a request may leave out.
pub(super) fn complete(properties: &mut Properties) {
    let zone = text(properties, "originalStartTimeZone").to_owned();
    let Some(recurrence) = properties.get_mut("recurrence").and_then(Value::as_object_mut) else { return };
    if let Some(pattern) = recurrence.get_mut("pattern").and_then(Value::as_object_mut) {
        pattern.retain(|_, value| !value.is_null());
        for (name, value) in [
            ("dayOfMonth", json!(0)),
            ("daysOfWeek", json!([])),
            ("firstDayOfWeek", json!("sunday")),
            ("index", json!("first")),
            ("interval", json!(1)),
            ("month", json!(0)),
        ] {
            default(pattern, name, || value);
        }
    }
    if let Some(range) = recurrence.get_mut("range").and_then(Value::as_object_mut) {
        range.retain(|_, value| !value.is_null());
        let counted = range.get("numberOfOccurrences").and_then(Value::as_i64).is_some_and(|count| count > 0);
        let kind = if range.contains_key("endDate") { "endDate" } else { "noEnd" };
        default(range, "type", || if counted && kind == "noEnd" { "numbered" } else { kind }.into());
        default(range, "numberOfOccurrences", || 0.into());
        default(range, "recurrenceTimeZone", || zone.into());
    }
}

/// Checks the recurrence of a new event, whose range must start on the day of the event.
pub(super) fn begin(properties: &mut Properties) -> Result<(), Refusal> {
    check_start(properties)?;
    settle(properties)
}

fn check_start(properties: &Properties) -> Result<(), Refusal> {
    let begins = Recurrence::requested(properties)?.is_none_or(|recurrence| recurrence.begins_with_an_occurrence());
    let property = "recurrence/range/startDate";
    let wrong = RecurrenceError::Invalid { property, expected: "the day of start".to_owned() };
    if begins { Ok(()) } else { Err(wrong.into()) }
}

/// A series begins with its first occurrence.
fn settle(properties: &mut Properties) -> Result<(), Refusal> {
    if let Some(recurrence) = Recurrence::requested(properties)?
        && let Some(first) = recurrence.slot(0)
    {
        properties.insert("start".to_owned(), utc_value(first.start));
        properties.insert("end".to_owned(), utc_value(first.end));
    }
    Ok(())
}

/// Brings a changed event in order, if its times or its recurrence were among what changed: what was
/// said of single occurrences is forgotten where the series does not have them any more. Of the start and
/// the recurrence the one that was changed alone decides when the series starts.
pub(super) fn change(changed: &[String], properties: &mut Properties) -> Result<(), Refusal> {
    let has = |name: &str| changed.iter().any(|changed| changed == name);
    if !["start", "end", "isAllDay", "recurrence"].iter().any(|name| has(name)) {
        return Ok(());
    }
    if has("recurrence") && has("start") {
        check_start(properties)?;
    } else if !has("recurrence")
        && let Ok(Some(recurrence)) = Recurrence::of(properties)
        && !recurrence.begins_with_an_occurrence()
    {
        let day = recurrence.begins_on.to_string();
        if let Some(range) = properties.get_mut("recurrence").and_then(|recurrence| recurrence.get_mut("range")) {
            range["startDate"] = day.into();
        }
    }
    settle(properties)?;
    let recurrence = Recurrence::of(properties)?;
    occurrence::forget_missing(properties, recurrence.as_ref());
    Ok(())
}
