//! What a meeting is in one calendar: an event of its own, or one occurrence of a series, whose changes are
//! changes of its master.

use jiff::civil::Date;

use super::super::occurrence::{cancel_occurrence, difference, find, keep};
use super::super::{Fresh, Owner, remove, rewrite};
use crate::occurrence::{Occurrence, Series};
use crate::recurrence::Slot;
use crate::{Item, Mutation, Properties, Refusal, Timestamp};

/// An event, or one occurrence of a series.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The event or the series master.
    stored: &'a Item,
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    slot: Slot,
    /// As it is; as the series would have it, if it was taken out.
    occurrence: Occurrence,
    taken_out: bool,
}

impl<'a> Entry<'a> {
    /// An event, or a series as a whole.
    pub fn of(event: &'a Item) -> Self {
        Self { stored: event, place: None }
    }

    /// The occurrence of that day of the recurrence, unless it was cancelled.
    pub fn of_occurrence(master: &'a Item, day: Date) -> Result<Self, Refusal> {
        let (_, occurrence, slot) = find(master, day)?;
        Ok(Self { stored: master, place: Some(Place { slot, occurrence, taken_out: false }) })
    }

    /// The occurrence that begins at that time in a series, taken out or not.
    pub(super) fn at(master: &'a Item, original: Timestamp) -> Option<Self> {
        let series = Series::of(master)?;
        let slot = series.recurrence.slot_at(original)?;
        let there = series.occurrence(slot.date);
        let taken_out = there.is_none();
        let occurrence = there.unwrap_or_else(|| series.unchanged(slot));
        Some(Self { stored: master, place: Some(Place { slot, occurrence, taken_out }) })
    }

    /// The event as it is at its time.
    pub fn properties(&self) -> &Properties {
        self.place.as_ref().map_or(&self.stored.properties, |place| &place.occurrence.item.properties)
    }

    pub fn occurrence(&self) -> Option<&Occurrence> {
        self.place.as_ref().map(|place| &place.occurrence)
    }

    pub(super) fn is_taken_out(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.taken_out)
    }

    /// What makes it have these properties.
    pub(super) fn put(&self, owner: &Owner, fresh: &Fresh, after: Properties) -> Result<Mutation, Refusal> {
        let Some(Place { slot, .. }) = &self.place else {
            return Ok(rewrite(owner, fresh, self.stored, after).mutation);
        };
        let series = Series::of(self.stored).ok_or(Refusal::OccurrenceNotFound)?;
        let changed = difference(&series.unchanged(*slot).item.properties, after);
        Ok(keep(owner, fresh, self.stored, *slot, changed)?.mutation)
    }

    /// What takes it out of the calendar.
    pub fn remove(&self, owner: &Owner, fresh: &Fresh) -> Result<Mutation, Refusal> {
        match &self.place {
            None => Ok(remove(owner, fresh, self.stored)),
            Some(place) => cancel_occurrence(owner, fresh, self.stored, place.slot.date),
        }
    }
}
