//! `snoozeReminder` and `dismissReminder` of an event. Of a series they mean the occurrence whose reminder
//! fired last, or the first one if none has.

use jiff::civil::Date;
use serde_json::Value;

use super::occurrence::{find, keep};
use super::{Fresh, Owner, Written, rewrite};
use crate::occurrence::{REMINDER, Series, exceptions};
use crate::{Item, Mutation, Properties, Refusal, Timestamp, reminder};

/// What is done with a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remind {
    Never,
    At(Timestamp),
}

/// Snoozes or dismisses the reminder of an event or a series.
pub fn remind(owner: &Owner, fresh: &Fresh, event: &Item, what: Remind) -> Result<Mutation, Refusal> {
    if let Some(series) = Series::of(event) {
        let date = fired_last(&series, &event.properties, fresh.now).ok_or(Refusal::OccurrenceNotFound)?;
        return remind_of_occurrence(owner, fresh, event, date, what);
    }
    let mut properties = event.properties.clone();
    match what {
        Remind::Never => {
            properties.insert("isReminderOn".to_owned(), false.into());
            properties.remove(REMINDER);
        }
        Remind::At(until) => {
            properties.insert("isReminderOn".to_owned(), true.into());
            properties.insert(REMINDER.to_owned(), reminder::snoozed(until));
        }
    }
    let Written { mutation, .. } = rewrite(owner, fresh, event, properties);
    Ok(mutation)
}

/// Snoozes or dismisses the reminder of one occurrence.
pub fn remind_of_occurrence(
    owner: &Owner,
    fresh: &Fresh,
    master: &Item,
    date: Date,
    what: Remind,
) -> Result<Mutation, Refusal> {
    let (_, _, slot) = find(master, date)?;
    let kept = exceptions(&master.properties).find(|(start, _)| *start == slot.start);
    let mut changed = kept.map_or_else(Properties::new, |(_, changed)| changed.clone());
    let became = match what {
        Remind::Never => reminder::dismissed(),
        Remind::At(until) => reminder::snoozed(until),
    };
    changed.insert(REMINDER.to_owned(), became);
    Ok(keep(owner, fresh, master, slot, changed)?.mutation)
}

fn fired_last(series: &Series<'_>, master: &Properties, now: Timestamp) -> Option<Date> {
    let minutes = reminder::minutes(master);
    let reached = series.recurrence.local_date(now.plus_minutes(minutes));
    let is_there = |date: &Date| series.occurrence(*date).is_some();
    let until = reached.tomorrow().unwrap_or(Date::MAX);
    let fired = series.recurrence.before(until).filter(|slot| slot.start.plus_minutes(-minutes) <= now);
    let last = fired.map(|slot| slot.date).find(is_there);
    last.or_else(|| series.recurrence.after(Date::MIN).map(|slot| slot.date).find(is_there))
}

/// Reads the parameter of `snoozeReminder`.
pub fn new_reminder_time(body: Value) -> Result<Timestamp, Refusal> {
    const NAME: &str = "newReminderTime";
    let missing = Refusal::Missing { property: NAME };
    let Value::Object(members) = body else { return Err(missing) };
    let found = members.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME));
    let (_, value) = found.filter(|(_, value)| !value.is_null()).ok_or(missing)?;
    super::when::When::read(NAME, &value, false)?.timestamp().ok_or_else(|| Refusal::invalid(NAME, "a date-time"))
}
