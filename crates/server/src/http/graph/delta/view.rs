//! `calendarView/delta?startDateTime=…&endDateTime=…`: 200 with the events of a calendar that lie in the
//! window, and removals. An event that has moved out of the window is gone from it.

use graph::delta::{Options, Place};
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::{Item, Kind, Timestamp, WellKnown};
use serde_json::Value;
use store::{DeltaEntry, Window};

use super::items::present;
use super::{DeltaRefusal, Round, Untaken, item_removed, typed, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

const UNTAKEN: Untaken =
    Untaken { resource: "CalendarView", options: "$orderby, $filter, $select, $expand, $search, $top" };

pub async fn view(call: &Call<'_>, user: &UserKey, calendar: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[
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
    ])?;
    call.require_read(Kind::Event)?;
    let owner = call.owner(user).await?;
    let calendar = call.folder(owner.id, calendar).await?;
    let place = match calendar == WellKnown::Calendar.id_in(owner.id) {
        true => String::new(),
        false => format!("calendars('{calendar}')/"),
    };
    let path = format!("{}/{place}calendarView/delta", user_path(user, &owner));
    let round = Round::open(call, path, owner.id, Place::View(calendar), || begin(call))?;
    let (from, until) = round.token.options.window.ok_or(ApiError::Delta(DeltaRefusal::Token))?;
    let window = Window { from: Timestamp::from_micros(from), until: Timestamp::from_micros(until) };
    // Who reads everything for the first time knows of no event that could have left the window.
    let first = round.token.since == 0 || round.token.since < round.token.began;
    let told = round
        .read(call, |entry| match entry {
            DeltaEntry::Item(item) => !first || touches(item, window),
            _ => true,
        })
        .await?;
    let view = View { context: None, select: None, prefer: &call.prefer };
    let present = present(&told, &call.prefer);
    let mut value = Vec::new();
    for entry in &told.entries {
        match entry {
            DeltaEntry::Item(item) => value.extend(occurrences(item, window, view)),
            DeltaEntry::ItemGone { immutable, .. } if present.contains(immutable) => {}
            DeltaEntry::ItemGone { id, immutable } => value.push(item_removed("event", *id, *immutable, &call.prefer)),
            DeltaEntry::Folder(_) | DeltaEntry::FolderGone(_) => {}
        }
    }
    Ok(round.answer(call, "event", &told, value))
}

fn begin(call: &Call<'_>) -> Result<Options, ApiError> {
    UNTAKEN.check(call)?;
    let time = |name: &str| {
        let text = call.query.get(name)?;
        // A time without an offset stands for UTC.
        text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse()).ok()
    };
    let (Some(from), Some(until)) = (time("startDateTime"), time("endDateTime")) else {
        return Err(ApiError::Delta(DeltaRefusal::Window));
    };
    if until < from {
        return Err(ApiError::Delta(DeltaRefusal::Window));
    }
    Ok(Options { window: Some((from.as_micros(), until.as_micros())), ..Options::default() })
}

fn touches(event: &Item, window: Window) -> bool {
    event.sort_key() < window.until && (event.last_end() > window.from || event.sort_key() >= window.from)
}

/// What the window shows of an event: itself, or that it is not there.
fn occurrences(event: &Item, window: Window, view: View<'_>) -> Vec<Value> {
    let shown = if touches(event, window) {
        typed("event", render::item(event, view))
    } else {
        item_removed("event", event.id, event.immutable, view.prefer)
    };
    vec![shown]
}
