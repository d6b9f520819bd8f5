//! A page of what is in calendars in a time window: what is asked for, and the answer. The events of the page
//! are read again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use graph::expand::Expand;
use graph::mailbox::Owner;
use graph::occurrence::{Instance, Series};
use graph::query::Query;
use graph::render::{self, Select, View};
use graph::schema::Entity;
use graph::{Item, ItemId, Kind, Occurrence};
use serde_json::{Value, json};
use store::Window;

use super::found::Found;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::expand;
use crate::http::query::{Page, QueryError};

/// The query options of a list of occurrences.
pub const OPTIONS: [&str; 9] =
    ["startDateTime", "endDateTime", "$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand"];

/// How far into an order that is not that of starts a page may lie: what is before it is held.
const ORDERED_MAX: u64 = 4_096;
/// A page ends after the occurrence that makes it longer than this.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// What is asked of a list of occurrences.
pub struct Asked {
    pub window: Window,
    pub page: Page,
    pub select: Option<Select>,
    pub expand: Expand,
    /// `$filter` and `$orderby`.
    pub query: Query,
    pub order: Order,
}

/// In which order occurrences come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By their start.
    FirstFirst,
    LastFirst,
    /// As the query has it.
    Own,
}

impl Asked {
    pub fn read(call: &Call<'_>, window: Window) -> Result<Self, ApiError> {
        let page = Page::read(&call.query)?;
        let select = call.query.select(Entity::Event)?;
        let expand = call.query.expand(Entity::Event)?;
        let query = call.query.items(Kind::Event)?;
        let order = order(call.query.get("$orderby"));
        if order == Order::Own && page.skip.saturating_add(page.top) > ORDERED_MAX {
            return Err(QueryError::Inefficient.into());
        }
        Ok(Self { window, page, select, expand, query, order })
    }
}

fn order(asked: Option<&str>) -> Order {
    let words: Vec<&str> = asked.unwrap_or("start/dateTime").split_whitespace().collect();
    match words.join(" ").to_ascii_lowercase().as_str() {
        "start/datetime" | "start/datetime asc" => Order::FirstFirst,
        "start/datetime desc" => Order::LastFirst,
        _ => Order::Own,
    }
}

/// An event as it is shown at one time.
pub enum Shown {
    Single(Item),
    Occurrence(Occurrence),
}

impl Shown {
    /// The event at one of its times; `None` if it is not there then, or not any more.
    pub fn at(event: &Item, series: Option<&Series<'_>>, instance: &Instance) -> Option<Self> {
        match instance.date {
            None => Some(Shown::Single(event.clone())),
            Some(date) => series?.occurrence(date).map(Shown::Occurrence),
        }
    }

    pub fn item(&self) -> &Item {
        match self {
            Shown::Single(item) => item,
            Shown::Occurrence(occurrence) => &occurrence.item,
        }
    }

    pub fn into_item(self) -> Item {
        match self {
            Shown::Single(item) => item,
            Shown::Occurrence(occurrence) => occurrence.item,
        }
    }

    pub fn render(&self, view: View<'_>) -> Value {
        match self {
            Shown::Single(item) => render::item(item, view),
            Shown::Occurrence(occurrence) => render::occurrence(occurrence, view),
        }
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
    let page = filled(call, owner, found, |shown| render(shown, view)).await?;
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

/// The page, with what `$expand` asks for.
async fn filled(
    call: &Call<'_>,
    owner: &Owner,
    found: Found<'_>,
    render: impl Fn(&Shown) -> Value,
) -> Result<Filling, ApiError> {
    let asked = found.asked;
    let Page { skip, top, .. } = asked.page;
    let sorted = found.into_sorted();
    let mut page = Filling::new(skip, sorted.len());
    let after = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let mut events: HashMap<ItemId, Option<Item>> = HashMap::new();
    for kept in sorted.into_iter().skip(after(skip)).take(after(top)) {
        if page.is_full() {
            break;
        }
        let event = match events.entry(kept.event) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(call.state.store.item(owner.id, kept.event).await?),
        };
        // An event that has changed since is shown as it is now, if it still has this occurrence.
        let shown = event.as_ref().and_then(|event| Shown::at(event, Series::of(event).as_ref(), &kept.instance));
        let value = match shown {
            Some(shown) => {
                let mut value = render(&shown);
                expand::relations(call, &asked.expand, shown.item(), &mut value).await?;
                Some(value)
            }
            None => None,
        };
        page.pass(value);
    }
    Ok(page)
}
