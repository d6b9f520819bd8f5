//! `PATCH` and `DELETE` of one occurrence: each is a change of its series master.

use jiff::civil::Date;
use serde_json::Value;

use super::patch::apply;
use super::{Fresh, Owner, Written, meeting};
use crate::occurrence::{CANCELLED, EXCEPTIONS, Instance, OCCURRENCE_OF, Occurrence, Series};
use crate::occurrence::{restore, set_cancelled, set_exception, time_of};
use crate::recurrence::Slot;
use crate::{Item, Kind, Mutation, Properties, Refusal};

/// The most occurrences of a series that may differ from it, and that may be cancelled.
pub const EXCEPTIONS_MAX: usize = 1_000;
pub const CANCELLED_MAX: usize = 5_000;
/// The longest JSON form of all that differs: a series is one item, and each occurrence may have a body.
pub const EXCEPTIONS_BYTES_MAX: usize = 8 << 20;

/// An occurrence as an operation left it, and what to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct OccurrenceWritten {
    pub before: Occurrence,
    pub occurrence: Occurrence,
    pub mutation: Mutation,
}

/// Changes one occurrence, which thereby becomes an exception. What was not changed of it still follows
/// the series.
pub fn patch_occurrence(
    owner: &Owner,
    fresh: &Fresh,
    master: &Item,
    date: Date,
    body: Value,
) -> Result<OccurrenceWritten, Refusal> {
    let (series, before, slot) = find(master, date)?;
    let (mut after, _) = apply(owner, fresh, Kind::Event, &before.item.properties, body)?;
    if after.get("recurrence").is_some_and(|recurrence| !recurrence.is_null()) {
        return Err(Refusal::NotUpdatable { property: "recurrence".to_owned() });
    }
    let moved = |name| after.get(name) != before.item.properties.get(name);
    if moved("start") || moved("end") {
        check_neighbours(&series, slot, &after)?;
    }
    meeting::settle(owner, &before.item.properties, &mut after);
    let changed = difference(&series.unchanged(slot).item.properties, after);
    let Written { item: master, mutation } = keep(owner, fresh, master, slot, changed)?;
    let written = Series::of(&master).and_then(|series| series.occurrence(date));
    let occurrence = written.ok_or(Refusal::OccurrenceNotFound)?;
    Ok(OccurrenceWritten { before, occurrence, mutation })
}

/// Keeps what differs of an occurrence from its series, which may have had it no more.
pub(super) fn keep(
    owner: &Owner,
    fresh: &Fresh,
    master: &Item,
    slot: Slot,
    changed: Properties,
) -> Result<Written, Refusal> {
    let mut properties = master.properties.clone();
    restore(&mut properties, slot.date);
    set_exception(&mut properties, slot.start, changed);
    check_length(&properties)?;
    Ok(super::rewrite(owner, fresh, master, properties))
}

/// Takes one occurrence out of its series.
pub(super) fn cancel_occurrence(owner: &Owner, fresh: &Fresh, master: &Item, date: Date) -> Result<Mutation, Refusal> {
    let (_, _, slot) = find(master, date)?;
    let mut properties = master.properties.clone();
    set_exception(&mut properties, slot.start, Properties::new());
    set_cancelled(&mut properties, date);
    check_length(&properties)?;
    Ok(super::rewrite(owner, fresh, master, properties).mutation)
}

/// The series, an occurrence that is in it, and where the recurrence has that.
pub(super) fn find(master: &Item, date: Date) -> Result<(Series<'_>, Occurrence, Slot), Refusal> {
    let series = Series::of(master).ok_or(Refusal::OccurrenceNotFound)?;
    let occurrence = series.occurrence(date).ok_or(Refusal::OccurrenceNotFound)?;
    let slot = series.recurrence.slot_on(date).ok_or(Refusal::OccurrenceNotFound)?;
    Ok((series, occurrence, slot))
}

/// Refuses a series in which too much differs.
pub(super) fn check_length(master: &Properties) -> Result<(), Refusal> {
    within((crate::occurrence::exceptions(master).count(), "members"), EXCEPTIONS_MAX, EXCEPTIONS)?;
    let bytes = master.get(EXCEPTIONS).map_or(0, |kept| kept.to_string().len());
    within((bytes, "bytes"), EXCEPTIONS_BYTES_MAX, EXCEPTIONS)?;
    within((crate::occurrence::cancelled(master).count(), "members"), CANCELLED_MAX, CANCELLED)
}

fn within((length, unit): (usize, &'static str), length_max: usize, property: &str) -> Result<(), Refusal> {
    if length <= length_max {
        return Ok(());
    }
    Err(Refusal::TooLong { property: property.to_owned(), length_max, unit })
}

/// The properties of an occurrence that are not those of its series; one that it lacks is null.
pub(super) fn difference(series: &Properties, mut occurrence: Properties) -> Properties {
    const OWN: [&str; 5] = ["iCalUId", OCCURRENCE_OF, "originalStart", "seriesMasterId", "type"];
    let lost = series.keys().filter(|name| !occurrence.contains_key(*name)).cloned().collect::<Vec<_>>();
    occurrence.retain(|name, value| !OWN.contains(&name.as_str()) && series.get(name) != Some(value));
    occurrence.extend(lost.into_iter().map(|name| (name, Value::Null)));
    occurrence
}

/// An occurrence keeps its place among the others, and does not overlap them, unless those of the series
/// do so by themselves.
fn check_neighbours(series: &Series<'_>, slot: Slot, moved: &Properties) -> Result<(), Refusal> {
    let start = time_of(moved, "start").unwrap_or(slot.start);
    let end = time_of(moved, "end").unwrap_or(slot.end).max(start);
    let next_to = |found: Option<Slot>| -> Option<(Slot, Instance)> { found.map(|at| (at, series.instance(at))) };
    let is_there = |at: &Slot| !series.is_cancelled(at.date);
    let before = next_to(series.recurrence.before(slot.date).find(is_there));
    let after = next_to(series.recurrence.after(slot.date).find(is_there));
    let crosses_before = before.is_some_and(|(at, is)| start <= is.start || (start < is.end && at.end <= slot.start));
    let crosses_after = after.is_some_and(|(at, is)| is.start <= start || (is.start < end && slot.end <= at.start));
    if crosses_before || crosses_after { Err(Refusal::OccurrenceCrossing) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
