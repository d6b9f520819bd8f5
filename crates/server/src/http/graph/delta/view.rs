//! `calendarView/delta?startDateTime=…&endDateTime=…`: 200 with the events of a calendar that lie in the
//! window, and removals. An event that has moved out of the window is gone from it. Of a series its master is
//! told in full and its occurrences by their time; when it changes, all that lie in the window are told again.

use std::collections::BTreeSet;

use graph::delta::{Options, Place, Token};
use graph::occurrence::{Series, instances};
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::{Item, OccurrenceId, Timestamp, WellKnown};
use jiff::civil::Date;
use serde_json::Value;
use store::{DeltaEntry, Window};
use uuid::Uuid;

use super::items::present;
use super::{DeltaRefusal, Round, Untaken, item_removed, removed, typed, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::occurrences::window;

/// The most occurrences, and days without one, that are told of one series.
const OCCURRENCES_MAX: usize = 2_000;
/// The most events on a page: each may be a series with as many occurrences as that.
const EVENTS_MAX: u16 = 25;

const UNTAKEN: Untaken =
    Untaken { resource: "CalendarView", options: "$orderby, $filter, $select, $expand, $search, $top" };

/// The options that a window's delta query knows, and those that it refuses in Graph's words.
pub(super) const OPTIONS: [&str; 10] = [
    "$deltatoken",
    "$skiptoken",
    "startDateTime",
    "endDateTime",
    "$orderby",
    "$filter",
    "$select",
    "$expand",
    "$search",
    "$top",
];

pub async fn view(call: &Call<'_>, user: &UserKey, calendar: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&OPTIONS)?;
    let owner = call.owner(user).await?;
    let calendar = call.folder(owner.id, calendar).await?;
    let place = match calendar == WellKnown::Calendar.id_in(owner.id) {
        true => String::new(),
        false => format!("calendars('{calendar}')/"),
    };
    let path = format!("{}/{place}calendarView/delta", user_path(user, &owner));
    let round = Round::open(call, path, owner.id, Place::View(calendar), || begin(call))?;
    tell_page(call, round, |_| true).await
}

/// A page of what has changed in the window of a round, of those events that are followed.
pub(super) async fn tell_page(
    call: &Call<'_>,
    mut round: Round,
    follows: impl Fn(Uuid) -> bool,
) -> Result<Answer, ApiError> {
    round.size = round.size.min(EVENTS_MAX);
    let window = window_of(&round.token)?;
    // Who reads everything for the first time knows of no event that could have left the window.
    let first = round.token.since == 0 || round.token.since < round.token.began;
    let mut told = round
        .read(call, |entry| match entry {
            DeltaEntry::Item { item: event, .. } => {
                let is_told = !first || !instances(event, window.from, window.until).is_empty();
                follows(event.immutable) && is_told
            }
            DeltaEntry::ItemGone { immutable, .. } => follows(*immutable),
            _ => true,
        })
        .await?;
    let view = View { context: None, select: None, prefer: &call.prefer };
    let present = present(&told, &call.prefer);
    let mut value = Vec::new();
    for (_, entry) in &told.entries {
        match entry {
            DeltaEntry::Item { item: event, .. } => tell(event, first, window, view, &mut told.next, &mut value),
            DeltaEntry::ItemGone { immutable, .. } if present.contains(immutable) => {}
            DeltaEntry::ItemGone { id, immutable } => {
                value.push(item_removed("event", *id, *immutable, &call.prefer));
                if told.next.forget_series(*immutable) {
                    value.extend(removed_days(*immutable, window, &BTreeSet::new()));
                }
            }
            DeltaEntry::Folder(_) | DeltaEntry::FolderGone(_) => {}
        }
    }
    Ok(round.answer(call, "event", &told, value))
}

/// The window of a token: its checksum is no secret, so the window may be anybody's.
pub(super) fn window_of(token: &Token) -> Result<Window, ApiError> {
    let (from, until) = token.options.window.ok_or(ApiError::Delta(DeltaRefusal::Token))?;
    let window = Window { from: Timestamp::from_micros(from), until: Timestamp::from_micros(until) };
    window::checked(window).map_err(ApiError::Window)
}

pub(super) fn begin(call: &Call<'_>) -> Result<Options, ApiError> {
    UNTAKEN.check(call)?;
    let Window { from, until } = window::of_query(&call.query).map_err(ApiError::Window)?;
    Ok(Options { window: Some((from.as_micros(), until.as_micros())), ..Options::default() })
}

/// What the window shows of an event as it is now, and what it does not show any more.
pub(super) fn tell(
    event: &Item,
    first: bool,
    window: Window,
    view: View<'_>,
    next: &mut Token,
    value: &mut Vec<Value>,
) {
    let found = instances(event, window.from, window.until);
    if found.is_empty() {
        value.push(item_removed("event", event.id, event.immutable, view.prefer));
    } else {
        value.push(typed("event", render::item(event, view)));
    }
    let Some(series) = Series::of(event) else {
        if next.forget_series(event.immutable) {
            value.extend(removed_days(event.immutable, window, &BTreeSet::new()));
        }
        return;
    };
    let days: BTreeSet<Date> = found.iter().filter_map(|instance| instance.date).take(OCCURRENCES_MAX).collect();
    let occurrences = days.iter().filter_map(|day| series.occurrence(*day));
    value.extend(occurrences.map(|occurrence| brief(render::occurrence(&occurrence, view))));
    if !first {
        value.extend(removed_days(event.immutable, window, &days));
    }
    next.know_series(event.immutable);
}

/// An occurrence that is as its series says has no more than its time; the series says the rest.
fn brief(shown: Value) -> Value {
    let mut shown = typed("event", shown);
    if let (Some("occurrence"), Some(members)) = (shown["type"].as_str(), shown.as_object()) {
        const KEPT: [&str; 7] = ["@odata.type", "@odata.etag", "id", "type", "seriesMasterId", "start", "end"];
        let kept = members.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
        shown = kept.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into();
    }
    shown
}

/// That a series has no occurrence on any other day of the window. Which it had before nobody knows; telling
/// a client of what it never had does no harm.
fn removed_days(master: Uuid, window: Window, kept: &BTreeSet<Date>) -> Vec<Value> {
    let day = |time: Timestamp, days: i64| {
        let time = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).date().checked_add(jiff::Span::new().days(days)).ok()
    };
    // A day more at each end, for the zones of series.
    let (Some(from), Some(until)) = (day(window.from, -1), day(window.until, 1)) else { return Vec::new() };
    let days = from.series(jiff::Span::new().days(1)).take_while(|day| *day <= until).take(OCCURRENCES_MAX);
    days.filter(|day| !kept.contains(day))
        .map(|date| removed("event", OccurrenceId { master, date }.to_string()))
        .collect()
}
