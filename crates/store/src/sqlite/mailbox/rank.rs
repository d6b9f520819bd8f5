//! The first items in an order that no index has.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use graph::Item;
use graph::query::Query;

/// An item in the order of a query, with the number of its row.
pub(super) struct Ranked<'a> {
    query: &'a Query,
    item: Item,
    pub number: i64,
}

impl<'a> Ranked<'a> {
    /// Keeps of the item what the order looks at.
    pub fn new(query: &'a Query, mut item: Item, number: i64) -> Self {
        let is_looked_at =
            |name: &str| SORT_KEYS.contains(&name) || query.order_properties().any(|other| other == name);
        item.properties.retain(|name, _| is_looked_at(name));
        Self { query, item, number }
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

/// The first of what is added, in order, and no more than so many.
pub(super) struct FirstOf<'a> {
    heap: BinaryHeap<Ranked<'a>>,
    most: usize,
}

impl<'a> FirstOf<'a> {
    pub fn new(most: usize) -> Self {
        Self { heap: BinaryHeap::new(), most }
    }

    pub fn add(&mut self, ranked: Ranked<'a>) {
        if self.heap.len() < self.most {
            self.heap.push(ranked);
        } else if let Some(mut last) = self.heap.peek_mut()
            && ranked < *last
        {
            *last = ranked;
        }
    }

    pub fn into_sorted(self) -> Vec<Ranked<'a>> {
        self.heap.into_sorted_vec()
    }
}
