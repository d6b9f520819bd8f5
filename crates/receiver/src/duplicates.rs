//! Telling a notification that comes again from a new one.
//!
//! Delivery is at least once: whatever you did not acknowledge in time is sent again, and you may have handled it
//! all the same. Tidings gives each notification an `id` that stays the same; Graph does not always, and then a
//! change is known by subscription, resource, change type and version. What neither tells apart is taken for new, so what
//! you do must bear being done twice.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::notification::{Fingerprint, Notification};

/// The notifications of late: so many at most, for so long. Each costs some hundred bytes.
#[derive(Clone, Debug)]
pub struct Duplicates {
    count_max: usize,
    keep: Duration,
    seen: HashSet<Fingerprint>,
    order: VecDeque<(Duration, Fingerprint)>,
}

impl Default for Duplicates {
    /// 65,536 notifications for five hours: servers try for four.
    fn default() -> Self {
        Self::new(65_536, Duration::from_secs(5 * 3_600))
    }
}

impl Duplicates {
    /// Remembers at most `count_max` notifications, each for `keep`.
    pub fn new(count_max: usize, keep: Duration) -> Self {
        Self { count_max, keep, seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether this one has not been seen, which it has from now on. `now` is the time since any fixed moment, on a
    /// clock that does not run backwards. Ask once you are sure to handle it: whoever asks and then fails will take it
    /// for a duplicate when it comes again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tidings_receiver::{Duplicates, Receiver};
    ///
    /// # let receiver = Receiver::builder().client_state("s3cret").build()?;
    /// # let body = br#"{"value":[{"subscriptionId":"s","subscriptionExpirationDateTime":"","changeType":"created",
    /// #     "resource":"Users/u/Messages/m","clientState":"s3cret","id":"1"}]}"#;
    /// # let started = std::time::Instant::now();
    /// let mut duplicates = Duplicates::default();
    /// for _ in 0..2 {
    ///     let received = receiver.receive(body, std::time::SystemTime::now())?;
    ///     let new = received.notifications().filter(|notification| duplicates.is_new(notification, started.elapsed()));
    ///     println!("{} to handle", new.count()); // 1, then 0
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_new(&mut self, notification: &Notification, now: Duration) -> bool {
        let Some(fingerprint) = notification.fingerprint() else { return true };
        while self.order.front().is_some_and(|(seen, _)| now.saturating_sub(*seen) >= self.keep) {
            self.forget_oldest();
        }
        if !self.seen.insert(fingerprint) {
            return false;
        }
        self.order.push_back((now, fingerprint));
        if self.order.len() > self.count_max {
            self.forget_oldest();
        }
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((_, fingerprint)) = self.order.pop_front() {
            self.seen.remove(&fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{Lifecycle, LifecycleEvent};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn with_id(id: &str) -> Notification {
        Notification::Lifecycle(Lifecycle {
            event: LifecycleEvent::Missed,
            subscription_id: "s".into(),
            subscription_expires: String::new(),
            tenant_id: None,
            id: Some(id.into()),
        })
    }

    #[test]
    fn a_replayed_notification_is_a_duplicate_until_its_time_is_over() {
        let mut duplicates = Duplicates::new(10, HOUR);
        assert!(duplicates.is_new(&with_id("a"), HOUR));
        assert!(!duplicates.is_new(&with_id("a"), HOUR * 2 - Duration::from_nanos(1)));
        assert!(duplicates.is_new(&with_id("a"), HOUR * 2));
    }

    #[test]
    fn what_has_no_fingerprint_is_always_new() {
        let mut duplicates = Duplicates::default();
        let Notification::Lifecycle(lifecycle) = with_id("a") else { panic!() };
        let without = Notification::Lifecycle(Lifecycle { id: None, ..lifecycle });
        assert!(duplicates.is_new(&without, HOUR) && duplicates.is_new(&without, HOUR));
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_takes_no_more_room() {
        let mut duplicates = Duplicates::new(3, HOUR);
        for id in 0..100 {
            assert!(duplicates.is_new(&with_id(&id.to_string()), HOUR));
            assert!(duplicates.order.len() <= 3 && duplicates.seen.len() == duplicates.order.len());
        }
        assert!(!duplicates.is_new(&with_id("97"), HOUR) && duplicates.is_new(&with_id("96"), HOUR));
    }

    #[test]
    fn a_clock_that_runs_backwards_forgets_nothing_early() {
        let mut duplicates = Duplicates::new(3, HOUR);
        assert!(duplicates.is_new(&with_id("a"), HOUR * 5));
        assert!(!duplicates.is_new(&with_id("a"), HOUR));
    }
}
