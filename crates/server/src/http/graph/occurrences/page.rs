//! A page of what is in calendars in a time window. Series are expanded and what comes before and on the
//! page is kept, as keys; the events of the page are read again.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use graph::mailbox::Owner;
use graph::occurrence::{Instance, Series, instances};
use graph::render::{self, Select, View};
use graph::schema::Entity;
use graph::{FolderId, Item, ItemId, Occurrence};
use serde_json::{Value, json};
use store::Window;

use super::window::WindowError;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::{Page, QueryError};

/// The query options of a list of occurrences.
pub const OPTIONS: [&str; 7] = ["startDateTime", "endDateTime", "$select", "$top", "$skip", "$count", "$orderby"];

/// Occurrences that one request may look at, and how far into them a page may lie.
const OCCURRENCES_MAX: u64 = 250_000;
const EVENTS_AT_A_TIME: u64 = 200;
/// A page ends after the occurrence that makes it longer than this.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// An occurrence may have been moved to a time before its series begins. This long before, in minutes, it is
/// still found.
const MOVED_EARLIER_MINUTES_MAX: i64 = 31 * 24 * 60;

/// What is asked of a list of occurrences.
pub struct Asked {
    pub window: Window,
    pub page: Page,
    pub select: Option<Select>,
    descending: bool,
}

impl Asked {
    pub fn read(call: &Call<'_>, window: Window) -> Result<Self, ApiError> {
        let page = Page::read(&call.query)?;
        let select = call.query.select(Entity::Event)?;
        Ok(Self { window, page, select, descending: descending(call.query.get("$orderby"))? })
    }
}

/// Occurrences come by their start.
fn descending(order: Option<&str>) -> Result<bool, QueryError> {
    let asked = order.unwrap_or("start/dateTime");
    let words: Vec<&str> = asked.split_whitespace().collect();
    match words.join(" ").to_ascii_lowercase().as_str() {
        "start/datetime" | "start/datetime asc" => Ok(false),
        "start/datetime desc" => Ok(true),
        _ => Err(QueryError::Inefficient),
    }
}

/// An event as it is shown at one time.
pub enum Shown {
    Single(Item),
    Occurrence(Occurrence),
}

impl Shown {
    pub fn item(&self) -> &Item {
        match self {
            Shown::Single(item) => item,
            Shown::Occurrence(occurrence) => &occurrence.item,
        }
    }

    pub fn render(&self, view: View<'_>) -> Value {
        match self {
            Shown::Single(item) => render::item(item, view),
            Shown::Occurrence(occurrence) => render::occurrence(occurrence, view),
        }
    }
}

/// Which events count, as they are at one time.
pub type Fitting<'a> = &'a (dyn Fn(&Item) -> bool + Send + Sync);

/// What was found so far.
pub struct Found<'a> {
    asked: &'a Asked,
    fitting: Option<Fitting<'a>>,
    first: Vec<(Instance, ItemId)>,
    looked_at: u64,
    pub total: u64,
}

impl<'a> Found<'a> {
    pub fn new(asked: &'a Asked, fitting: Option<Fitting<'a>>) -> Self {
        Self { asked, fitting, first: Vec::new(), looked_at: 0, total: 0 }
    }

    /// Adds what of an event lies in the window.
    pub fn add(&mut self, event: &Item) -> Result<(), WindowError> {
        let found = instances(event, self.asked.window.from, self.asked.window.until);
        self.looked_at += found.len() as u64;
        if self.looked_at > OCCURRENCES_MAX {
            return Err(WindowError::TooMany { occurrences_max: OCCURRENCES_MAX });
        }
        let series = self.fitting.and_then(|_| Series::of(event));
        for instance in found {
            let fits = self
                .fitting
                .is_none_or(|fits| shown(event, series.as_ref(), &instance).is_some_and(|shown| fits(shown.item())));
            if fits {
                self.total += 1;
                self.first.push((instance, event.id));
            }
        }
        // One more than the page, to know whether another follows.
        let kept = self.asked.page.skip.saturating_add(self.asked.page.top).saturating_add(1);
        let kept = usize::try_from(kept.min(OCCURRENCES_MAX)).unwrap_or(usize::MAX);
        if self.first.len() > kept.saturating_mul(2) {
            self.cut(kept);
        }
        Ok(())
    }

    fn cut(&mut self, kept: usize) {
        let order = |a: &(Instance, ItemId), b: &(Instance, ItemId)| match self.asked.descending {
            false => a.cmp(b),
            true => b.0.start.cmp(&a.0.start).then(a.cmp(b)),
        };
        self.first.sort_unstable_by(|a, b| -> Ordering { order(a, b) });
        self.first.truncate(kept);
    }

    /// The page, each occurrence as `render` has it.
    async fn page(
        mut self,
        call: &Call<'_>,
        owner: &Owner,
        render: impl Fn(&Shown) -> Value,
    ) -> Result<Filling, ApiError> {
        let Page { skip, top, .. } = self.asked.page;
        self.cut(usize::MAX);
        let mut page = Filling::new(skip, self.first.len());
        let after = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let mut events: HashMap<ItemId, Option<Item>> = HashMap::new();
        for (instance, id) in self.first.into_iter().skip(after(skip)).take(after(top)) {
            if page.is_full() {
                break;
            }
            let event = match events.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(call.state.store.item(owner.id, id).await?),
            };
            // An event that has changed since is shown as it is now, if it still has this occurrence.
            let shown = event.as_ref().and_then(|event| shown(event, Series::of(event).as_ref(), &instance));
            page.pass(shown.as_ref().map(&render));
        }
        Ok(page)
    }
}

/// A page while it is made. It ends early when it has grown large: one long event has many occurrences.
pub struct Filling {
    pub value: Vec<Value>,
    next: u64,
    total: u64,
    bytes: usize,
}

impl Filling {
    pub fn new(skip: u64, total: usize) -> Self {
        Self { value: Vec::new(), next: skip, total: total as u64, bytes: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.bytes > PAGE_BYTES_MAX
    }

    /// Goes past one occurrence, which is shown unless it is gone.
    pub fn pass(&mut self, shown: Option<Value>) {
        self.next += 1;
        self.bytes += shown.as_ref().map_or(0, |shown| shown.to_string().len());
        self.value.extend(shown);
    }

    /// How many occurrences come before the next page, if there is one.
    pub fn next(&self) -> Option<u64> {
        (self.next < self.total).then_some(self.next)
    }
}

fn shown(event: &Item, series: Option<&Series<'_>>, instance: &Instance) -> Option<Shown> {
    match instance.date {
        None => Some(Shown::Single(event.clone())),
        Some(date) => series?.occurrence(date).map(Shown::Occurrence),
    }
}

/// Adds everything that a calendar has in the window.
pub async fn add_calendar(
    call: &Call<'_>,
    owner: &Owner,
    calendar: FolderId,
    found: &mut Found<'_>,
) -> Result<(), ApiError> {
    let Window { from, until } = found.asked.window;
    // An event of no length ends where it begins, which may be where the window does.
    let wide = Window { from: from.plus_micros(-1), until: until.plus_minutes(MOVED_EARLIER_MINUTES_MAX) };
    let mut after = None;
    loop {
        let store = &call.state.store;
        let events = store.events_between(owner.id, calendar, wide, after, EVENTS_AT_A_TIME).await?;
        for event in &events.items {
            found.add(event).map_err(ApiError::Window)?;
        }
        after = events.items.last().map(|last| last.id);
        if !events.more {
            return Ok(());
        }
        // Expanding takes the processor; others have their turn.
        tokio::task::yield_now().await;
    }
}

/// The page as an answer: each occurrence as `render` has it.
pub async fn answer(
    call: &Call<'_>,
    owner: &Owner,
    found: Found<'_>,
    collection: &str,
    render: impl Fn(&Shown, View<'_>) -> Value,
) -> Result<Value, ApiError> {
    let (asked, total) = (found.asked, found.total);
    let view = View { context: None, select: asked.select.as_ref(), prefer: &call.prefer };
    let page = found.page(call, owner, |shown| render(shown, view)).await?;
    let context = render::context(&call.base(), owner.id, collection, asked.select.as_ref(), false);
    let mut body = json!({"@odata.context": context});
    if asked.page.count {
        body["@odata.count"] = total.into();
    }
    if let Some(next) = page.next() {
        body["@odata.nextLink"] = call.next_page(next).into();
    }
    body["value"] = page.value.into();
    Ok(body)
}
