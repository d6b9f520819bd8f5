//! Calls of topics, by small numbers too: they lie in the partitions of Megan and Adele, under ids that no mailbox has.

use std::sync::Arc;

use graph::{Partition, TopicId, UserId};
use notify::Position;
use notify::log::EndReason;
use notify::topic::{Activation, Destination, EventSubscription, Filter, Queue, Settlement, Topic};
use proptest::prelude::*;
use tidings_store::{EventSubscriptionKey, Namesake, Settle, Store, TopicQuery};
use uuid::Uuid;

use super::{Pair, same};
use crate::support::{self, *};

/// The numbers of subscriptions that push; no other has one of them.
const PUSHED: std::ops::Range<u128> = 90..98;
const NAMES: [&str; 3] = ["one", "TWO", "three"];

/// How a caller finds what has a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    AsItIs,
    Over,
    Stale,
}

#[derive(Clone, Debug)]
pub(super) enum TopicCall {
    Open {
        topic: u128,
        app: Option<u128>,
        elsewhere: bool,
        now: i64,
    },
    Activate {
        topic: u128,
        active: bool,
        stale: bool,
    },
    Remove {
        topic: u128,
    },
    Publish {
        topic: u128,
        events: Vec<u128>,
    },
    Forget {
        topic: u128,
        before: i64,
        most: u64,
    },
    Put {
        topic: u128,
        name: usize,
        only_even: bool,
        count_max: u32,
        keeps: bool,
        expires: Option<i64>,
        found: How,
    },
    PutPushed {
        topic: u128,
        name: usize,
        only_even: bool,
        number: u128,
        path: u8,
        found: How,
    },
    /// What pushes has expired.
    EndPushed {
        number: u128,
    },
    RemovePut {
        topic: u128,
        name: usize,
    },
    Receive {
        topic: u128,
        name: usize,
        most: usize,
        wait: i64,
    },
    Settle {
        topic: u128,
        name: usize,
        tokens: Vec<usize>,
        how: usize,
        wait: i64,
    },
}

pub(super) fn call() -> impl Strategy<Value = TopicCall> {
    let (topic, name) = (|| 1..3u128, || 0..NAMES.len());
    let (wait, rarely) =
        (|| prop_oneof![4 => 0..20i64, 1 => Just(70i64), 1 => Just(400i64)], || proptest::bool::weighted(0.1));
    let found = || prop_oneof![8 => Just(How::AsItIs), 2 => Just(How::Over), 1 => Just(How::Stale)];
    prop_oneof![
        4 => (1..5u128, proptest::option::of(0..2u128), rarely(), 0..2i64)
            .prop_map(|(topic, app, elsewhere, now)| TopicCall::Open { topic, app, elsewhere, now }),
        1 => (topic(), proptest::bool::weighted(0.7), rarely())
            .prop_map(|(topic, active, stale)| TopicCall::Activate { topic, active, stale }),
        1 => (topic(), rarely()).prop_map(|(topic, surely)| TopicCall::Remove { topic: if surely { topic } else { 9 } }),
        6 => (topic(), proptest::collection::vec(0..40u128, 0..6))
            .prop_map(|(topic, events)| TopicCall::Publish { topic, events }),
        1 => (topic(), 0..60i64, 1..9u64).prop_map(|(topic, before, most)| TopicCall::Forget { topic, before, most }),
        4 => (topic(), name(), any::<bool>(), 1..4u32, any::<bool>(), proptest::option::of(0..2_000i64), found())
            .prop_map(|(topic, name, only_even, count_max, keeps, expires, found)| {
                let expires = expires.filter(|_| keeps);
                TopicCall::Put { topic, name, only_even, count_max, keeps, expires, found }
            }),
        4 => (topic(), name(), any::<bool>(), PUSHED, 0..3u8, found()).prop_map(
            |(topic, name, only_even, number, path, found)| {
                TopicCall::PutPushed { topic, name, only_even, number, path, found }
            }
        ),
        1 => PUSHED.prop_map(|number| TopicCall::EndPushed { number }),
        1 => (topic(), name()).prop_map(|(topic, name)| TopicCall::RemovePut { topic, name }),
        6 => (topic(), name(), 0..6usize, wait())
            .prop_map(|(topic, name, most, wait)| TopicCall::Receive { topic, name, most, wait }),
        6 => (topic(), name(), proptest::collection::vec(0..8usize, 0..5), 0..5usize, wait())
            .prop_map(|(topic, name, tokens, how, wait)| TopicCall::Settle { topic, name, tokens, how, wait }),
    ]
}

/// In the partition of the mailbox whose id is this number.
fn topic(number: u128) -> Topic {
    let id = TopicId(Uuid::from_u128(number << 96));
    assert_eq!(Partition::of(id), Partition::of(UserId(Uuid::from_u128(number))));
    Topic { id, ..support::topic(number) }
}

fn key(number: u128, name: usize) -> EventSubscriptionKey {
    EventSubscriptionKey::new(topic(number).id, NAMES[name])
}

fn put(number: u128, name: usize, only_even: bool, queue: Queue) -> EventSubscription {
    let mut written = queue_of(&topic(number), "any").filter.written().clone();
    written.included_event_types = only_even.then(|| vec!["even".to_owned()]);
    EventSubscription {
        filter: Filter::try_from(written).unwrap(),
        destination: Destination::Queue(queue),
        ..queue_of(&topic(number), NAMES[name])
    }
}

impl Pair {
    /// Time passes with some of these calls.
    pub(super) async fn call_topic(&mut self, call: TopicCall) -> Result<(), TestCaseError> {
        match call {
            TopicCall::Open { topic: number, app, elsewhere, now } => {
                let mut wanted = topic(number % 3 + 1);
                wanted.id = topic(number).id;
                if elsewhere {
                    wanted.place.location = "northeurope".to_owned();
                }
                let wanted = app.map_or_else(|| Arc::new(wanted.clone()), |app| opened_by(app, 1, wanted.clone()));
                let now = at(now * 40 * 86_400);
                both!(self, open_topic(wanted, 1, now)).ok();
            }
            TopicCall::Activate { topic: number, active, stale } => {
                let found = both!(self, topic(topic(number).id)).unwrap().unwrap_or_else(|| Arc::new(topic(number)));
                let activation = if active { Activation::Activated } else { Activation::Deactivated };
                let after = Arc::new(Topic { activation, ..Topic::clone(&found) });
                let before = Arc::new(Topic { created: at(i64::from(stale)), ..Topic::clone(&found) });
                both!(self, replace_topic(before, after)).ok();
            }
            TopicCall::Remove { topic: number } => {
                both!(self, remove_topic(topic(number).id)).ok();
            }
            TopicCall::Publish { topic: number, events } => {
                let events: Vec<_> = events.into_iter().map(event).collect();
                both!(self, publish(topic(number).id, events, at(self.now))).ok();
            }
            TopicCall::Forget { topic: number, before, most } => {
                both!(self, forget_events(topic(number).id, at(self.now - before), most)).unwrap();
            }
            TopicCall::Put { topic, name, only_even, count_max, keeps, expires, found } => {
                let queue = Queue {
                    delivery_count_max: count_max,
                    keeps_dead_letters: keeps,
                    time_to_live_seconds: 300,
                    ..Queue::default()
                };
                let new = EventSubscription { expires: expires.map(at), ..put(topic, name, only_even, queue) };
                self.put_event_subscription(new, found).await?;
            }
            TopicCall::PutPushed { topic: of, name, only_even, number, path, found } => {
                let filter = put(of, name, only_even, Queue::default()).filter;
                let pushed = pushed_to(&topic(of), NAMES[name], &format!("/{path}"), number);
                self.put_event_subscription(EventSubscription { filter, ..pushed }, found).await?;
            }
            TopicCall::EndPushed { number } => {
                both!(self, end_subscription(subscription_id(number), EndReason::Expired, None)).ok();
            }
            TopicCall::RemovePut { topic, name } => {
                both!(self, remove_event_subscription(key(topic, name))).unwrap();
            }
            TopicCall::Receive { topic, name, most, wait } => {
                self.now += wait;
                let received = both!(self, receive(key(topic, name), most, at(self.now)));
                let tokens = received.iter().flat_map(|received| &received.events).map(|one| one.lock_token.clone());
                self.tokens.extend(tokens);
            }
            TopicCall::Settle { topic, name, tokens, how, wait } => {
                self.now += wait;
                let how = match how {
                    0 => Settlement::Acknowledge,
                    1 => Settlement::Release { delay_seconds: 0 },
                    2 => Settlement::Release { delay_seconds: 60 },
                    3 => Settlement::Reject,
                    _ => Settlement::RenewLock,
                };
                let token = |back: usize| self.tokens.iter().rev().nth(back).cloned().unwrap_or_default();
                let tokens = tokens.into_iter().map(token).collect();
                let settle = Settle { tokens, how, now: at(self.now) };
                both!(self, settle(key(topic, name), settle)).ok();
            }
        }
        Ok(())
    }

    async fn put_event_subscription(&mut self, new: EventSubscription, how: How) -> Result<(), TestCaseError> {
        let key = EventSubscriptionKey::new(new.topic, &new.name);
        let found = both!(self, event_subscription(key)).unwrap().map(|(found, _)| found);
        let new = Arc::new(new);
        let before = match (found, how) {
            (None, How::AsItIs | How::Over) | (Some(_), How::Stale) => Namesake::None,
            (None, How::Stale) => Namesake::Standing(new.clone()),
            (Some(found), How::AsItIs) => Namesake::Standing(found),
            (Some(found), How::Over) => Namesake::Over(found),
        };
        both!(self, put_event_subscription(before, new, 2)).ok();
        Ok(())
    }

    pub(super) async fn compare_topics(&mut self) -> Result<(), TestCaseError> {
        both!(self, topics(TopicQuery { limit: 10, ..TopicQuery::default() })).unwrap();
        for number in PUSHED {
            both!(self, subscription(subscription_id(number))).unwrap();
            both!(self, standing(subscription_id(number))).unwrap();
        }
        for number in 1..5 {
            let id = topic(number).id;
            both!(self, topic_counts(id)).unwrap();
            both!(self, topic_events(id, Position(0), 100)).unwrap();
            for subscription in both!(self, event_subscriptions(id)).unwrap() {
                let key = EventSubscriptionKey::new(id, &subscription.name);
                let kept = both!(self, event_subscription(key)).unwrap();
                let letters = both!(self, dead_letters(key, Position(0), 100)).unwrap();
                prop_assert!(kept.is_some_and(|(_, counts)| counts.dead_lettered >= letters.len() as u64));
            }
        }
        Ok(())
    }
}
