//! How much the partitions of a node hold, each and together. To add it up would cost more than most events do: 256
//! partitions lie far apart in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of something all partitions hold. It is shared, so that a partition counts itself out when it is dropped.
#[derive(Clone, Debug, Default)]
struct Sum(Arc<AtomicUsize>);

/// How many of it one partition holds.
#[derive(Debug)]
pub(super) struct Count {
    own: usize,
    sum: Sum,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Sums {
    held: Sum,
    held_parked: Sum,
    records: Sum,
}

impl Sums {
    /// Deliveries in memory.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Those of them that no parked row holds.
    pub(super) fn unparked(&self) -> usize {
        self.held.get().saturating_sub(self.held_parked.get())
    }

    /// Records that no cursor has passed.
    pub(super) fn records(&self) -> usize {
        self.records.get()
    }

    /// Those of one more partition: deliveries in memory, those that lie in a parked row, and records.
    pub(super) fn partition(&self) -> [Count; 3] {
        [&self.held, &self.held_parked, &self.records].map(|sum| Count { own: 0, sum: sum.clone() })
    }
}

impl Sum {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Count {
    pub(super) fn add(&mut self, more: usize) {
        self.own += more;
        self.sum.0.fetch_add(more, Ordering::Relaxed);
    }

    /// As far as there are so many.
    pub(super) fn take(&mut self, less: usize) {
        let less = less.min(self.own);
        self.own -= less;
        self.sum.0.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.take(self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_what_the_partitions_hold_that_are_left() {
        let sums = Sums::default();
        let ([mut one, mut parked, _records], [mut other, ..]) = (sums.partition(), sums.partition());
        one.add(5);
        other.add(7);
        parked.add(2);
        other.take(9);
        assert_eq!((one.own, other.own, sums.held(), sums.unparked()), (5, 0, 5, 3));
        other.add(1);
        drop(one);
        assert_eq!(sums.held(), 1);
    }
}
