//! A walk over one folder's items by a column, in pieces: each piece is a short read of an index, so what
//! is held does not grow with the folder.
//!
//! Equal values are walked by newest sort key and then by id, whichever way the values themselves go.

use std::cmp::{Ordering, Reverse};
use std::collections::VecDeque;
use std::ops::Bound;

use graph::UserId;
use graph::query::{Cell, Column, Scan};
use graph::{FolderId, Partition};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::columns::text_key;
use crate::StoreError;
use crate::sqlite::error::corrupt;
use crate::sqlite::row::{Key, folder_key, place_key};

/// A piece has more rows each time, up to so many.
const PIECE_MIN: i64 = 16;
const PIECE_MAX: i64 = 512;

/// Where an item stands in a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    value: Cell,
    sort_key: i64,
    id: Key,
    descending: bool,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let values = self.value.cmp(&other.value);
        let values = if self.descending { values.reverse() } else { values };
        values.then_with(|| (Reverse(self.sort_key), self.id).cmp(&(Reverse(other.sort_key), other.id)))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The walk, and what of it has been read ahead.
pub(super) struct Walk<'a> {
    connection: &'a Connection,
    scan: &'a Scan,
    mailbox: UserId,
    folder: FolderId,
    ahead: VecDeque<(Place, i64)>,
    /// The last place that was read; the next piece begins after it.
    last: Option<Place>,
    piece: i64,
    done: bool,
}

impl<'a> Walk<'a> {
    pub fn new(connection: &'a Connection, scan: &'a Scan, mailbox: UserId, folder: FolderId) -> Self {
        Self { connection, scan, mailbox, folder, ahead: VecDeque::new(), last: None, piece: PIECE_MIN, done: false }
    }

    /// The next item's place, and the number of its row.
    pub fn next(&mut self) -> Result<Option<(Place, i64)>, StoreError> {
        if self.ahead.is_empty() && !self.done {
            self.read_piece()?;
        }
        Ok(self.ahead.pop_front())
    }

    /// Reads what is left of the last value, and then the values after it.
    fn read_piece(&mut self) -> Result<(), StoreError> {
        let wanted = self.piece;
        match self.last.clone() {
            None => self.read_values(self.low(), self.high())?,
            Some(last) => {
                let same = |piece: Part| piece.and("sort_key = ", Value::Integer(last.sort_key));
                let part = same(self.part(Values::Are(&last.value))).and("id > ", Value::Blob(last.id.to_vec()));
                self.read(part, "id", Some(&last.value))?;
                if self.scan.column != Column::SortKey {
                    let part = self.part(Values::Are(&last.value)).and("sort_key < ", Value::Integer(last.sort_key));
                    self.read(part, "sort_key DESC, id", Some(&last.value))?;
                }
                let beyond = Bound::Excluded(last.value);
                match self.scan.descending {
                    false => self.read_values(beyond, self.high())?,
                    true => self.read_values(self.low(), beyond)?,
                }
            }
        }
        self.done = (self.ahead.len() as i64) < wanted;
        self.piece = (self.piece * 2).min(PIECE_MAX);
        self.last = self.ahead.back().map(|(place, _)| place.clone());
        Ok(())
    }

    fn low(&self) -> Bound<Cell> {
        self.scan.low.clone()
    }

    fn high(&self) -> Bound<Cell> {
        self.scan.high.clone()
    }

    fn read_values(&mut self, low: Bound<Cell>, high: Bound<Cell>) -> Result<(), StoreError> {
        if self.scan.column == Column::Unread {
            return self.read_flags(low, high);
        }
        match (&low, &high) {
            (Bound::Included(from), Bound::Included(to)) if from == to => {
                let part = self.part(Values::Are(from));
                self.read(part, "sort_key DESC, id", Some(from))
            }
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to))
                if from >= to =>
            {
                Ok(())
            }
            _ => {
                let order = match (self.scan.column, self.scan.descending) {
                    (Column::SortKey, true) => "sort_key DESC, id".to_owned(),
                    (Column::SortKey, false) => "sort_key, id".to_owned(),
                    (column, true) => format!("{} DESC, sort_key DESC, id", name(column)),
                    (column, false) => format!("{}, sort_key DESC, id", name(column)),
                };
                let part = self.part(Values::Within(&low, &high));
                self.read(part, &order, None)
            }
        }
    }

    /// Whether an item is unread is one of two values, each with a list of its own.
    fn read_flags(&mut self, low: Bound<Cell>, high: Bound<Cell>) -> Result<(), StoreError> {
        let mut flags = [Cell::Integer(0), Cell::Integer(1)];
        if self.scan.descending {
            flags.reverse();
        }
        for flag in flags {
            if std::ops::RangeBounds::contains(&(low.clone(), high.clone()), &flag) {
                let part = self.part(Values::Are(&flag));
                self.read(part, "sort_key DESC, id", Some(&flag))?;
            }
        }
        Ok(())
    }

    /// The part of the folder with some values.
    fn part(&self, values: Values<'_>) -> Part {
        let column = self.scan.column;
        let index = match (column, &values) {
            (Column::SortKey, _) => "item_by_folder",
            (Column::Unread, Values::Are(Cell::Integer(1))) => "item_by_unread",
            (Column::Unread, _) => "item_by_folder",
            (Column::From, _) => "item_by_from",
            (Column::Subject, _) => "item_by_subject",
            (Column::InternetMessageId, _) => "item_by_message_id",
            (Column::ConversationId, _) => "item_by_conversation",
        };
        let mut part = Part {
            column,
            index,
            conditions: "partition = ?1 AND mailbox = ?2 AND folder = ?3".to_owned(),
            parameters: vec![
                Value::Integer(Partition::of(self.mailbox).0.into()),
                Value::Blob(self.mailbox.0.as_bytes().to_vec()),
                Value::Blob(folder_key(self.folder).to_vec()),
            ],
        };
        if index != "item_by_folder" && !is_keyed(column) {
            part = part.and("place = ", Value::Integer(place_key(self.mailbox, self.folder, &[])));
        }
        match values {
            // Named in the statement, so that SQLite knows that the index has all of them.
            Values::Are(Cell::Integer(flag @ 0..=1)) if column == Column::Unread => {
                part.conditions.push_str(&format!(" AND unread = {flag}"));
            }
            Values::Are(Cell::Text(text)) if is_keyed(column) => {
                let key = text_key(self.mailbox, self.folder, column, text);
                part = part.and(&format!("{} = ", name(column)), Value::Integer(key));
            }
            Values::Are(cell) => part = part.and(&format!("{} = ", name(column)), value(cell)),
            Values::Within(low, high) => {
                let bound = |part: Part, bound: &Bound<Cell>, sign: &str| match bound {
                    Bound::Included(cell) => part.and(&format!("{} {sign}= ", name(column)), value(cell)),
                    Bound::Excluded(cell) => part.and(&format!("{} {sign} ", name(column)), value(cell)),
                    Bound::Unbounded => part,
                };
                part = bound(bound(part, low, ">"), high, "<");
                if column != Column::SortKey {
                    part.conditions.push_str(&format!(" AND {} IS NOT NULL", name(column)));
                }
            }
        }
        self.within_sort_keys(part)
    }

    fn within_sort_keys(&self, part: Part) -> Part {
        let (low, high) = self.scan.sort_keys;
        let bound = |part: Part, bound: Bound<i64>, sign: &str| match bound {
            Bound::Included(at) => part.and(&format!("sort_key {sign}= "), Value::Integer(at)),
            Bound::Excluded(at) => part.and(&format!("sort_key {sign} "), Value::Integer(at)),
            Bound::Unbounded => part,
        };
        // Those of the column itself are conditions already.
        match self.scan.column {
            Column::SortKey => part,
            _ => bound(bound(part, low, ">"), high, "<"),
        }
    }

    /// Reads rows of a part until the piece is full. `value` is what all of them have in the column.
    fn read(&mut self, mut part: Part, order: &str, value: Option<&Cell>) -> Result<(), StoreError> {
        let left = self.piece - self.ahead.len() as i64;
        if left <= 0 {
            return Ok(());
        }
        part.parameters.push(Value::Integer(left));
        let Part { column, index, conditions, parameters } = &part;
        let column = if value.is_some() { "NULL" } else { name(*column) };
        let sql = format!(
            "SELECT sort_key, id, number, {column} FROM item INDEXED BY {index} WHERE {conditions}
                ORDER BY {order} LIMIT ?{}",
            parameters.len()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(2)?;
            let value = match value {
                Some(value) => value.clone(),
                None => read_cell(row, number)?,
            };
            let place = Place { value, sort_key: row.get(0)?, id: row.get(1)?, descending: self.scan.descending };
            self.ahead.push_back((place, number));
        }
        Ok(())
    }
}

/// Which values of a column.
enum Values<'a> {
    Are(&'a Cell),
    Within(&'a Bound<Cell>, &'a Bound<Cell>),
}

/// A part of a folder, as a condition on rows.
struct Part {
    column: Column,
    index: &'static str,
    conditions: String,
    parameters: Vec<Value>,
}

impl Part {
    fn and(mut self, comparison: &str, value: Value) -> Self {
        self.parameters.push(value);
        self.conditions.push_str(&format!(" AND {comparison}?{}", self.parameters.len()));
        self
    }
}

/// Whether a short key stands for the column's text.
fn is_keyed(column: Column) -> bool {
    matches!(column, Column::InternetMessageId | Column::ConversationId)
}

fn name(column: Column) -> &'static str {
    match column {
        Column::SortKey => "sort_key",
        Column::Unread => "unread",
        Column::From => "from_address",
        Column::Subject => "subject",
        Column::InternetMessageId => "message_id_key",
        Column::ConversationId => "conversation_key",
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Text(text) => Value::Text(text.clone()),
    }
}

fn read_cell(row: &Row<'_>, number: i64) -> Result<Cell, StoreError> {
    match row.get_ref(3)? {
        ValueRef::Integer(number) => Ok(Cell::Integer(number)),
        ValueRef::Text(text) => Ok(Cell::Text(String::from_utf8_lossy(text).into_owned())),
        _ => Err(corrupt(("item", "column of a list"), number, "it is of another type")),
    }
}

#[cfg(test)]
mod tests;
