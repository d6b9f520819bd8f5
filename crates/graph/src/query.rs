//! What a list of items asks for: which items, in which order, and by which index a store finds them.

mod scan;
mod shown;
mod value;

use std::cmp::{Ordering, Reverse};
use std::ops::Bound;
use std::sync::Arc;

use odata::{Filter, Order, folded, parse};

use crate::schema::{Entity, Fields};
use crate::search::{Search, SearchRefusal};
use crate::{Attachment, Item, Kind, Properties};
pub use odata::{ProblemKind, Problems};
pub use shown::Shown;
pub(crate) use value::json as scalar;
pub use value::{Held, State};

/// A filter and an order, of items of one kind. A copy is cheap.
#[derive(Clone, Debug)]
pub struct Query {
    kind: Kind,
    asked: Option<Arc<Asked>>,
}

#[derive(Debug)]
struct Asked {
    /// The filter, the order and the search, as they were asked for.
    texts: [String; 3],
    filter: Option<Filter>,
    search: Option<Search>,
    order: Vec<Key>,
    scan: Scan,
}

/// One key of an order.
#[derive(Debug)]
struct Key {
    /// What it sorts by, if that is in a column.
    column: Option<Column>,
    order: Order,
    descending: bool,
}

/// Why a query cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryRefusal {
    #[error("the filter is wrong")]
    Filter(#[source] Problems),
    #[error("the order is wrong")]
    Order(#[source] Problems),
    /// Messages are ordered by what their filter names first, in the same sequence.
    #[error("the restriction or sort order is too complex")]
    Inefficient,
}

/// What a store keeps of each item, besides the property bag, to find it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// [`Item::sort_key`], in microseconds: of messages and contacts finer than what is shown.
    SortKey,
    /// [`Item::is_unread`]: 1 or 0.
    Unread,
    /// The address in `from`, folded.
    From,
    /// The first characters of `subject`, folded.
    Subject,
    InternetMessageId,
    ConversationId,
}

/// A value in a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Integer(i64),
    Text(String),
}

/// A range of one column that holds every item that a query can find, and perhaps others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub column: Column,
    pub low: Bound<Cell>,
    pub high: Bound<Cell>,
    pub descending: bool,
    /// Whether the column's order, ties by newest sort key and then by id, is the order that is asked for.
    pub in_order: bool,
    /// A range of [`Column::SortKey`] that holds them as well.
    pub sort_keys: (Bound<i64>, Bound<i64>),
}

/// How many characters of a subject are in its column.
pub const SUBJECT_CHARS_MAX: usize = 128;

/// The value of an item in a column; `None` if it is in no list by that column.
pub fn cell(item: &Item, column: Column) -> Option<Cell> {
    let text = |name: &str| item.properties.get(name).and_then(|value| value.as_str());
    let message = |cell: Option<Cell>| cell.filter(|_| item.id.kind == Kind::Message);
    match column {
        Column::SortKey => Some(Cell::Integer(item.sort_key().as_micros())),
        Column::Unread => Some(Cell::Integer(item.is_unread().into())),
        Column::From => message(Some(Cell::Text(folded(sender(&item.properties)).into_owned()))),
        Column::Subject => message(Some(Cell::Text(beginning(&folded(text("subject").unwrap_or_default()))))),
        Column::InternetMessageId => message(text("internetMessageId").map(|id| Cell::Text(id.to_owned()))),
        Column::ConversationId => message(text("conversationId").map(|id| Cell::Text(id.to_owned()))),
    }
}

fn sender(properties: &Properties) -> &str {
    let address = properties.get("from").and_then(|from| from.pointer("/emailAddress/address"));
    address.and_then(|address| address.as_str()).unwrap_or_default()
}

/// As much of a folded subject as is in its column.
fn beginning(subject: &str) -> String {
    subject.chars().take(SUBJECT_CHARS_MAX).collect()
}

/// The column that holds a property, by its path.
fn column(kind: Kind, path: &[String]) -> Option<Column> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (kind, path.as_slice()) {
        (Kind::Message, ["receivedDateTime"]) => Some(Column::SortKey),
        (Kind::Event, ["start", "dateTime"]) => Some(Column::SortKey),
        (Kind::Contact, ["createdDateTime"]) => Some(Column::SortKey),
        (Kind::Message, ["isRead"]) => Some(Column::Unread),
        (Kind::Message, ["from", "emailAddress", "address"]) => Some(Column::From),
        (Kind::Message, ["subject"]) => Some(Column::Subject),
        (Kind::Message, ["internetMessageId"]) => Some(Column::InternetMessageId),
        (Kind::Message, ["conversationId"]) => Some(Column::ConversationId),
        _ => None,
    }
}

impl Query {
    /// All items of a kind, newest first.
    pub fn all(kind: Kind) -> Self {
        Self { kind, asked: None }
    }

    /// Reads the values of `$filter` and `$orderby`.
    pub fn read(kind: Kind, filter: Option<&str>, orderby: Option<&str>) -> Result<Self, QueryRefusal> {
        if filter.is_none() && orderby.is_none() {
            return Ok(Self::all(kind));
        }
        let fields = Fields::of(Entity::from(kind));
        let texts = [filter, orderby, None].map(|text| text.unwrap_or_default().to_owned());
        let filter = filter.map(|text| Filter::read(text, &fields)).transpose().map_err(QueryRefusal::Filter)?;
        let order = match orderby {
            Some(text) => keys(kind, text, &fields).map_err(QueryRefusal::Order)?,
            None => Vec::new(),
        };
        if let (Kind::Message, Some(filter)) = (kind, &filter)
            && !is_served(filter, &order)
        {
            return Err(QueryRefusal::Inefficient);
        }
        let scan = scan::best(kind, filter.as_ref(), &order);
        Ok(Self { kind, asked: Some(Arc::new(Asked { texts, filter, search: None, order, scan })) })
    }

    /// Reads the value of `$search` of messages, which come newest sent first.
    pub fn search(text: &str) -> Result<Self, SearchRefusal> {
        let search = Some(Search::read(text)?);
        let kind = Kind::Message;
        let order = keys(kind, "sentDateTime desc", &Fields::of(Entity::Message)).unwrap_or_default();
        let scan = scan::best(kind, None, &order);
        let texts = [String::new(), String::new(), text.to_owned()];
        Ok(Self { kind, asked: Some(Arc::new(Asked { texts, filter: None, search, order, scan })) })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn filter(&self) -> Option<&Filter> {
        self.asked.as_ref().and_then(|asked| asked.filter.as_ref())
    }

    /// Whether the query finds every item of its kind.
    pub fn is_unfiltered(&self) -> bool {
        self.filter().is_none() && self.sought().is_none()
    }

    fn sought(&self) -> Option<&Search> {
        self.asked.as_ref().and_then(|asked| asked.search.as_ref())
    }

    /// The properties that the filter looks at; one may come twice.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        let paths = self.filter().map(Filter::paths).unwrap_or_default();
        paths.into_iter().filter_map(|path| path.first().map(String::as_str))
    }

    /// The properties that the order looks at, apart from those of [`Item::sort_key`]; one may come twice.
    pub fn order_properties(&self) -> impl Iterator<Item = &str> {
        let keys = self.asked.iter().flat_map(|asked| &asked.order);
        keys.flat_map(|key| key.order.keys()).filter_map(|(path, _)| path.first().map(String::as_str))
    }

    /// Whether what it finds depends on attachments, which [`Query::finds`] must be given.
    pub fn seeks_attachments(&self) -> bool {
        self.sought().is_some_and(Search::seeks_attachments)
    }

    /// Whether the query finds this item, if it does not depend on its attachments.
    pub fn matches(&self, item: &Item) -> bool {
        self.finds(item, &[])
    }

    /// Whether the query finds an item with these attachments.
    pub fn finds(&self, item: &Item, attachments: &[Attachment]) -> bool {
        item.id.kind == self.kind
            && self.filter().is_none_or(|filter| filter.matches(Held::Item(item)))
            && self.sought().is_none_or(|search| search.matches(item, attachments))
    }

    /// The order that is asked for; then newest sort key first, then by id: never equal for two items.
    pub fn compare(&self, a: &Item, b: &Item) -> Ordering {
        self.compare_as_asked(a, b).then_with(|| (Reverse(a.sort_key()), a.id).cmp(&(Reverse(b.sort_key()), b.id)))
    }

    /// The order that is asked for, by itself. Of subjects it looks at as much as is in their column.
    pub fn compare_as_asked(&self, a: &Item, b: &Item) -> Ordering {
        let keys = self.asked.iter().flat_map(|asked| &asked.order);
        keys.map(|key| key.compare(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The best way to find what matches.
    pub fn scan(&self) -> Scan {
        self.asked.as_ref().map_or_else(|| scan::best(self.kind, None, &[]), |asked| asked.scan.clone())
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        let texts = |query: &Self| query.asked.as_ref().map(|asked| asked.texts.clone());
        self.kind == other.kind && texts(self) == texts(other)
    }
}

impl Key {
    fn compare(&self, a: &Item, b: &Item) -> Ordering {
        let found = match self.column {
            Some(Column::Unread) => cell(b, Column::Unread).cmp(&cell(a, Column::Unread)),
            Some(column) => cell(a, column).cmp(&cell(b, column)),
            None => return self.order.compare(Held::Item(a), Held::Item(b)),
        };
        if self.descending { found.reverse() } else { found }
    }
}

fn keys(kind: Kind, text: &str, fields: &Fields) -> Result<Vec<Key>, Problems> {
    // As a whole first, so that all problems are told.
    Order::read(text, fields)?;
    let read = |key: odata::tree::Key| {
        let order = Order::check(std::slice::from_ref(&key), fields)?;
        let column = order.keys().next().and_then(|(path, _)| column(kind, path));
        Ok(Key { column, order, descending: key.descending })
    };
    let mut keys: Vec<Key> = parse::orderby(text)?.into_iter().map(read).collect::<Result<_, Problems>>()?;
    // What is shown as one second is equal, and the keys that follow decide.
    if let (Kind::Message | Kind::Contact, Some((_, earlier))) = (kind, keys.split_last_mut()) {
        let times = earlier.iter_mut().filter(|key| key.column == Some(Column::SortKey));
        times.for_each(|key| key.column = None);
    }
    Ok(keys)
}

/// Whether the properties of the order stand in the filter, first and in the same sequence, as Graph wants
/// it of messages.
fn is_served(filter: &Filter, order: &[Key]) -> bool {
    let mut filtered: Vec<&[String]> = Vec::new();
    for path in filter.paths() {
        if !filtered.contains(&path) {
            filtered.push(path);
        }
    }
    let mut ordered = order.iter().flat_map(|key| key.order.keys()).map(|(path, _)| path);
    let mut filtered = filtered.into_iter();
    ordered.all(|path| filtered.next() == Some(path))
}

#[cfg(test)]
mod tests;
