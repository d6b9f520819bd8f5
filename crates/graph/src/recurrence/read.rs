//! Reads the `recurrence` of an event, and says what is wrong with it.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::pattern::{DayOfMonth, Pattern, Place};
use super::{Range, Recurrence};
use crate::{Properties, zone};

/// Why a recurrence cannot be expanded. Properties are named by their path in the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    #[error("{property} is required")]
    Missing { property: &'static str },
    #[error("{property} must be {expected}")]
    Invalid { property: &'static str, expected: String },
    #[error("recurrence has no occurrence")]
    Empty,
}

impl RecurrenceError {
    /// The property at fault, by its path in the event.
    pub fn property(&self) -> &'static str {
        match self {
            RecurrenceError::Missing { property } | RecurrenceError::Invalid { property, .. } => property,
            RecurrenceError::Empty => "recurrence",
        }
    }
}

/// Bounds of what is expanded. A request may ask for less: see [`Recurrence::requested`].
const LIMITS: Limits = Limits { days: 10_000, other: 10_000, count: 1_000_000 };
/// The longest pauses between occurrences (in days, and in weeks, months or years) and the most
/// occurrences of a numbered series, as Exchange documents them (EWS, `Interval` and
/// `NumberOfOccurrences`).
const REQUEST_LIMITS: Limits = Limits { days: 999, other: 99, count: 999 };
/// No occurrence is longer.
const LENGTH_DAYS_MAX: i32 = 5 * 366;

struct Limits {
    days: i64,
    other: i64,
    count: i64,
}

impl Recurrence {
    /// The recurrence of an event as it is stored, with times in UTC; `None` if it does not repeat.
    pub fn of(event: &Properties) -> Result<Option<Self>, RecurrenceError> {
        match event.get("recurrence") {
            None | Some(Value::Null) => Ok(None),
            Some(recurrence) => read(event, recurrence, &LIMITS).map(Some),
        }
    }

    /// The same, of an event as a request has it: within Exchange's limits, and in a zone that is known.
    pub fn requested(event: &Properties) -> Result<Option<Self>, RecurrenceError> {
        let Some(stated) = event.get("recurrence").filter(|stated| !stated.is_null()) else { return Ok(None) };
        let recurrence = read(event, stated, &REQUEST_LIMITS)?;
        let zone = stated.pointer("/range/recurrenceTimeZone").and_then(Value::as_str).unwrap_or_default();
        if !zone.is_empty() && zone != CUSTOM_ZONE && zone::find(zone).is_none() {
            return Err(invalid("recurrence/range/recurrenceTimeZone", "a time zone that is known"));
        }
        Ok(Some(recurrence))
    }
}

/// What Outlook calls a zone that is not in its list.
const CUSTOM_ZONE: &str = "tzone://Microsoft/Custom";

fn read(event: &Properties, recurrence: &Value, limits: &Limits) -> Result<Recurrence, RecurrenceError> {
    let missing = |property| RecurrenceError::Missing { property };
    let part = |name| recurrence.get(name).filter(|part: &&Value| part.is_object());
    let pattern = pattern(part("pattern").ok_or(missing("recurrence/pattern"))?, limits)?;
    let stated = part("range").ok_or(missing("recurrence/range"))?;
    let from = date(stated, "startDate").ok_or(missing("recurrence/range/startDate"))?;
    let zone = zone_of(event, stated);
    let start = local(event, "start", &zone).ok_or(missing("start"))?;
    let end = local(event, "end", &zone).ok_or(missing("end"))?;
    let days = start.date().until(end.date()).map_or(0, |span| span.get_days());
    if !(0..=LENGTH_DAYS_MAX).contains(&days) {
        return Err(invalid("end", format!("within {LENGTH_DAYS_MAX} days after start in a series")));
    }
    let recurrence = Recurrence {
        pattern,
        from,
        range: range(stated, from, limits)?,
        zone,
        begins_on: start.date(),
        begins: start.time(),
        ends: (days, end.time()),
    };
    if recurrence.slot(0).is_none() { Err(RecurrenceError::Empty) } else { Ok(recurrence) }
}

fn invalid(property: &'static str, expected: impl Into<String>) -> RecurrenceError {
    RecurrenceError::Invalid { property, expected: expected.into() }
}

/// The zone of the range, else that of the event. A zone that Outlook knows no name for is UTC.
fn zone_of(event: &Properties, range: &Value) -> TimeZone {
    if event.get("isAllDay") == Some(&Value::Bool(true)) {
        return TimeZone::UTC;
    }
    let names = [range.get("recurrenceTimeZone"), event.get("originalStartTimeZone")];
    let mut zones = names.into_iter().flatten().filter_map(Value::as_str).filter_map(zone::find);
    zones.next().unwrap_or(TimeZone::UTC)
}

fn local(event: &Properties, name: &str, zone: &TimeZone) -> Option<DateTime> {
    let stated = event.get(name)?.get("dateTime")?.as_str()?;
    let utc: DateTime = stated.trim_end_matches('Z').parse().ok()?;
    let at = TimeZone::UTC.to_timestamp(utc).ok()?;
    Some(zone.to_datetime(at))
}

fn pattern(stated: &Value, limits: &Limits) -> Result<Pattern, RecurrenceError> {
    let kind = text(stated, "type").ok_or(RecurrenceError::Missing { property: "recurrence/pattern/type" })?;
    let days_max = if kind == "daily" { limits.days } else { limits.other };
    let interval = stated.get("interval").map_or(Some(1), Value::as_i64);
    let interval = interval
        .filter(|interval| (1..=days_max).contains(interval))
        .ok_or_else(|| invalid("recurrence/pattern/interval", format!("from 1 to {days_max}")))?;
    match kind {
        "daily" => Ok(Pattern::Daily { interval }),
        "weekly" => weekly(stated, interval),
        "absoluteMonthly" => Ok(Pattern::Monthly { interval, day: numbered_day(stated)? }),
        "relativeMonthly" => Ok(Pattern::Monthly { interval, day: placed_day(stated)? }),
        "absoluteYearly" => Ok(Pattern::Yearly { interval, month: month(stated)?, day: numbered_day(stated)? }),
        "relativeYearly" => Ok(Pattern::Yearly { interval, month: month(stated)?, day: placed_day(stated)? }),
        _ => Err(invalid("recurrence/pattern/type", "one of Graph's six types")),
    }
}

fn weekly(stated: &Value, interval: i64) -> Result<Pattern, RecurrenceError> {
    let first_day = match text(stated, "firstDayOfWeek") {
        None => Weekday::Sunday,
        Some(name) => weekday(name).ok_or_else(|| invalid("recurrence/pattern/firstDayOfWeek", "a day of the week"))?,
    };
    let mut days: Vec<i64> = weekdays(stated)?.into_iter().map(|day| day.since(first_day).into()).collect();
    days.sort_unstable();
    days.dedup();
    Ok(Pattern::Weekly { interval, first_day, days })
}

fn numbered_day(stated: &Value) -> Result<DayOfMonth, RecurrenceError> {
    let day = number(stated, "dayOfMonth", 31).ok_or_else(|| invalid("recurrence/pattern/dayOfMonth", "from 1 to 31"));
    Ok(DayOfMonth::Number(day?))
}

fn month(stated: &Value) -> Result<i8, RecurrenceError> {
    number(stated, "month", 12).ok_or_else(|| invalid("recurrence/pattern/month", "from 1 to 12"))
}

fn placed_day(stated: &Value) -> Result<DayOfMonth, RecurrenceError> {
    let place = match text(stated, "index") {
        None | Some("first") => Place::FromFirst(0),
        Some("second") => Place::FromFirst(1),
        Some("third") => Place::FromFirst(2),
        Some("fourth") => Place::FromFirst(3),
        Some("last") => Place::Last,
        Some(_) => return Err(invalid("recurrence/pattern/index", "first, second, third, fourth or last")),
    };
    Ok(DayOfMonth::Weekday { place, days: weekdays(stated)? })
}

fn weekdays(stated: &Value) -> Result<Vec<Weekday>, RecurrenceError> {
    let wrong = || invalid("recurrence/pattern/daysOfWeek", "one to seven days of the week");
    let names = stated.get("daysOfWeek").and_then(Value::as_array).filter(|names| (1..=7).contains(&names.len()));
    let days = names.ok_or_else(wrong)?.iter().map(|name| name.as_str().and_then(weekday));
    days.collect::<Option<Vec<Weekday>>>().ok_or_else(wrong)
}

fn range(stated: &Value, from: Date, limits: &Limits) -> Result<Range, RecurrenceError> {
    match text(stated, "type") {
        Some("noEnd") => Ok(Range::NoEnd),
        Some("endDate") => {
            let end = date(stated, "endDate").filter(|end| *end >= from);
            end.map(Range::EndDate).ok_or_else(|| invalid("recurrence/range/endDate", "a day from startDate on"))
        }
        Some("numbered") => {
            let count = stated.get("numberOfOccurrences").and_then(Value::as_i64);
            let count =
                count.filter(|count| (1..=limits.count).contains(count)).and_then(|count| count.try_into().ok());
            let wrong = || invalid("recurrence/range/numberOfOccurrences", format!("from 1 to {}", limits.count));
            count.map(Range::Numbered).ok_or_else(wrong)
        }
        None => Err(RecurrenceError::Missing { property: "recurrence/range/type" }),
        Some(_) => Err(invalid("recurrence/range/type", "endDate, noEnd or numbered")),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn date(value: &Value, name: &str) -> Option<Date> {
    let date: Date = text(value, name)?.parse().ok()?;
    (1..=9999).contains(&date.year()).then_some(date)
}

fn number(value: &Value, name: &str, max: i8) -> Option<i8> {
    let number = value.get(name).and_then(Value::as_i64).and_then(|number| i8::try_from(number).ok());
    number.filter(|number| (1..=max).contains(number))
}

fn weekday(name: &str) -> Option<Weekday> {
    match name {
        "sunday" => Some(Weekday::Sunday),
        "monday" => Some(Weekday::Monday),
        "tuesday" => Some(Weekday::Tuesday),
        "wednesday" => Some(Weekday::Wednesday),
        "thursday" => Some(Weekday::Thursday),
        "friday" => Some(Weekday::Friday),
        "saturday" => Some(Weekday::Saturday),
        _ => None,
    }
}
