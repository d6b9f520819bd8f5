//! A recurrence rule (RFC 5545) as Graph's `patternedRecurrence`, where that can express it, and back.

use calcard::common::{CalendarScale, PartialDateTime};
use calcard::icalendar::{ICalendarDay, ICalendarFrequency, ICalendarMonth, ICalendarRecurrenceRule, ICalendarWeekday};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::ical::Moment;

/// The parts of a `recurrencePattern` that differ by its type.
#[derive(Default)]
struct Pattern {
    kind: &'static str,
    days: Vec<&'static str>,
    day_of_month: i8,
    month: u8,
    index: Option<&'static str>,
}

/// `None` if Graph has no form for the rule: hours and shorter, several month days, days counted from
/// the end, week numbers, days of the year, other calendars.
pub(crate) fn recurrence(rule: &ICalendarRecurrenceRule, start: &Moment) -> Option<Value> {
    let finer = [&rule.bysecond, &rule.byminute, &rule.byhour].iter().any(|list| !list.is_empty());
    let other_scale = rule.rscale.as_ref().is_some_and(|scale| *scale != CalendarScale::Gregorian);
    if finer || other_scale || !rule.byyearday.is_empty() || !rule.byweekno.is_empty() {
        return None;
    }
    let interval = rule.interval.unwrap_or(1).max(1);
    let pattern = match rule.freq {
        ICalendarFrequency::Daily => daily(rule, interval)?,
        ICalendarFrequency::Weekly => weekly(rule, start.local.weekday())?,
        ICalendarFrequency::Monthly => monthly(rule, start.local.day())?,
        ICalendarFrequency::Yearly => yearly(rule, start.local.date())?,
        ICalendarFrequency::Hourly | ICalendarFrequency::Minutely | ICalendarFrequency::Secondly => return None,
    };
    Some(json!({
        "pattern": {
            "type": pattern.kind,
            "interval": interval,
            "month": pattern.month,
            "dayOfMonth": pattern.day_of_month,
            "daysOfWeek": pattern.days,
            "firstDayOfWeek": rule.wkst.map_or("monday", day_name),
            "index": pattern.index.unwrap_or("first"),
        },
        "range": range(rule, start)?,
    }))
}

fn daily(rule: &ICalendarRecurrenceRule, interval: u16) -> Option<Pattern> {
    if !rule.bymonth.is_empty() || !rule.bymonthday.is_empty() || !rule.bysetpos.is_empty() {
        return None;
    }
    match plain_days(rule)? {
        days if days.is_empty() => Some(Pattern { kind: "daily", ..Pattern::default() }),
        // Every day that is one of these is every week on these.
        days if interval == 1 => Some(Pattern { kind: "weekly", days, ..Pattern::default() }),
        _ => None,
    }
}

fn weekly(rule: &ICalendarRecurrenceRule, start: Weekday) -> Option<Pattern> {
    if !rule.bymonth.is_empty() || !rule.bymonthday.is_empty() || !rule.bysetpos.is_empty() {
        return None;
    }
    let mut days = plain_days(rule)?;
    if days.is_empty() {
        days.push(weekday_name(start));
    }
    Some(Pattern { kind: "weekly", days, ..Pattern::default() })
}

fn monthly(rule: &ICalendarRecurrenceRule, start_day: i8) -> Option<Pattern> {
    if !rule.bymonth.is_empty() {
        return None;
    }
    within_month(rule, start_day, "absoluteMonthly", "relativeMonthly")
}

fn yearly(rule: &ICalendarRecurrenceRule, start: Date) -> Option<Pattern> {
    let month = match rule.bymonth.as_slice() {
        [month] if !month.is_leap() && (1..=12).contains(&month.month()) => month.month(),
        // Without a month these would mean every month, or the whole year.
        [] if rule.byday.is_empty() && rule.bymonthday.is_empty() => start.month().unsigned_abs(),
        _ => return None,
    };
    let pattern = within_month(rule, start.day(), "absoluteYearly", "relativeYearly")?;
    Some(Pattern { month, ..pattern })
}

/// A day of the month by its number, or by weekday and place.
fn within_month(
    rule: &ICalendarRecurrenceRule,
    start_day: i8,
    absolute: &'static str,
    relative: &'static str,
) -> Option<Pattern> {
    match (rule.bymonthday.as_slice(), rule.byday.as_slice(), rule.bysetpos.as_slice()) {
        ([], [], []) => Some(Pattern { kind: absolute, day_of_month: start_day, ..Pattern::default() }),
        ([day @ 1..=31], [], []) => Some(Pattern { kind: absolute, day_of_month: *day, ..Pattern::default() }),
        ([], [day], []) => {
            let index = Some(index_name(i32::from(day.ordwk?))?);
            Some(Pattern { kind: relative, days: vec![day_name(day.weekday)], index, ..Pattern::default() })
        }
        ([], [_, ..], [place]) => {
            let index = Some(index_name(*place)?);
            Some(Pattern { kind: relative, days: plain_days(rule)?, index, ..Pattern::default() })
        }
        _ => None,
    }
}

fn range(rule: &ICalendarRecurrenceRule, start: &Moment) -> Option<Value> {
    let until = match &rule.until {
        None => None,
        Some(until) => {
            let time = until.to_date_time()?;
            let naive = time.date_time;
            let stated: jiff::civil::DateTime = naive.to_string().parse().ok()?;
            // A UTC bound is a date of the series' own zone.
            let in_utc = time.offset.is_some() && !start.is_date;
            let at = in_utc.then(|| TimeZone::UTC.to_timestamp(stated).ok()).flatten();
            Some(at.map_or(stated, |at| start.zone.zone.to_datetime(at)).date())
        }
    };
    let (kind, end, count) = match (until, rule.count) {
        (Some(end), _) => ("endDate", Some(end), 0),
        (None, Some(count)) => ("numbered", None, count.min(i32::MAX.unsigned_abs())),
        (None, None) => ("noEnd", None, 0),
    };
    Some(json!({
        "type": kind,
        "startDate": start.local.date().to_string(),
        "endDate": end.map_or("0001-01-01".to_owned(), |end| end.to_string()),
        "recurrenceTimeZone": start.zone.name,
        "numberOfOccurrences": count,
    }))
}

/// The weekdays, if none of them is counted ("the second Monday").
fn plain_days(rule: &ICalendarRecurrenceRule) -> Option<Vec<&'static str>> {
    let mut days: Vec<&'static str> = Vec::new();
    for day in &rule.byday {
        if day.ordwk.is_some() {
            return None;
        }
        if !days.contains(&day_name(day.weekday)) {
            days.push(day_name(day.weekday));
        }
    }
    Some(days)
}

/// Graph's recurrence as a rule; `until` is the end of its range, if that is a day. `None` if it is none of
/// Graph's six types.
pub(crate) fn rule(recurrence: &Value, until: Option<PartialDateTime>) -> Option<ICalendarRecurrenceRule> {
    let (pattern, range) = (recurrence.get("pattern")?, recurrence.get("range")?);
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64).unwrap_or_default();
    let kind = text(pattern, "type");
    let mut rule = ICalendarRecurrenceRule {
        freq: match kind.as_str() {
            "daily" => ICalendarFrequency::Daily,
            "weekly" => ICalendarFrequency::Weekly,
            "absoluteMonthly" | "relativeMonthly" => ICalendarFrequency::Monthly,
            "absoluteYearly" | "relativeYearly" => ICalendarFrequency::Yearly,
            _ => return None,
        },
        interval: u16::try_from(number(pattern, "interval")).ok().filter(|interval| *interval > 1),
        ..ICalendarRecurrenceRule::default()
    };
    let names = pattern.get("daysOfWeek").and_then(Value::as_array).into_iter().flatten();
    let days: Vec<ICalendarWeekday> = names.filter_map(|name| weekday(name.as_str()?)).collect();
    match kind.as_str() {
        "weekly" => {
            rule.wkst = weekday(&text(pattern, "firstDayOfWeek")).or(Some(ICalendarWeekday::Sunday));
            rule.byday = days.into_iter().map(|weekday| ICalendarDay { ordwk: None, weekday }).collect();
        }
        "relativeMonthly" | "relativeYearly" => {
            let place = match text(pattern, "index").as_str() {
                "second" => 2,
                "third" => 3,
                "fourth" => 4,
                "last" => -1,
                _ => 1,
            };
            let ordwk = (days.len() == 1).then_some(place);
            rule.bysetpos = if ordwk.is_none() { vec![i32::from(place)] } else { Vec::new() };
            rule.byday = days.into_iter().map(|weekday| ICalendarDay { ordwk, weekday }).collect();
        }
        "absoluteMonthly" | "absoluteYearly" => rule.bymonthday.extend(i8::try_from(number(pattern, "dayOfMonth"))),
        _ => {}
    }
    if kind.ends_with("Yearly") {
        rule.bymonth.push(ICalendarMonth::new(u8::try_from(number(pattern, "month")).ok()?, false));
    }
    match text(range, "type").as_str() {
        "endDate" => rule.until = until,
        "numbered" => rule.count = u32::try_from(number(range, "numberOfOccurrences")).ok(),
        _ => {}
    }
    Some(rule)
}

fn weekday(name: &str) -> Option<ICalendarWeekday> {
    use ICalendarWeekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    [Sunday, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday].into_iter().find(|day| day_name(*day) == name)
}

fn index_name(place: i32) -> Option<&'static str> {
    match place {
        1 => Some("first"),
        2 => Some("second"),
        3 => Some("third"),
        4 => Some("fourth"),
        -1 => Some("last"),
        _ => None,
    }
}

fn day_name(day: ICalendarWeekday) -> &'static str {
    match day {
        ICalendarWeekday::Sunday => "sunday",
        ICalendarWeekday::Monday => "monday",
        ICalendarWeekday::Tuesday => "tuesday",
        ICalendarWeekday::Wednesday => "wednesday",
        ICalendarWeekday::Thursday => "thursday",
        ICalendarWeekday::Friday => "friday",
        ICalendarWeekday::Saturday => "saturday",
    }
}

fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Sunday => "sunday",
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
    }
}
