//! What messages that speak of meetings show besides.

use serde_json::Value;

use super::{Members, Select};
use crate::Properties;
pub(super) use crate::mailbox::meeting::INTERNAL;
use crate::mailbox::meeting::message_type;

/// Adds the derived type of a message that is one, and what such a message need not have.
pub(super) fn show_type(message: &Properties, select: Option<&Select>, shown: &mut Members<'_>) {
    let Some(type_name) = message_type(message) else { return };
    shown.insert("@odata.type", format!("#microsoft.graph.{type_name}").into());
    if select.is_some() {
        return;
    }
    let absent: &[&str] = match type_name {
        "eventMessageRequest" => &["previousEndDateTime", "previousLocation", "previousStartDateTime"],
        "eventMessageResponse" => &["proposedNewTime"],
        _ => &[],
    };
    for name in absent.iter().chain(&["recurrence"]) {
        shown.insert_if_absent(name, Value::default);
    }
}
