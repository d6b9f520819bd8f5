//! The time zones of a calendar file: IANA's and Windows' by their names, others as the file describes them.

use std::collections::HashMap;

use calcard::common::PartialDateTime;
use calcard::icalendar::timezone::TzResolver;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarFrequency, ICalendarProperty, ICalendarValue,
    ICalendarWeekday,
};
use jiff::tz::{Offset, TimeZone};

use crate::ical::{other, text_of};

/// Zones that one file may describe; of more the first are known.
const DESCRIBED_MAX: usize = 1_000;

/// What Outlook calls a zone that is not in its list.
const CUSTOM_NAME: &str = "tzone://Microsoft/Custom";

/// A time zone and the name by which Graph shows it.
#[derive(Clone)]
pub(crate) struct Zone {
    pub zone: TimeZone,
    pub name: String,
}

impl Zone {
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }
}

/// The zones that a calendar's properties name.
pub(crate) struct Zones<'a> {
    resolver: TzResolver<&'a str>,
    described: HashMap<String, TimeZone>,
    /// The zone of times without one: the calendar's own, else UTC.
    pub floating: Zone,
}

impl<'a> Zones<'a> {
    pub fn of(calendar: &'a ICalendar) -> Self {
        let described = calendar.timezones().take(DESCRIBED_MAX).filter_map(|component| {
            let name = text_of(component, &ICalendarProperty::Tzid)?;
            Some((name, described_zone(calendar, component)?))
        });
        let described = described.collect();
        let mut zones = Self { resolver: calendar.build_tz_resolver(), described, floating: Zone::utc() };
        let stated = calendar.components.first().and_then(|root| text_of(root, &other("X-WR-TIMEZONE")));
        if let Some(floating) = stated.and_then(|name| zones.resolve(&name)) {
            zones.floating = floating;
        }
        zones
    }

    /// The zone of that name. A name that is known goes before the file's own description.
    pub fn resolve(&self, tzid: &str) -> Option<Zone> {
        let Some(name) = self.resolver.resolve(tzid).and_then(|found| found.name()) else {
            let zone = self.described.get(tzid)?.clone();
            return Some(Zone { zone, name: CUSTOM_NAME.to_owned() });
        };
        let zone = TimeZone::get(&name).ok()?;
        // Outlook's own names stay as they are, whatever else stands for a zone gets its IANA name.
        let name = match tzid {
            _ if name == "Etc/UTC" => "UTC".to_owned(),
            _ if tzid.ends_with(" Standard Time") => tzid.to_owned(),
            _ => name.into_owned(),
        };
        Some(Zone { zone, name })
    }
}

pub(crate) fn offset_of(date: &PartialDateTime) -> Option<Offset> {
    let seconds = i32::from(date.tz_hour?) * 3_600 + i32::from(date.tz_minute.unwrap_or(0)) * 60;
    Offset::from_seconds(if date.tz_minus { -seconds } else { seconds }).ok()
}

/// A zone of one offset, or of two that alternate by yearly rules. What its past was is not looked at.
fn described_zone(calendar: &ICalendar, component: &ICalendarComponent) -> Option<TimeZone> {
    let parts = component.component_ids.iter().take(DESCRIBED_MAX);
    let parts: Vec<_> = parts.filter_map(|id| calendar.components.get(*id as usize)).collect();
    let newest = |kind: ICalendarComponentType| {
        let of_kind = parts.iter().filter(|part| part.component_type == kind);
        of_kind.max_by_key(|part| date(part, &ICalendarProperty::Dtstart).cloned()).copied()
    };
    let standard = newest(ICalendarComponentType::Standard)?;
    let standard_offset = offset_of(date(standard, &ICalendarProperty::Tzoffsetto)?)?;
    let Some(daylight) = newest(ICalendarComponentType::Daylight) else {
        return Some(TimeZone::fixed(standard_offset));
    };
    let daylight_offset = offset_of(date(daylight, &ICalendarProperty::Tzoffsetto)?)?;
    if daylight_offset == standard_offset {
        return Some(TimeZone::fixed(standard_offset));
    }
    let text = format!(
        "<STD>{}<DST>{},{},{}",
        posix_offset(standard_offset),
        posix_offset(daylight_offset),
        posix_rule(daylight)?,
        posix_rule(standard)?,
    );
    TimeZone::posix(&text).ok()
}

fn date<'a>(component: &'a ICalendarComponent, property: &ICalendarProperty) -> Option<&'a PartialDateTime> {
    component.property(property)?.values.first()?.as_partial_date_time()
}

/// POSIX counts west of Greenwich.
fn posix_offset(offset: Offset) -> String {
    let minutes = -offset.seconds() / 60;
    let sign = if minutes < 0 { "-" } else { "" };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// "The last Sunday of March at two" as `M3.5.0/02:00:00`.
fn posix_rule(observance: &ICalendarComponent) -> Option<String> {
    let Some(ICalendarValue::RecurrenceRule(rule)) = observance.property(&ICalendarProperty::Rrule)?.values.first()
    else {
        return None;
    };
    let ([month], [day], ICalendarFrequency::Yearly) = (rule.bymonth.as_slice(), rule.byday.as_slice(), rule.freq)
    else {
        return None;
    };
    let week = match day.ordwk? {
        week @ 1..=4 => week,
        -1 | 5 => 5,
        _ => return None,
    };
    let day = match day.weekday {
        ICalendarWeekday::Sunday => 0,
        ICalendarWeekday::Monday => 1,
        ICalendarWeekday::Tuesday => 2,
        ICalendarWeekday::Wednesday => 3,
        ICalendarWeekday::Thursday => 4,
        ICalendarWeekday::Friday => 5,
        ICalendarWeekday::Saturday => 6,
    };
    let at = date(observance, &ICalendarProperty::Dtstart)?;
    let (hour, minute, second) = (at.hour?, at.minute?, at.second.unwrap_or(0));
    Some(format!("M{}.{week}.{day}/{hour:02}:{minute:02}:{second:02}", month.month()))
}
