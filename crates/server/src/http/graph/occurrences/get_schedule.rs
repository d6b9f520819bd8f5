//! `POST` of `getSchedule`: 200 with the schedule of each address: what lies in the default calendar of that
//! mailbox. Everybody in the tenant may know when others are busy; what they do is shown to those who may read it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use graph::expand::Expand;
use graph::mailbox::schedule::{ScheduleRequest, availability};
use graph::mailbox::{Owner, Settings, mailbox_settings};
use graph::occurrence::Series;
use graph::path::UserKey;
use graph::query::Query;
use graph::{Item, ItemId, Kind, WellKnown, render};
use http::StatusCode;
use notify::access::{Level, Need};
use serde_json::{Value, json};
use store::Window;

use super::found::{Found, add_calendar};
use super::page::{Asked, Order, Shown};
use crate::directory;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, settings};
use crate::http::query::Page;

/// Schedules of one request, as the service was seen to allow.
const SCHEDULES_MAX: usize = 100;
/// Entries of one schedule.
const ENTRIES_MAX: u64 = 1_000;
const DAYS_MAX: i64 = 62;
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Why schedules are not told. `Display` is the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleRefusal {
    #[error("The time duration specified for FreeBusyViewOptions.TimeWindow is invalid.")]
    Window,
    #[error(
        "The requested time duration specified for FreeBusyViewOptions.TimeWindow is too long. The allowed limit = \
         {DAYS_MAX} days; the actual limit = {days} days."
    )]
    TooLong { days: i64 },
    #[error(
        "The specified merged free/busy interval is not valid. Specify an interval that is less than the free/busy \
         time window and between 5 and 1440 minutes."
    )]
    Interval,
    #[error(
        "There are too many target users in the EmailAddress array. The allowed size = {SCHEDULES_MAX}; the actual \
         size = {0}."
    )]
    TooMany(usize),
}

impl ScheduleRefusal {
    /// Graph's code; the status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            ScheduleRefusal::Window => "ErrorInvalidTimeInterval",
            ScheduleRefusal::TooLong { .. } => "ErrorTimeIntervalTooBig",
            ScheduleRefusal::Interval => "ErrorInvalidMergedFreeBusyInterval",
            ScheduleRefusal::TooMany(_) => "ErrorMailboxDataArrayTooBig",
        }
    }
}

pub async fn get_schedule(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    call.owner(user).await?;
    let request = ScheduleRequest::read(call.json()?)?;
    check(&request).map_err(ApiError::Schedule)?;
    let mut value = Vec::with_capacity(request.addresses.len());
    for address in &request.addresses {
        value.push(schedule(call, &request, address).await?);
    }
    let context = call.metadata("Collection(microsoft.graph.scheduleInformation)");
    Ok(Answer::json(StatusCode::OK, &json!({ "@odata.context": context, "value": value })))
}

fn check(request: &ScheduleRequest) -> Result<(), ScheduleRefusal> {
    let length = request.until.since(request.from);
    if length <= 0 {
        return Err(ScheduleRefusal::Window);
    }
    if length > DAYS_MAX * DAY {
        return Err(ScheduleRefusal::TooLong { days: (length - 1) / DAY + 1 });
    }
    if !(5..=1440).contains(&request.interval) || request.interval * 60_000_000 > length {
        return Err(ScheduleRefusal::Interval);
    }
    match request.addresses.len() {
        count if count > SCHEDULES_MAX => Err(ScheduleRefusal::TooMany(count)),
        _ => Ok(()),
    }
}

/// The `scheduleInformation` of an address.
async fn schedule(call: &Call<'_>, request: &ScheduleRequest, address: &str) -> Result<Value, ApiError> {
    let failed = |message: String, code: &str| json!({ "scheduleId": address, "error": { "message": message, "responseCode": code } });
    let Some(user) = call.user(&UserKey::Upn(address.trim().to_owned())).await? else {
        let message = format!("Unable to resolve e-mail address {address} to an Active Directory object.");
        return Ok(failed(message, "5009"));
    };
    let owner = directory::owner(&user);
    let asked = Asked {
        window: Window { from: request.from, until: request.until },
        page: Page { top: ENTRIES_MAX, skip: 0, count: false },
        select: None,
        expand: Expand::default(),
        query: Query::all(Kind::Event),
        order: Order::FirstFirst,
    };
    let mut found = Found::new(&asked, None);
    add_calendar(call, &owner, WellKnown::Calendar.id_in(owner.id), &mut found).await?;
    if found.total > ENTRIES_MAX {
        let size = found.total;
        let message = format!(
            "The result set contains too many calendar entries. The allowed size = {ENTRIES_MAX}; the actual size = {size}."
        );
        return Ok(failed(message, "5006"));
    }
    let details = call.check(Need::Items(Kind::Event, Level::Read), user.id).await.is_ok();
    let (mut busy, mut items) = (Vec::new(), Vec::new());
    for (start, end, event) in entries(call, &owner, found).await? {
        busy.push((start, end, availability(&event.properties)));
        items.push(render::schedule_item(&event, details, &call.prefer));
    }
    let settings = Settings::of(&settings::root(call, &owner).await?);
    Ok(json!({
        "scheduleId": address,
        "availabilityView": request.view(&busy),
        "scheduleItems": items,
        "workingHours": mailbox_settings(&settings, owner.id).remove("workingHours"),
    }))
}

type Times = (graph::Timestamp, graph::Timestamp, Item);

/// What was found, in order, each as it is at its time.
async fn entries(call: &Call<'_>, owner: &Owner, found: Found<'_>) -> Result<Vec<Times>, ApiError> {
    let mut events: HashMap<ItemId, Option<Item>> = HashMap::new();
    let mut entries = Vec::new();
    for kept in found.into_sorted() {
        let event = match events.entry(kept.event) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(call.state.store.item(owner.id, kept.event).await?),
        };
        let shown = event.as_ref().and_then(|event| Shown::at(event, Series::of(event).as_ref(), &kept.instance));
        entries.extend(shown.map(|shown| (kept.instance.start, kept.instance.end, shown.into_item())));
    }
    Ok(entries)
}
