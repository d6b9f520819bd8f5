//! Faults on purpose, for tests of apps: which requests and notifications they strike, and what becomes of those. Chance
//! comes from each rule's seed alone, so the same requests are struck in every run.

use std::collections::HashSet;

use graph::{AppId, ChangeType, SubscriptionId, Timestamp};
use uuid::Uuid;

use crate::node::{Notification, Outcome};
use crate::{Record, StreamKind};

/// How many rules there are at most.
pub const RULES_MAX: usize = 100;
/// The longest delay: that of the longest wait for a retry.
pub const DELAY_MICROS_MAX: u64 = 600_000_000;
/// How many notifications one rule remembers to have delayed; more are not delayed.
const DELAYED_MAX: usize = 10_000;

/// What happens to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub selector: Selector,
    pub frequency: Frequency,
    pub action: Action,
}

/// Which notifications a rule is about. What is `None` selects all, but for dead letters: how these are kept is no part of
/// how events are pushed, and goes wrong by a rule alone that names them, by their URL or kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub subscription: Option<SubscriptionId>,
    pub app: Option<AppId>,
    /// How the URL begins that they go to.
    pub url: Option<String>,
    pub kind: Option<StreamKind>,
    /// As what the change is told.
    pub change: Option<ChangeType>,
    /// How the subscription's `resource` begins, in any case.
    pub resource: Option<String>,
}

/// Which of what it selects a rule strikes, and for how long; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequency {
    /// Each so-manieth; 1 or more.
    pub every: Option<u64>,
    /// So many of a hundred.
    pub percent: Option<u8>,
    /// What the chance of `percent` is drawn from.
    pub seed: u64,
    /// No more than so often.
    pub times: Option<u64>,
    pub until: Option<Timestamp>,
}

/// `Drop` strikes single notifications, all others whole requests in which one of what is selected goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is never sent, and counted as abandoned. An event that is pushed becomes a dead letter, if these are kept.
    Drop,
    /// The same request is made twice.
    Duplicate,
    /// It goes so much later, once.
    Delay { micros: u64 },
    /// The notifications of a request stand in the opposite order.
    Reverse,
    /// Nothing is sent; the endpoint counts as having done this.
    Fail(Outcome),
}

/// What becomes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The places of the notifications that are not in it.
    pub dropped: Vec<usize>,
    pub is_reversed: bool,
    pub is_doubled: bool,
    /// What it comes to without being made.
    pub instead: Option<Outcome>,
}

/// A rule that was added, and how often it struck.
#[derive(Clone, Debug)]
pub struct Kept {
    pub number: u32,
    pub rule: Rule,
    /// How many notifications or requests it was asked about.
    pub seen: u64,
    pub struck: u64,
    /// What it has delayed and was not asked about since.
    delayed: HashSet<Uuid>,
}

/// The rules, in the order in which they were added.
#[derive(Debug, Default)]
pub struct FaultRules {
    last: u32,
    rules: Vec<Kept>,
}

/// There is no room for another rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {RULES_MAX} rules already; remove some")]
pub struct TooMany;

impl FaultRules {
    /// Returns the new rule's number; none is used twice.
    pub fn add(&mut self, rule: Rule) -> Result<&Kept, TooMany> {
        if self.rules.len() >= RULES_MAX {
            return Err(TooMany);
        }
        self.last += 1;
        self.rules.push(Kept { number: self.last, rule, seen: 0, struck: 0, delayed: HashSet::new() });
        self.rules.last().ok_or(TooMany)
    }

    /// `false`: there is no such rule.
    pub fn remove(&mut self, number: u32) -> bool {
        let before = self.rules.len();
        self.rules.retain(|kept| kept.number != number);
        self.rules.len() < before
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    pub fn all(&self) -> &[Kept] {
        &self.rules
    }

    /// What becomes of a request to `url` that would carry `notifications` at `now`. Of several rules that would do
    /// without it the first counts, and strikes alone.
    pub fn plan(&mut self, url: &str, notifications: &[Notification], now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        for kept in &mut self.rules {
            if kept.rule.frequency.is_over(kept.struck, now) {
                continue;
            }
            let selected = |place: &usize| kept.rule.selector.selects(url, &notifications[*place]);
            let places = (0..notifications.len()).filter(|place| !plan.dropped.contains(place));
            let places: Vec<usize> = places.filter(selected).collect();
            match kept.rule.action {
                Action::Drop => plan.dropped.extend(places.into_iter().filter(|_| kept.strikes(now))),
                _ if places.is_empty() => {}
                Action::Duplicate => plan.is_doubled |= kept.strikes(now),
                Action::Reverse => plan.is_reversed |= kept.strikes(now),
                _ if plan.instead.is_some() => {}
                Action::Fail(outcome) => plan.instead = kept.strikes(now).then_some(outcome),
                Action::Delay { micros } => {
                    let ids = places.iter().map(|place| notifications[*place].id);
                    plan.instead = kept.delays(&ids.collect::<Vec<_>>(), now).then_some(Outcome::Delayed { micros });
                }
            }
        }
        plan
    }
}

impl Selector {
    fn selects(&self, url: &str, notification: &Notification) -> bool {
        let subscription = &notification.subscription;
        let kind = match notification.record.original() {
            _ if notification.given_up.is_some() => StreamKind::DeadLetters,
            Record::Event(_) => StreamKind::Changes,
            _ if notification.change.is_some() => StreamKind::Changes,
            _ => StreamKind::Lifecycle,
        };
        let names_dead_letters = self.url.is_some() || self.kind == Some(StreamKind::DeadLetters);
        if kind == StreamKind::DeadLetters && !names_dead_letters {
            return false;
        }
        let begins =
            |text: &str, with: &str| text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
        self.subscription.is_none_or(|id| id == subscription.id)
            && self.app.is_none_or(|app| app == subscription.app)
            && self.url.as_deref().is_none_or(|with| url_begins(url, with))
            && self.kind.is_none_or(|of| of == kind)
            && self.change.is_none_or(|change| notification.change == Some(change))
            && self
                .resource
                .as_deref()
                .is_none_or(|with| begins(subscription.resource.trim_start_matches('/'), with.trim_start_matches('/')))
    }
}

/// Whether a URL begins so; its scheme in any case.
fn url_begins(url: &str, with: &str) -> bool {
    let (scheme, rest) = with.split_at(with.find(':').unwrap_or(with.len()));
    let head = url.split_at_checked(scheme.len());
    head.is_some_and(|(head, tail)| head.eq_ignore_ascii_case(scheme) && tail.starts_with(rest))
}

impl Frequency {
    fn is_over(&self, struck: u64, now: Timestamp) -> bool {
        self.times.is_some_and(|times| struck >= times) || self.until.is_some_and(|until| now >= until)
    }

    /// Whether the `nth` (from 1) of what is selected is struck.
    fn strikes(&self, nth: u64) -> bool {
        let is_turn = self.every.is_none_or(|every| nth.is_multiple_of(every.max(1)));
        is_turn && self.percent.is_none_or(|percent| draw(self.seed, nth) % 100 < u64::from(percent))
    }
}

impl Kept {
    /// Counts one more of what is selected, and whether it is struck.
    fn strikes(&mut self, now: Timestamp) -> bool {
        if self.rule.frequency.is_over(self.struck, now) {
            return false;
        }
        self.seen += 1;
        let strikes = self.rule.frequency.strikes(self.seen);
        self.struck += u64::from(strikes);
        strikes
    }

    /// What comes again after its delay is let go.
    fn delays(&mut self, ids: &[Uuid], now: Timestamp) -> bool {
        let known = ids.iter().filter(|id| self.delayed.remove(id)).count();
        let delays = known < ids.len() && self.delayed.len() + ids.len() <= DELAYED_MAX && self.strikes(now);
        if delays {
            self.delayed.extend(ids);
        }
        delays
    }
}

/// The `nth` number that follows from `seed` (SplitMix64).
fn draw(seed: u64, nth: u64) -> u64 {
    let mut mixed = seed.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
