//! Throttling: how much one app may ask in a span of time, and of one mailbox at a time. Fixed windows that
//! begin with their first request; time is an argument.

use std::collections::BTreeMap;

use graph::{AppId, TenantId, UserId};

use crate::Monotonic;

/// How many windows are remembered. With more callers than that, some windows begin anew.
const WINDOWS_MAX: usize = 100_000;
/// Ended windows are looked for at most this often, in microseconds.
const SWEEP_MICROS: u64 = 1_000_000;

/// A number of units in a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub units: u64,
    pub seconds: u32,
}

/// What an app may ask of subscriptions: over all tenants, and in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionRate {
    pub all_tenants: u64,
    pub one_tenant: u64,
}

/// The figures; each has its source in [`ThrottleLimits::documented`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Requests of one app, over all tenants.
    pub app: Rate,
    /// Requests of one app to one mailbox.
    pub mailbox: Rate,
    /// Requests of one app to one mailbox at a time.
    pub mailbox_at_a_time: u32,
    /// Bytes that one app sends to one mailbox.
    pub upload_bytes: Rate,
    /// The span of all rates of subscriptions.
    pub subscriptions_seconds: u32,
    pub subscription_writes: SubscriptionRate,
    pub subscription_reauthorizations: SubscriptionRate,
    pub subscription_reads: SubscriptionRate,
    pub subscription_lists: SubscriptionRate,
}

impl ThrottleLimits {
    /// Microsoft Graph's page on service-specific throttling limits, 2026-02.
    pub const fn documented() -> Self {
        Self {
            // "Any: 130,000 requests per 10 seconds, per app across all tenants".
            app: Rate { units: 130_000, seconds: 10 },
            // Outlook service limits: "10,000 API requests in a 10 minute period, 4 concurrent requests, 150 MB upload
            // (PATCH, POST, PUT) in a 5-minute period", for each app and mailbox.
            mailbox: Rate { units: 10_000, seconds: 600 },
            mailbox_at_a_time: 4,
            upload_bytes: Rate { units: 150 << 20, seconds: 300 },
            // Subscription service limits, per 20 seconds.
            subscriptions_seconds: 20,
            subscription_writes: SubscriptionRate { all_tenants: 2_000, one_tenant: 500 },
            subscription_reauthorizations: SubscriptionRate { all_tenants: 4_000, one_tenant: 1_000 },
            subscription_reads: SubscriptionRate { all_tenants: 2_000, one_tenant: 500 },
            subscription_lists: SubscriptionRate { all_tenants: 40, one_tenant: 25 },
        }
    }

    fn subscriptions(&self, operation: SubscriptionOperation) -> SubscriptionRate {
        match operation {
            SubscriptionOperation::Write => self.subscription_writes,
            SubscriptionOperation::Reauthorize => self.subscription_reauthorizations,
            SubscriptionOperation::Get => self.subscription_reads,
            SubscriptionOperation::List => self.subscription_lists,
        }
    }
}

/// What a request does to subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubscriptionOperation {
    Write,
    Reauthorize,
    Get,
    List,
}

/// A request as far as throttling looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub app: AppId,
    pub tenant: TenantId,
    /// The mailbox that it goes to.
    pub mailbox: Option<UserId>,
    pub subscriptions: Option<SubscriptionOperation>,
    pub upload_bytes: u64,
}

/// Why a request must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Throttled {
    /// Too many requests of the app to the mailbox are under way.
    #[error("the app has too many requests under way to the mailbox")]
    AtATime,
    #[error("the app has asked too much; it may ask again in {retry_after_seconds} seconds")]
    TooMany { retry_after_seconds: u32 },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meter {
    App(AppId),
    Mailbox(AppId, UserId),
    Upload(AppId, UserId),
    Subscriptions(AppId, Option<TenantId>, SubscriptionOperation),
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Monotonic,
    used: u64,
}

/// What has been asked lately, and what is under way.
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    windows: BTreeMap<Meter, Window>,
    under_way: BTreeMap<(AppId, UserId), u32>,
    swept: Monotonic,
}

impl Throttle {
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, windows: BTreeMap::new(), under_way: BTreeMap::new(), swept: Monotonic(0) }
    }

    /// Lets a request begin, or says why it must wait; one that waits counts nowhere. Each that begins must
    /// be given to [`Throttle::end`].
    pub fn begin(&mut self, demand: &Demand, now: Monotonic) -> Result<(), Throttled> {
        let meters = self.meters(demand);
        let waits = meters.iter().filter_map(|(meter, rate, units)| self.wait_seconds(*meter, *rate, *units, now));
        if let Some(retry_after_seconds) = waits.max() {
            return Err(Throttled::TooMany { retry_after_seconds });
        }
        if let Some(mailbox) = demand.mailbox {
            let running = self.under_way.entry((demand.app, mailbox)).or_default();
            if *running >= self.limits.mailbox_at_a_time {
                return Err(Throttled::AtATime);
            }
            *running += 1;
        }
        for (meter, rate, units) in meters {
            self.count(meter, rate, units, now);
        }
        Ok(())
    }

    /// A request that began is over.
    pub fn end(&mut self, demand: &Demand) {
        let Some(mailbox) = demand.mailbox else { return };
        let key = (demand.app, mailbox);
        let left = self.under_way.get(&key).map_or(0, |running| running.saturating_sub(1));
        match left {
            0 => drop(self.under_way.remove(&key)),
            left => drop(self.under_way.insert(key, left)),
        }
    }

    fn meters(&self, demand: &Demand) -> Vec<(Meter, Rate, u64)> {
        let (app, limits) = (demand.app, &self.limits);
        let mut meters = vec![(Meter::App(app), limits.app, 1)];
        if let Some(mailbox) = demand.mailbox {
            meters.push((Meter::Mailbox(app, mailbox), limits.mailbox, 1));
            if demand.upload_bytes > 0 {
                meters.push((Meter::Upload(app, mailbox), limits.upload_bytes, demand.upload_bytes));
            }
        }
        if let Some(operation) = demand.subscriptions {
            let rate = limits.subscriptions(operation);
            for (tenant, units) in [(None, rate.all_tenants), (Some(demand.tenant), rate.one_tenant)] {
                let meter = Meter::Subscriptions(app, tenant, operation);
                meters.push((meter, Rate { units, seconds: limits.subscriptions_seconds }, 1));
            }
        }
        meters
    }

    /// Until when a request must wait for a meter. The first of a window passes whatever it weighs, for it
    /// would never pass otherwise.
    fn wait_seconds(&self, meter: Meter, rate: Rate, units: u64, now: Monotonic) -> Option<u32> {
        let window = self.windows.get(&meter).filter(|window| now < window.ends)?;
        if window.used == 0 || window.used.saturating_add(units) <= rate.units {
            return None;
        }
        let seconds = (window.ends.0 - now.0).div_ceil(1_000_000);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
    }

    fn count(&mut self, meter: Meter, rate: Rate, units: u64, now: Monotonic) {
        if !self.windows.contains_key(&meter) && !self.make_room(now) {
            return;
        }
        let fresh = Window { ends: Monotonic(now.0.saturating_add(u64::from(rate.seconds) * 1_000_000)), used: 0 };
        let window = self.windows.entry(meter).or_insert(fresh);
        if now >= window.ends {
            *window = fresh;
        }
        window.used = window.used.saturating_add(units);
    }

    /// Forgets ended windows when there are too many. What finds no room is not counted.
    fn make_room(&mut self, now: Monotonic) -> bool {
        if self.windows.len() >= WINDOWS_MAX && now.0.saturating_sub(self.swept.0) >= SWEEP_MICROS {
            self.windows.retain(|_, window| now < window.ends);
            self.swept = now;
        }
        self.windows.len() < WINDOWS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const LIMITS: ThrottleLimits =
        ThrottleLimits { mailbox: Rate { units: 3, seconds: 600 }, ..ThrottleLimits::documented() };

    fn to(mailbox: u128) -> Demand {
        Demand {
            app: AppId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            mailbox: Some(UserId(Uuid::from_u128(mailbox))),
            subscriptions: None,
            upload_bytes: 0,
        }
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    fn pass(throttle: &mut Throttle, demand: &Demand, now: Monotonic) -> Result<(), Throttled> {
        throttle.begin(demand, now).map(|()| throttle.end(demand))
    }

    #[test]
    fn a_mailbox_is_closed_until_its_window_ends_and_others_stay_open() {
        let mut throttle = Throttle::new(LIMITS);
        for second in [5, 6, 7] {
            assert_eq!(pass(&mut throttle, &to(1), at(second)), Ok(()));
        }
        let closed = |seconds| Err(Throttled::TooMany { retry_after_seconds: seconds });
        assert_eq!(pass(&mut throttle, &to(1), at(8)), closed(597));
        assert_eq!(pass(&mut throttle, &to(2), at(8)), Ok(()));
        assert_eq!(pass(&mut throttle, &to(1), Monotonic(604_500_000)), closed(1));
        assert_eq!(pass(&mut throttle, &to(1), at(605)), Ok(()), "when the client was told to come again");
    }

    #[test]
    fn four_requests_at_a_time_go_to_a_mailbox_and_each_that_ends_makes_room() {
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        for _ in 0..4 {
            assert_eq!(throttle.begin(&to(1), at(0)), Ok(()));
        }
        assert_eq!(throttle.begin(&to(1), at(0)), Err(Throttled::AtATime));
        assert_eq!(throttle.begin(&to(2), at(0)), Ok(()));
        throttle.end(&to(1));
        assert_eq!(throttle.begin(&to(1), at(0)), Ok(()));
        for _ in 0..4 {
            throttle.end(&to(1));
        }
        throttle.end(&to(2));
        assert!(throttle.under_way.is_empty(), "nothing is remembered of what is over");
    }

    #[test]
    fn subscriptions_have_rates_for_each_operation() {
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        let operation = |operation| Demand { mailbox: None, subscriptions: Some(operation), ..to(1) };
        for (asked, passes) in [
            (SubscriptionOperation::List, 25),
            (SubscriptionOperation::Get, 500),
            (SubscriptionOperation::Write, 500),
            (SubscriptionOperation::Reauthorize, 1_000),
        ] {
            let passed = (0..2_000).take_while(|_| pass(&mut throttle, &operation(asked), at(1)).is_ok()).count();
            assert_eq!(passed, passes, "{asked:?}");
        }
        // Another tenant has its own share, within what the app has over all.
        let other = Demand { tenant: TenantId(Uuid::from_u128(3)), ..operation(SubscriptionOperation::List) };
        assert_eq!((0..100).take_while(|_| pass(&mut throttle, &other, at(1)).is_ok()).count(), 15);
        assert_eq!(pass(&mut throttle, &operation(SubscriptionOperation::List), at(21)), Ok(()));
    }

    #[test]
    fn what_an_app_asks_of_subscriptions_is_limited_over_all_tenants_too() {
        for (asked, passes) in [
            (SubscriptionOperation::List, 40),
            (SubscriptionOperation::Get, 2_000),
            (SubscriptionOperation::Write, 2_000),
            (SubscriptionOperation::Reauthorize, 4_000),
        ] {
            let mut throttle = Throttle::new(ThrottleLimits::documented());
            let of_tenant = |tenant| Demand {
                tenant: TenantId(Uuid::from_u128(tenant)),
                mailbox: None,
                subscriptions: Some(asked),
                ..to(1)
            };
            let passed =
                (0..5_000).filter(|n| pass(&mut throttle, &of_tenant(n % 100), Monotonic(1_000_000)).is_ok()).count();
            assert_eq!(passed, passes, "{asked:?}");
            assert_eq!(pass(&mut throttle, &of_tenant(7), at(20)), Err(Throttled::TooMany { retry_after_seconds: 1 }));
            assert_eq!(pass(&mut throttle, &of_tenant(7), at(21)), Ok(()));
            let other = Demand { app: AppId(Uuid::from_u128(9)), ..of_tenant(7) };
            assert_eq!(pass(&mut throttle, &other, at(20)), Ok(()), "another app");
        }
    }

    #[test]
    fn one_app_may_ask_a_mailbox_and_all_of_them_together_so_much() {
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        let passed = (0..10_001).filter(|_| pass(&mut throttle, &to(1), at(1)).is_ok()).count();
        assert_eq!(passed, 10_000);
        assert_eq!(pass(&mut throttle, &to(1), at(300)), Err(Throttled::TooMany { retry_after_seconds: 301 }));
        // Over all mailboxes and tenants.
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        let one = |n: u128| Demand { tenant: TenantId(Uuid::from_u128(n % 2)), ..to(n % 20) };
        let passed = (0..130_001).filter(|n| pass(&mut throttle, &one(*n), at(1)).is_ok()).count();
        assert_eq!(passed, 130_000);
        assert_eq!(pass(&mut throttle, &to(99), at(2)), Err(Throttled::TooMany { retry_after_seconds: 9 }));
        assert_eq!(pass(&mut throttle, &to(99), at(11)), Ok(()));
    }

    #[test]
    fn uploads_are_counted_by_their_bytes() {
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        let upload = |bytes| Demand { upload_bytes: bytes, ..to(1) };
        assert_eq!(pass(&mut throttle, &upload(200 << 20), at(0)), Ok(()), "one that is too large alone");
        let closed = Err(Throttled::TooMany { retry_after_seconds: 300 });
        assert_eq!(pass(&mut throttle, &upload(1), at(0)), closed);
        assert_eq!(pass(&mut throttle, &to(1), at(0)), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::new(ThrottleLimits::documented());
        for mailbox in 0..u128::try_from(WINDOWS_MAX).unwrap() + 10 {
            assert_eq!(pass(&mut throttle, &to(mailbox), at(2)), Ok(()));
        }
        assert_eq!(throttle.windows.len(), WINDOWS_MAX);
        assert_eq!(pass(&mut throttle, &to(u128::MAX), at(700)), Ok(()));
        assert!(throttle.windows.len() < 10, "ended windows are forgotten");
    }
}
