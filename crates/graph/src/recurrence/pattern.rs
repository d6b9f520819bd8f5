//! The days of a pattern, each from its number alone. Graph's `recurrencePattern`.

use jiff::civil::{Date, Weekday};

use super::shifted;

/// On which days a series has an occurrence, and with what pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Daily {
        interval: i64,
    },
    /// `days` are counted from the first day of the week, in order.
    Weekly {
        interval: i64,
        first_day: Weekday,
        days: Vec<i64>,
    },
    Monthly {
        interval: i64,
        day: DayOfMonth,
    },
    Yearly {
        interval: i64,
        month: i8,
        day: DayOfMonth,
    },
}

/// A day of any month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DayOfMonth {
    /// The last day of a month that is too short for it, as Exchange documents it (EWS,
    /// `AbsoluteMonthlyRecurrence` and `AbsoluteYearlyRecurrence`).
    Number(i8),
    /// One of the days that fall on any of these weekdays.
    Weekday { place: Place, days: Vec<Weekday> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Counted from 0, below 4: every month has so many of each weekday.
    FromFirst(usize),
    Last,
}

impl Pattern {
    /// The day of the occurrence of a number, counted from 0, in a series that starts on `from` or later.
    pub fn date(&self, from: Date, number: u64) -> Option<Date> {
        let number = i64::try_from(number).ok()?;
        match self {
            Pattern::Daily { interval } => shifted(from, number.checked_mul(*interval)?),
            Pattern::Weekly { interval, first_day, days } => weekly(from, *interval, *first_day, days, number),
            Pattern::Monthly { interval, day } => {
                in_months(from, month_number(from.year(), from.month()), *interval, day, number)
            }
            Pattern::Yearly { interval, month, day } => {
                in_months(from, month_number(from.year(), *month), interval.checked_mul(12)?, day, number)
            }
        }
    }
}

/// The first week is the one that `from` lies in; its earlier days do not count.
fn weekly(from: Date, interval: i64, first_day: Weekday, days: &[i64], number: i64) -> Option<Date> {
    let offset = i64::from(from.weekday().since(first_day));
    let passed = days.iter().filter(|day| **day < offset).count() as i64;
    let number = number.checked_add(passed)?;
    let count = i64::try_from(days.len()).ok().filter(|count| *count > 0)?;
    let weeks = (number / count).checked_mul(interval)?;
    let day = days.get(usize::try_from(number % count).ok()?)?;
    shifted(from, weeks.checked_mul(7)?.checked_add(day - offset)?)
}

/// Each month has one such day. That of the first month does not count if it lies before `from`.
fn in_months(from: Date, first: i64, step: i64, day: &DayOfMonth, number: i64) -> Option<Date> {
    let passed = day.in_month(first).is_some_and(|day| day < from);
    let number = number.checked_add(i64::from(passed))?;
    day.in_month(first.checked_add(number.checked_mul(step)?)?)
}

/// Months since the beginning of the year 0.
fn month_number(year: i16, month: i8) -> i64 {
    i64::from(year) * 12 + i64::from(month) - 1
}

impl DayOfMonth {
    fn in_month(&self, number: i64) -> Option<Date> {
        let year = i16::try_from(number.div_euclid(12)).ok()?;
        let first = Date::new(year, i8::try_from(number.rem_euclid(12)).ok()? + 1, 1).ok()?;
        match self {
            DayOfMonth::Number(day) => first.with().day((*day).min(first.days_in_month())).build().ok(),
            DayOfMonth::Weekday { place, days } => {
                let all = (1..=first.days_in_month()).filter_map(|day| first.with().day(day).build().ok());
                let mut fitting = all.filter(|day| days.contains(&day.weekday()));
                match place {
                    Place::FromFirst(place) => fitting.nth(*place),
                    Place::Last => fitting.next_back(),
                }
            }
        }
    }
}
