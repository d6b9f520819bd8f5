//! The occurrences of a series: Graph's `patternedRecurrence`, expanded.
//!
//! Any occurrence is found by arithmetic from its number, so that a window far from the start of a
//! series costs no more than one at its start. The wall-clock time of the series is kept in its zone; a
//! time that a change of the clocks leaves out falls as long after the gap began as it was meant to be,
//! and one that comes twice is the first of the two (RFC 5545 §3.3.5).

mod pattern;
mod read;
#[cfg(test)]
mod tests;

use jiff::Span;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::Timestamp;
use pattern::Pattern;
pub use read::RecurrenceError;

/// More occurrences than there are days in the calendar.
const NUMBER_MAX: u64 = 4_000_000;

/// How a series repeats, from when and until when, and the time of day of its occurrences.
#[derive(Clone, Debug)]
pub struct Recurrence {
    pattern: Pattern,
    /// `range.startDate`: the first occurrence is on this day or later.
    from: Date,
    range: Range,
    /// The zone whose clocks the series keeps; UTC for all-day events, whose days belong to no zone.
    zone: TimeZone,
    /// When the event itself begins, in that zone.
    pub(crate) begins_on: Date,
    begins: Time,
    /// How many days after its beginning an occurrence ends, and when on that day.
    ends: (i32, Time),
}

/// When a series ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    NoEnd,
    /// No occurrence begins on a later day.
    EndDate(Date),
    Numbered(u64),
}

/// One occurrence as the series has it, before any change of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The day on which it begins in the zone of the series. No two are on one day.
    pub date: Date,
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Recurrence {
    /// The occurrence of a number, counted from 0.
    pub fn slot(&self, number: u64) -> Option<Slot> {
        self.date(number).and_then(|date| self.on(date))
    }

    /// The occurrence that is on this day, if there is one.
    pub fn slot_on(&self, date: Date) -> Option<Slot> {
        let found = self.date(self.number_from(date))?;
        if found == date { self.on(date) } else { None }
    }

    /// The occurrence that begins at this time, if there is one.
    pub fn slot_at(&self, start: Timestamp) -> Option<Slot> {
        self.slot_on(self.local_date(start)).filter(|slot| slot.start == start)
    }

    /// The occurrences of earlier days, latest first.
    pub fn before(&self, date: Date) -> impl Iterator<Item = Slot> {
        (0..self.number_from(date)).rev().map_while(|number| self.slot(number))
    }

    /// The occurrences of later days, in order; endless if the series is.
    pub fn after(&self, date: Date) -> impl Iterator<Item = Slot> {
        let next = date.tomorrow().map_or(NUMBER_MAX, |next| self.number_from(next));
        (next..).map_while(|number| self.slot(number))
    }

    /// The occurrences that overlap the time from `from` until before `until`, in order. One without
    /// length counts where it begins.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Slot> {
        // Two days more than an occurrence is long: one for each end of it in whatever zone.
        let earliest = shifted(self.local_date(from), -(i64::from(self.ends.0) + 2)).unwrap_or(Date::MIN);
        (self.number_from(earliest)..)
            .map_while(|number| self.slot(number))
            .take_while(move |slot| slot.start < until)
            .filter(move |slot| slot.end > from || slot.start >= from)
    }

    /// The last occurrence; `None` if the series never ends, or has none.
    pub fn last(&self) -> Option<Slot> {
        let after = match self.range {
            Range::NoEnd => return None,
            Range::EndDate(end) => end.tomorrow().map_or(NUMBER_MAX, |next| self.number_from(next)),
            Range::Numbered(_) => self.number_from(Date::MAX),
        };
        self.slot(after.checked_sub(1)?)
    }

    /// Whether the event itself is at the time of the first occurrence, as it should be, or on the first
    /// day of the range, before it was brought there.
    pub(crate) fn begins_with_an_occurrence(&self) -> bool {
        self.begins_on == self.from || self.date(0) == Some(self.begins_on)
    }

    pub fn is_endless(&self) -> bool {
        self.range == Range::NoEnd
    }

    /// The day of a point in time in the zone of the series.
    pub fn local_date(&self, at: Timestamp) -> Date {
        match jiff::Timestamp::from_microsecond(at.as_micros()) {
            Ok(at) => self.zone.to_datetime(at).date(),
            Err(_) if at.as_micros() < 0 => Date::MIN,
            Err(_) => Date::MAX,
        }
    }

    fn date(&self, number: u64) -> Option<Date> {
        let date = self.pattern.date(self.from, number)?;
        let within = match self.range {
            Range::NoEnd => true,
            Range::EndDate(end) => date <= end,
            Range::Numbered(count) => number < count,
        };
        within.then_some(date)
    }

    /// The number of the first occurrence on this day or later, or how many there are if none is.
    fn number_from(&self, day: Date) -> u64 {
        let (mut low, mut high) = (0, NUMBER_MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.date(middle).is_some_and(|date| date < day) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn on(&self, date: Date) -> Option<Slot> {
        let start = self.at(date.to_datetime(self.begins))?;
        let end = self.at(shifted(date, self.ends.0.into())?.to_datetime(self.ends.1))?;
        Some(Slot { date, start, end: end.max(start) })
    }

    fn at(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.zone.to_timestamp(local).ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }
}

fn shifted(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}
