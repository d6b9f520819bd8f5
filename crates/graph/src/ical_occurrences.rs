//! What a calendar file says of single occurrences (`EXDATE`, `RECURRENCE-ID`), put into their series.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde_json::Value;

use crate::ical::ICALENDAR_EXTENSION;
use crate::mailbox::{CANCELLED_MAX, EXCEPTIONS_MAX};
use crate::occurrence::{set_cancelled_days, set_exceptions};
use crate::{Properties, Recurrence, Timestamp};

/// A series of the file, and what the file says of its occurrences.
struct Folded {
    place: usize,
    recurrence: Recurrence,
    exceptions: BTreeMap<Timestamp, Properties>,
    cancelled: Vec<Date>,
}

/// Moves every occurrence that stands alone into its series, and every excluded date that the series would
/// have. What fits no series stays as it is.
pub(crate) fn fold(events: Vec<Properties>) -> Vec<Properties> {
    let mut series: HashMap<String, Folded> = HashMap::new();
    for (place, event) in events.iter().enumerate() {
        if let Ok(Some(recurrence)) = Recurrence::of(event) {
            let folded = Folded { place, recurrence, exceptions: BTreeMap::new(), cancelled: Vec::new() };
            series.entry(uid(event)).or_insert(folded);
        }
    }
    let mut kept: Vec<Option<Properties>> = events.into_iter().map(Some).collect();
    for place in 0..kept.len() {
        let folded = kept[place].as_ref().and_then(|event| series.get_mut(&uid(event)));
        let Some(folded) = folded.filter(|folded| folded.place != place) else { continue };
        let (master, event) = (kept[folded.place].as_ref(), kept[place].as_ref());
        if master.zip(event).is_some_and(|(master, event)| folded.take(master, event)) {
            kept[place] = None;
        }
    }
    for folded in series.into_values() {
        if let Some(master) = kept[folded.place].as_mut() {
            folded.put(master);
        }
    }
    kept.into_iter().flatten().collect()
}

fn uid(event: &Properties) -> String {
    event.get("iCalUId").and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Folded {
    /// Takes an occurrence in, if it is one of the series'.
    fn take(&mut self, master: &Properties, event: &Properties) -> bool {
        let original = event.get("originalStart").and_then(Value::as_str).and_then(|start| start.parse().ok());
        let Some(slot) = original.and_then(|original| self.recurrence.slot_at(original)) else { return false };
        if event.get("isCancelled") == Some(&Value::Bool(true)) {
            self.cancelled.push(slot.date);
            return true;
        }
        if self.exceptions.len() >= EXCEPTIONS_MAX {
            return false;
        }
        const OWN: [&str; 6] = ["extensions", "iCalUId", "originalStart", "recurrence", "seriesMasterId", "type"];
        const TIMES: [&str; 2] = ["start", "end"];
        let differs = |name: &str, value: &Value| {
            TIMES.contains(&name) || (!OWN.contains(&name) && master.get(name).unwrap_or(&Value::Null) != value)
        };
        let differing = event.iter().filter(|(name, value)| differs(name, value));
        let differing = differing.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.exceptions.insert(slot.start, differing);
        true
    }

    fn put(mut self, master: &mut Properties) {
        let extensions = master.get_mut("extensions").and_then(Value::as_array_mut);
        let ours = |extension: &&mut Value| extension["id"] == ICALENDAR_EXTENSION;
        let excluded = extensions.and_then(|extensions| extensions.iter_mut().find(ours));
        if let Some(excluded) = excluded.and_then(|extension| extension["exdate"].as_array_mut()) {
            excluded.retain(|date| {
                let at = date.as_str().and_then(|date| date.parse::<Timestamp>().ok());
                let slot = at.and_then(|at| self.recurrence.slot_at(at));
                let fits = slot.filter(|_| self.cancelled.len() < CANCELLED_MAX);
                self.cancelled.extend(fits.map(|slot| slot.date));
                fits.is_none()
            });
        }
        drop_empty_extension(master);
        let cancelled = &self.cancelled;
        let recurrence = &self.recurrence;
        self.exceptions.retain(|start, _| !cancelled.contains(&recurrence.local_date(*start)));
        if !self.exceptions.is_empty() {
            set_exceptions(master, self.exceptions);
        }
        if !self.cancelled.is_empty() {
            set_cancelled_days(master, self.cancelled);
        }
    }
}

/// An extension in which nothing is left to keep goes.
fn drop_empty_extension(event: &mut Properties) {
    let is_empty = |extension: &Value| {
        let empty = |name: &str| extension[name].as_array().is_none_or(Vec::is_empty);
        // The rule itself is there only because something else was; the recurrence says it.
        extension["id"] == ICALENDAR_EXTENSION && empty("exdate") && empty("rdate")
    };
    if let Some(extensions) = event.get_mut("extensions").and_then(Value::as_array_mut) {
        extensions.retain(|extension| !is_empty(extension));
        if extensions.is_empty() {
            event.remove("extensions");
        }
    }
}
