//! Occurrences of a series, and what their master says of them.

use serde_json::Value;

use super::{Members, Preferences, Select, View, item, item_id, link_to};
use crate::mailbox::meeting::SEQUENCE;
use crate::occurrence::{CANCELLED, EXCEPTIONS, OCCURRENCE_OF, REMINDER, cancelled};
use crate::{Item, Kind, Occurrence};

/// Properties of events that no answer shows as they are stored.
pub(super) const INTERNAL: [&str; 5] = [CANCELLED, EXCEPTIONS, OCCURRENCE_OF, REMINDER, SEQUENCE];

/// Comes only when it is asked for, as Graph's beta has it and the guide to cancelled occurrences selects it.
pub(super) const OCCURRENCE_ID: &str = "occurrenceId";

/// An occurrence, as an event.
pub fn occurrence(occurrence: &Occurrence, view: View<'_>) -> Value {
    let master = &occurrence.item;
    let mut shown = item(master, View { context: None, ..view });
    if let Some(shown) = shown.as_object_mut() {
        let id = occurrence.id.to_string();
        for (name, value) in [
            ("seriesMasterId", item_id(master, view.prefer)),
            ("webLink", link_to(Kind::Event, &id).unwrap_or_default()),
        ] {
            shown.entry(name).and_modify(|shown| *shown = value.into());
        }
        if view.select.is_some_and(|select| select.has(OCCURRENCE_ID)) {
            let day = occurrence.id.date;
            shown.insert(OCCURRENCE_ID.to_owned(), name_of(master, view.prefer, &day.to_string()).into());
        }
        shown.insert("id".to_owned(), id.into());
        if let Some(context) = view.context {
            shown.insert("@odata.context".to_owned(), context.into());
        }
    }
    shown
}

/// Of events: the occurrences that were taken out, by name, if they are asked for.
pub(super) fn show_cancelled(event: &Item, view: View<'_>, shown: &mut Members<'_>) {
    let is_asked = |select: &Select| select.has(CANCELLED);
    if event.id.kind == Kind::Event && view.select.is_some_and(is_asked) {
        let names = cancelled(&event.properties).map(|day| name_of(event, view.prefer, &day.to_string()).into());
        shown.insert(CANCELLED, Value::Array(names.collect()));
    }
}

fn name_of(master: &Item, prefer: &Preferences, day: &str) -> String {
    format!("OID.{}.{day}", item_id(master, prefer))
}
