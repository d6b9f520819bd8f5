//! What is going to happen, in order of time; at one time, in the order in which it was written down.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Happenings by time, in microseconds since the world began.
pub struct Agenda<T> {
    heap: BinaryHeap<Entry<T>>,
    written: u64,
}

struct Entry<T> {
    at: u64,
    turn: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), written: 0 }
    }

    pub fn add(&mut self, at: u64, what: T) {
        self.heap.push(Entry { at, turn: self.written, what });
        self.written += 1;
    }

    pub fn next(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Ord for Entry<T> {
    /// The earliest is the greatest: `BinaryHeap` pops that.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.turn).cmp(&(self.at, self.turn))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}
