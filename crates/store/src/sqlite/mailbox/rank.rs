//! The first items in an order that no index has.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use graph::Item;
use graph::query::Query;

use crate::{READ_BYTES_MAX, bytes_of};

/// An item in the order of a query, with the number of its row.
pub(super) struct Ranked<'a> {
    query: &'a Query,
    item: Item,
    bytes: usize,
    pub number: i64,
}

impl<'a> Ranked<'a> {
    /// Keeps of the item what the order looks at.
    pub fn new(query: &'a Query, mut item: Item, number: i64) -> Self {
        let is_looked_at =
            |name: &str| SORT_KEYS.contains(&name) || query.order_properties().any(|other| other == name);
        item.properties.retain(|name, _| is_looked_at(name));
        let bytes = bytes_of(&item.properties);
        Self { query, item, bytes, number }
    }
}

/// Where [`Item::sort_key`] lies.
const SORT_KEYS: [&str; 2] = ["receivedDateTime", "start"];

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.query.compare(&self.item, &other.item)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}

/// The first of what is added, in order: no more than so many, and fewer where what the order looks at is
/// long.
pub(super) struct FirstOf<'a> {
    heap: BinaryHeap<Ranked<'a>>,
    most: usize,
    bytes: usize,
}

impl<'a> FirstOf<'a> {
    pub fn new(most: usize) -> Self {
        Self { heap: BinaryHeap::new(), most, bytes: 0 }
    }

    pub fn add(&mut self, ranked: Ranked<'a>) {
        if self.heap.len() < self.most {
            self.bytes += ranked.bytes;
            self.heap.push(ranked);
        } else if let Some(mut last) = self.heap.peek_mut()
            && ranked < *last
        {
            self.bytes = self.bytes + ranked.bytes - last.bytes;
            *last = ranked;
        }
        while self.bytes > READ_BYTES_MAX && self.heap.len() > 1 {
            self.bytes -= self.heap.pop().map_or(0, |last| last.bytes);
            self.most = self.heap.len();
        }
    }

    /// Whether something may have been left out.
    pub fn is_full(&self) -> bool {
        self.heap.len() >= self.most
    }

    pub fn into_sorted(self) -> Vec<Ranked<'a>> {
        self.heap.into_sorted_vec()
    }
}
