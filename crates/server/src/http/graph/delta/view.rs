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
use store::{DeltaEntry, READ_BYTES_MAX, Revision, Window};
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
    let mut page = Page::default();
    let mut last: Option<Revision> = None;
    for (revision, entry) in std::mem::take(&mut told.entries) {
        if let Some(last) = last.filter(|last| page.is_full() && *last != revision) {
            (told.next.since, told.more) = (last.0, true);
            break;
        }
        last = Some(revision);
        match entry {
            DeltaEntry::Item { item: event, .. } => tell(&event, first, window, view, &mut told.next, &mut page),
            DeltaEntry::ItemGone { immutable, .. } if present.contains(&immutable) => {}
            DeltaEntry::ItemGone { id, immutable } => {
                page.add(item_removed("event", id, immutable, &call.prefer));
                if told.next.forget_series(immutable) {
                    removed_days(immutable, window, &BTreeSet::new()).for_each(|day| page.add(day));
                }
            }
            DeltaEntry::Folder(_) | DeltaEntry::FolderGone(_) => {}
        }
    }
    Ok(round.answer(call, "event", &told, page.value))
}

/// A page while it is made. It ends early when it has grown large: one long event has many occurrences.
#[derive(Default)]
pub(super) struct Page {
    pub value: Vec<Value>,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.bytes > READ_BYTES_MAX
    }

    fn add(&mut self, shown: Value) {
        self.bytes += shown.to_string().len();
        self.value.push(shown);
    }
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
pub(super) fn tell(event: &Item, first: bool, window: Window, view: View<'_>, next: &mut Token, page: &mut Page) {
    let found = instances(event, window.from, window.until);
    if found.is_empty() {
        page.add(item_removed("event", event.id, event.immutable, view.prefer));
    } else {
        page.add(typed("event", render::item(event, view)));
    }
    let Some(series) = Series::of(event) else {
        if next.forget_series(event.immutable) {
            removed_days(event.immutable, window, &BTreeSet::new()).for_each(|day| page.add(day));
        }
        return;
    };
    let days: BTreeSet<Date> = found.iter().filter_map(|instance| instance.date).take(OCCURRENCES_MAX).collect();
    for day in &days {
        if let Some(shown) = occurrence(&series, *day, page.is_full(), view) {
            page.add(shown);
        }
    }
    if !first {
        removed_days(event.immutable, window, &days).for_each(|day| page.add(day));
    }
    next.know_series(event.immutable);
}

/// An occurrence that is as its series says has no more than its time; the series says the rest. One that
/// differs is told whole, or by what differs.
fn occurrence(series: &Series<'_>, day: Date, by_what_differs: bool, view: View<'_>) -> Option<Value> {
    let differing = series.differing(day);
    let is_whole = !differing.is_empty() && !by_what_differs;
    let occurrence = series.occurrence_with(day, |name| is_whole || name == "isAllDay" || differing.contains(&name))?;
    let mut shown = typed("event", render::occurrence(&occurrence, view));
    if let (true, Some(members)) = (differing.is_empty(), shown.as_object_mut()) {
        const KEPT: [&str; 7] = ["@odata.type", "@odata.etag", "id", "type", "seriesMasterId", "start", "end"];
        members.retain(|name, _| KEPT.contains(&name.as_str()));
    }
    Some(shown)
}

/// That a series has no occurrence on any other day of the window. Which it had before nobody knows; telling
/// a client of what it never had does no harm.
fn removed_days(master: Uuid, window: Window, kept: &BTreeSet<Date>) -> impl Iterator<Item = Value> {
    let day = |time: Timestamp, days: i64| {
        let time = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).date().checked_add(jiff::Span::new().days(days)).ok()
    };
    // A day more at each end, for the zones of series.
    let ends = day(window.from, -1).zip(day(window.until, 1));
    let days = ends.into_iter().flat_map(|(from, until)| {
        from.series(jiff::Span::new().days(1)).take_while(move |day| *day <= until).take(OCCURRENCES_MAX)
    });
    days.filter(|day| !kept.contains(day)).map(move |date| removed("event", OccurrenceId { master, date }.to_string()))
}
