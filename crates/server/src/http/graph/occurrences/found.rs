//! What of a calendar is in a time window: series are expanded, what `$filter` rejects is left away, and what
//! comes before and on the page is kept, as keys.

use std::cmp::Ordering;

use graph::mailbox::Owner;
use graph::occurrence::{Instance, Series, instances};
use graph::{FolderId, Item, ItemId};
use store::Window;

use super::page::{Asked, Order, Shown};
use super::window::WindowError;
use crate::http::error::ApiError;
use crate::http::graph::Call;

/// Occurrences that one request may look at, and how far into them a page may lie.
const OCCURRENCES_MAX: u64 = 250_000;
const EVENTS_AT_A_TIME: u64 = 200;
const OCCURRENCES_AT_A_TIME: u64 = 1_000;
/// An occurrence may have been moved to a time before its series begins. This long before, in minutes, it is
/// still found.
const MOVED_EARLIER_MINUTES_MAX: i64 = 31 * 24 * 60;
/// What may be large in an event, and is not copied into its occurrences unless it is asked about.
const LARGE: [&str; 5] =
    ["attendees", "body", "extensions", "multiValueExtendedProperties", "singleValueExtendedProperties"];

/// Which events count, as they are at one time.
pub type Fitting<'a> = &'a (dyn Fn(&Item) -> bool + Send + Sync);

/// What was found so far.
pub struct Found<'a> {
    pub asked: &'a Asked,
    fitting: Option<Fitting<'a>>,
    first: Vec<Kept>,
    looked_at: u64,
    pub total: u64,
}

/// An occurrence that may be on the page.
pub struct Kept {
    pub instance: Instance,
    pub event: ItemId,
    /// What the order looks at, unless that is the start alone.
    item: Option<Item>,
}

impl<'a> Found<'a> {
    pub fn new(asked: &'a Asked, fitting: Option<Fitting<'a>>) -> Self {
        Self { asked, fitting, first: Vec::new(), looked_at: 0, total: 0 }
    }

    /// Adds what of an event lies in the window.
    pub fn add(&mut self, mut event: Item) -> Result<(), WindowError> {
        let asked = self.asked;
        let query = &asked.query;
        let found = instances(&event, asked.window.from, asked.window.until);
        self.looked_at += found.len() as u64;
        if self.looked_at > OCCURRENCES_MAX {
            return Err(WindowError::TooMany { occurrences_max: OCCURRENCES_MAX });
        }
        if self.fitting.is_none() && query.is_unfiltered() && asked.order != Order::Own {
            self.total += found.len() as u64;
            self.first.extend(found.into_iter().map(|instance| Kept { instance, event: event.id, item: None }));
        } else {
            event.properties.retain(|name, _| {
                !LARGE.contains(&name.as_str())
                    || query.properties().chain(query.order_properties()).any(|asked| asked == name)
            });
            let series = Series::of(&event);
            for instance in found {
                self.add_fitting(&event, series.as_ref(), instance);
            }
        }
        // One more than the page, to know whether another follows.
        let kept = asked.page.skip.saturating_add(asked.page.top).saturating_add(1);
        let kept = usize::try_from(kept.min(OCCURRENCES_MAX)).unwrap_or(usize::MAX);
        if self.first.len() > kept.saturating_mul(2) {
            self.cut(kept);
        }
        Ok(())
    }

    fn add_fitting(&mut self, event: &Item, series: Option<&Series<'_>>, instance: Instance) {
        let Some(shown) = Shown::at(event, series, &instance) else { return };
        let asked = self.asked;
        let query = &asked.query;
        if !query.matches(shown.item()) || !self.fitting.is_none_or(|fits| fits(shown.item())) {
            return;
        }
        let ordered = |mut item: Item| {
            item.properties.retain(|name, _| query.order_properties().any(|asked| asked == name));
            item
        };
        self.total += 1;
        let item = (asked.order == Order::Own).then(|| ordered(shown.into_item()));
        self.first.push(Kept { instance, event: event.id, item });
    }

    fn cut(&mut self, kept: usize) {
        let asked = self.asked;
        self.first.sort_unstable_by(|a, b| a.compare(b, asked));
        self.first.truncate(kept);
    }

    /// What comes before and on the page, in order, and at least one more if there is more.
    pub fn into_sorted(mut self) -> Vec<Kept> {
        self.cut(usize::MAX);
        self.first
    }
}

impl Kept {
    /// What is equal in an order comes by its start.
    fn compare(&self, other: &Self, asked: &Asked) -> Ordering {
        let times = (self.instance, self.event).cmp(&(other.instance, other.event));
        match (asked.order, &self.item, &other.item) {
            (Order::Own, Some(a), Some(b)) => asked.query.compare_as_asked(a, b).then(times),
            (Order::LastFirst, ..) => other.instance.start.cmp(&self.instance.start).then(times),
            _ => times,
        }
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
        after = events.items.last().map(|last| last.id);
        for event in events.items {
            let before = found.looked_at / OCCURRENCES_AT_A_TIME;
            found.add(event).map_err(ApiError::Window)?;
            if found.looked_at / OCCURRENCES_AT_A_TIME > before {
                // Expanding takes the processor; others have their turn.
                tokio::task::yield_now().await;
            }
        }
        if !events.more {
            return Ok(());
        }
    }
}
