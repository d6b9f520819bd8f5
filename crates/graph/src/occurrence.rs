//! The occurrences of a series as events: what the series says, with what was changed of each.
//!
//! A series is one item, its master. `exceptionOccurrences` of the master holds the properties by which
//! single occurrences differ, each with its `originalStart`; `cancelledOccurrences` the days of those
//! that were taken out. An occurrence is no item of its own: to change one is to change the master.

mod id;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::recurrence::Slot;
use crate::{Item, Properties, Recurrence, Timestamp};
pub use id::OccurrenceId;

/// In the master: the occurrences that differ.
pub const EXCEPTIONS: &str = "exceptionOccurrences";
/// In the master: the days of the occurrences that are no more, in order.
pub const CANCELLED: &str = "cancelledOccurrences";
/// In an exception and in a single event: what became of its reminder. No change of the event itself.
pub const REMINDER: &str = "reminder";
/// In an occurrence, and in whatever tells of one: the `uid` of its series, which is the master's `iCalUId`,
/// and its `originalStart`. Together they name it in every mailbox.
pub const OCCURRENCE_OF: &str = "occurrenceOf";
pub(crate) const ORIGINAL_START: &str = "originalStart";

/// Properties of the master that its occurrences do not have.
const OF_MASTER: [&str; 5] = [EXCEPTIONS, CANCELLED, REMINDER, "recurrence", "transactionId"];

/// An event in a calendar at one time: a single event, or an occurrence of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Of an occurrence, the day on which the recurrence has it.
    pub date: Option<Date>,
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    pub id: OccurrenceId,
    /// The master with the properties of the occurrence.
    pub item: Item,
}

/// A series and what was changed of it.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    master: &'a Item,
    pub recurrence: Recurrence,
    /// By the original start.
    exceptions: BTreeMap<Timestamp, &'a Properties>,
    cancelled: Vec<Date>,
}

/// What of an event is in the calendar in the time from `from` until before `until`, in no order.
pub fn instances(event: &Item, from: Timestamp, until: Timestamp) -> Vec<Instance> {
    if let Some(series) = Series::of(event) {
        return series.between(from, until).collect();
    }
    let (start, end) = (event.sort_key(), event.last_end());
    let single = Instance { start, end, date: None };
    if overlaps(start, end, from, until) { vec![single] } else { Vec::new() }
}

fn overlaps(start: Timestamp, end: Timestamp, from: Timestamp, until: Timestamp) -> bool {
    start < until && (end > from || start >= from)
}

impl<'a> Series<'a> {
    /// The series whose master the event is; `None` if it is none, or no recurrence that can be expanded.
    pub fn of(event: &'a Item) -> Option<Self> {
        let recurrence = Recurrence::of(&event.properties).ok().flatten()?;
        Some(Self {
            master: event,
            recurrence,
            exceptions: exceptions(&event.properties).collect(),
            cancelled: cancelled(&event.properties).collect(),
        })
    }

    /// The occurrences that overlap the time from `from` until before `until`, in no order.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Instance> {
        let natural = self.recurrence.between(from, until).filter(|slot| !self.exceptions.contains_key(&slot.start));
        let natural = natural.map(|slot| Instance { start: slot.start, end: slot.end, date: Some(slot.date) });
        let changed = self.exceptions.keys().filter_map(|start| self.recurrence.slot_at(*start));
        let changed = changed.map(|slot| self.instance(slot));
        let changed = changed.filter(move |instance| overlaps(instance.start, instance.end, from, until));
        natural.chain(changed).filter(|instance| instance.date.is_none_or(|date| !self.is_cancelled(date)))
    }

    /// The occurrence of that day of the recurrence, unless it was cancelled.
    pub fn occurrence(&self, date: Date) -> Option<Occurrence> {
        self.occurrence_with(date, |_| true)
    }

    /// The same with what the series says of `kept` properties alone: a series has its body once, and its
    /// occurrences by thousands.
    pub fn occurrence_with(&self, date: Date, kept: impl Fn(&str) -> bool) -> Option<Occurrence> {
        let slot = self.recurrence.slot_on(date).filter(|_| !self.is_cancelled(date))?;
        let mut occurrence = self.unchanged_with(slot, &kept);
        let changed = self.exceptions.get(&slot.start);
        let differing = changed.into_iter().flat_map(|changed| changed.iter().filter(|(name, _)| kept(name)));
        let differing = differing.map(|(name, value)| (name.clone(), value.clone()));
        occurrence.item.properties.extend(differing);
        if changed.is_some_and(|changed| is_exception(changed)) {
            occurrence.item.properties.insert("type".to_owned(), "exception".into());
        }
        Some(occurrence)
    }

    /// The properties by which the occurrence of that day differs from the series.
    pub fn differing(&self, date: Date) -> Vec<&'a str> {
        let changed = self.recurrence.slot_on(date).and_then(|slot| self.exceptions.get(&slot.start));
        let names = changed.filter(|changed| is_exception(changed)).into_iter().flat_map(|changed| changed.keys());
        names.map(String::as_str).collect()
    }

    /// The days of the occurrences that differ from the series, in order.
    pub fn changed_days(&self) -> impl Iterator<Item = Date> {
        let differing = self.exceptions.iter().filter(|(_, changed)| is_exception(changed));
        let days = differing.filter_map(|(start, _)| Some(self.recurrence.slot_at(*start)?.date));
        days.filter(|day| !self.is_cancelled(*day))
    }

    /// The occurrence of a slot as the recurrence has it.
    pub(crate) fn unchanged(&self, slot: Slot) -> Occurrence {
        self.unchanged_with(slot, &|_| true)
    }

    fn unchanged_with(&self, slot: Slot, kept: &impl Fn(&str) -> bool) -> Occurrence {
        let is_own = |name: &str| !OF_MASTER.contains(&name) && kept(name);
        let own = self.master.properties.iter().filter(|(name, _)| is_own(name));
        let properties = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let Item { id, immutable, mailbox, folder, created, modified, version, .. } = *self.master;
        let mut item = Item { id, immutable, mailbox, folder, created, modified, version, properties };
        let series = self.master.properties.get("iCalUId").and_then(Value::as_str).unwrap_or_default();
        let (named, uid) = (occurrence_name(series, slot.start), occurrence_uid(series, slot.date));
        for (name, value) in [
            ("type", "occurrence".into()),
            ("seriesMasterId", self.master.id.to_string().into()),
            (ORIGINAL_START, slot.start.to_string().into()),
            (OCCURRENCE_OF, named),
            ("start", utc_value(slot.start)),
            ("end", utc_value(slot.end)),
            ("iCalUId", uid.into()),
        ] {
            item.properties.insert(name.to_owned(), value);
        }
        Occurrence { id: OccurrenceId { master: self.master.immutable, date: slot.date }, item }
    }

    /// When the occurrence of a slot really is.
    pub(crate) fn instance(&self, slot: Slot) -> Instance {
        let changed = self.exceptions.get(&slot.start);
        let time = |name: &str| changed.and_then(|changed| time_of(changed, name));
        let (start, end) = (time("start").unwrap_or(slot.start), time("end").unwrap_or(slot.end));
        Instance { start, end: end.max(start), date: Some(slot.date) }
    }

    pub(crate) fn is_cancelled(&self, date: Date) -> bool {
        self.cancelled.binary_search(&date).is_ok()
    }

    /// When the last occurrence ends; `None` if the series never does.
    pub fn last_end(&self) -> Option<Timestamp> {
        let last = self.recurrence.last()?.end;
        let changed = self.exceptions.values().filter_map(|changed| time_of(changed, "end"));
        Some(changed.fold(last, Timestamp::max))
    }
}

/// Whether an occurrence differs from its series in more than in what became of its reminder.
fn is_exception(changed: &Properties) -> bool {
    changed.keys().any(|name| name != ORIGINAL_START && name != REMINDER)
}

/// What a master says of occurrences that differ, by their original starts.
pub(crate) fn exceptions(master: &Properties) -> impl Iterator<Item = (Timestamp, &Properties)> {
    let members = master.get(EXCEPTIONS).and_then(Value::as_array).into_iter().flatten();
    members.filter_map(|member| {
        let changed = member.as_object()?;
        Some((changed.get(ORIGINAL_START)?.as_str()?.parse().ok()?, changed))
    })
}

/// What [`OCCURRENCE_OF`] holds.
pub(crate) fn occurrence_name(series: &str, original: Timestamp) -> Value {
    json!({ "uid": series, ORIGINAL_START: original.to_string() })
}

/// The UID of the series that an event, or news of it, is an occurrence of, and when that begins in it.
pub(crate) fn occurrence_of(event: &Properties) -> Option<(&str, Timestamp)> {
    let named = event.get(OCCURRENCE_OF)?;
    let original = named.get(ORIGINAL_START)?.as_str()?.parse().ok()?;
    Some((named.get("uid")?.as_str()?, original))
}

/// The days on which the recurrence of a master has occurrences that are no more.
pub(crate) fn cancelled(master: &Properties) -> impl Iterator<Item = Date> {
    let members = master.get(CANCELLED).and_then(Value::as_array).into_iter().flatten();
    members.filter_map(|day| day.as_str()?.parse().ok())
}

/// Keeps what differs of one occurrence; if nothing does, it is forgotten.
pub(crate) fn set_exception(master: &mut Properties, original: Timestamp, changed: Properties) {
    let mut kept = kept(master);
    kept.insert(original, changed);
    set_exceptions(master, kept);
}

/// Changes what is kept of each occurrence that differs; one that differs in nothing any more is forgotten.
pub(crate) fn change_exceptions(master: &mut Properties, change: impl FnMut(&mut Properties)) {
    if master.contains_key(EXCEPTIONS) {
        let mut kept = kept(master);
        kept.values_mut().for_each(change);
        set_exceptions(master, kept);
    }
}

/// What differs of occurrences, by their original starts.
pub(crate) fn kept(master: &Properties) -> BTreeMap<Timestamp, Properties> {
    exceptions(master).map(|(start, changed)| (start, changed.clone())).collect()
}

/// Keeps what differs of occurrences, by their original starts, and forgets all others.
pub(crate) fn set_exceptions(master: &mut Properties, kept: BTreeMap<Timestamp, Properties>) {
    let differing = kept.into_iter().filter(|(_, changed)| changed.keys().any(|name| name != ORIGINAL_START));
    let members = differing.map(|(original, mut changed)| {
        changed.insert(ORIGINAL_START.to_owned(), original.to_string().into());
        Value::Object(changed)
    });
    put_list(master, EXCEPTIONS, members.collect());
}

/// Takes the occurrence of a day out.
pub(crate) fn set_cancelled(master: &mut Properties, date: Date) {
    set_cancelled_days(master, cancelled(master).chain([date]).collect());
}

/// Puts the occurrence of a day back, if it was taken out.
pub(crate) fn restore(master: &mut Properties, date: Date) {
    set_cancelled_days(master, cancelled(master).filter(|day| *day != date).collect());
}

/// Takes out the occurrences of these days, and no others.
pub(crate) fn set_cancelled_days(master: &mut Properties, mut days: Vec<Date>) {
    days.sort_unstable();
    days.dedup();
    put_list(master, CANCELLED, days.iter().map(|day| day.to_string().into()).collect());
}

/// Forgets what is said of occurrences that the recurrence does not have, or not any more.
pub(crate) fn forget_missing(master: &mut Properties, recurrence: Option<&Recurrence>) {
    let is_there = |start| recurrence.is_some_and(|recurrence| recurrence.slot_at(start).is_some());
    let kept = exceptions(master).filter(|(start, _)| is_there(*start));
    let kept = kept.map(|(_, changed)| Value::Object(changed.clone())).collect();
    let days = cancelled(master).filter(|day| recurrence.is_some_and(|series| series.slot_on(*day).is_some()));
    let days = days.map(|day| day.to_string().into()).collect();
    put_list(master, EXCEPTIONS, kept);
    put_list(master, CANCELLED, days);
}

fn put_list(master: &mut Properties, name: &str, members: Vec<Value>) {
    if members.is_empty() {
        master.remove(name);
    } else {
        master.insert(name.to_owned(), members.into());
    }
}

/// The `iCalUId` of an occurrence: in Outlook's global object ids four bytes are for its day; of other
/// makers' it is put behind.
pub(crate) fn occurrence_uid(master: &str, date: Date) -> String {
    const HEAD: &str = "040000008200E00074C5B7101A82E008";
    let (year, month, day) = (date.year(), date.month(), date.day());
    match master.get(..HEAD.len()).zip(master.get(HEAD.len() + 8..)) {
        Some((head, tail)) if head.eq_ignore_ascii_case(HEAD) => format!("{head}{year:04X}{month:02X}{day:02X}{tail}"),
        _ => format!("{master}_{year:04}{month:02}{day:02}"),
    }
}

/// A time of an event, stored in UTC.
pub(crate) fn time_of(properties: &Properties, name: &str) -> Option<Timestamp> {
    let stated = properties.get(name)?.get("dateTime")?.as_str()?;
    format!("{}Z", stated.trim_end_matches('Z')).parse().ok()
}

/// A `dateTimeTimeZone` in UTC: with seven fractional digits and no offset.
pub(crate) fn utc_value(at: Timestamp) -> Value {
    let time = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    zoned_value(time, &TimeZone::UTC, "UTC")
}

pub(crate) fn zoned_value(at: jiff::Timestamp, zone: &TimeZone, name: &str) -> Value {
    let local = zone.to_datetime(at);
    let hundred_nanos = local.subsec_nanosecond() / 100;
    json!({ "dateTime": format!("{}.{hundred_nanos:07}", local.strftime("%Y-%m-%dT%H:%M:%S")), "timeZone": name })
}
