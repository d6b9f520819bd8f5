//! Topics of the model: their events, which are records of the log, and what is pulled.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp, TopicId};
use notify::checkpoint::SubscriptionSpan;
use notify::log::{EndReason, SubscriptionEvent};
use notify::reauthorization::Standing;
use notify::topic::{CloudEvent, EventCounts, Hold, Next, Pending, Queue, Settled};
use notify::{EventSubscription, Position, Record, Subscription, Topic, TopicEvent};

use super::Model;
use super::model::Shard;
use crate::EndedPushing;
use crate::topic::{CONSIDERED_MAX, Lock, NOT_PULLED, Pushing, event_key, put_in_place};
use crate::{
    DeadLetter, EventSubscriptionError, EventSubscriptionKey, Generation, LockedEvent, Namesake, PublishError,
    PullError, Put, READ_BYTES_MAX, Received, Settle, StoreError, TokenFailure, TopicCounts, TopicError, TopicQuery,
};

/// It is never put back.
const GENERATION: Generation = Generation(0);

/// A topic with all that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    topic: Arc<Topic>,
    dropped: u64,
    /// The events that are kept.
    events: BTreeMap<Position, [u8; 16]>,
    /// By name in lower case.
    subscriptions: BTreeMap<String, Pulled>,
}

/// An event subscription and how far it has come.
#[derive(Clone, Debug)]
struct Pulled {
    subscription: Arc<EventSubscription>,
    /// [`NOT_PULLED`] while its events go elsewhere.
    cursor: Position,
    counts: EventCounts,
    pending: BTreeMap<Position, Pending>,
}

/// Topics.
impl Model {
    pub fn open_topic(
        &mut self,
        wanted: Arc<Topic>,
        of_app_max: u64,
        now: Timestamp,
    ) -> Result<Arc<Topic>, TopicError> {
        let met = self.topics.values().map(|one| &one.topic).find(|topic| topic.meets(&wanted.place));
        let opened = match met {
            Some(topic) => Arc::new(topic.opened_as(&wanted, now)?),
            None => Arc::clone(&wanted),
        };
        let known = met.map(|topic| topic.apps.clone()).unwrap_or_default();
        for app in opened.apps.difference(&known) {
            let of_app = |one: &&Topics| one.topic.tenant == opened.tenant && one.topic.apps.contains(app);
            let topics = self.topics.values().filter(of_app).count() as u64;
            if topics >= of_app_max {
                return Err(TopicError::TooMany(topics));
            }
        }
        self.counters.commits += 1;
        let id = opened.id;
        match self.topics.get_mut(&id) {
            Some(one) => one.topic = Arc::clone(&opened),
            None => {
                let (events, subscriptions) = (BTreeMap::new(), BTreeMap::new());
                let topic = Arc::clone(&opened);
                self.topics.insert(id, Topics { topic, dropped: 0, events, subscriptions });
            }
        }
        if known != opened.apps {
            self.push_for(&opened);
        }
        Ok(opened)
    }

    /// What pushes the events of a topic is its app's: of the first that asks for it, if an operator made both.
    fn push_for(&mut self, topic: &Topic) {
        let of_topic = self.topics.get(&topic.id).map(|one| one.subscriptions.values()).into_iter().flatten();
        let mut pushed: Vec<_> = of_topic.filter_map(|kept| self.pushes(&kept.subscription)).collect();
        pushed.sort_by_key(|pushed| pushed.id);
        for pushed in pushed {
            let next = self.shard(topic.partition()).head().next();
            if let Some(pushing) = Pushing::of_topic(&pushed, topic, next) {
                self.change_pushing(topic.partition(), pushing);
            }
        }
    }

    pub fn topic(&self, id: TopicId) -> Result<Option<Arc<Topic>>, StoreError> {
        Ok(self.topics.get(&id).map(|one| Arc::clone(&one.topic)))
    }

    pub fn topics(&self, query: TopicQuery) -> Result<Vec<Arc<Topic>>, StoreError> {
        let asked = self.topics.values().map(|one| &one.topic).filter(|topic| query.asks_for(topic));
        Ok(asked.take(usize::try_from(query.limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    pub fn replace_topic(&mut self, before: Arc<Topic>, after: Arc<Topic>) -> Result<(), TopicError> {
        debug_assert!(before.is_the_same_as(&after), "a topic keeps id, tenant and place");
        let one = self.topics.get_mut(&before.id).ok_or(TopicError::NotFound)?;
        if one.topic != before {
            return Err(TopicError::Changed);
        }
        one.topic = after;
        self.counters.commits += 1;
        Ok(())
    }

    pub fn remove_topic(&mut self, id: TopicId) -> Result<Vec<EndedPushing>, TopicError> {
        let removed = self.topics.remove(&id).ok_or(TopicError::NotFound)?;
        self.counters.commits += 1;
        let pushed = removed.subscriptions.values().filter_map(|kept| self.pushes(&kept.subscription));
        let mut pushed: Vec<_> = pushed.map(|pushed| pushed.id).collect();
        pushed.sort();
        Ok(self.end_pushing(Partition::of(id), pushed))
    }

    pub fn topic_counts(&self, id: TopicId) -> Result<Option<TopicCounts>, StoreError> {
        let counts = |one: &Topics| TopicCounts { events: one.events.len() as u64, dropped: one.dropped };
        Ok(self.topics.get(&id).map(counts))
    }

    pub fn publish(
        &mut self,
        topic: TopicId,
        events: Vec<CloudEvent>,
        now: Timestamp,
    ) -> Result<Vec<Option<Position>>, PublishError> {
        let mut next = self.shard(Partition::of(topic)).head().next();
        let one = self.topics.get_mut(&topic).ok_or(PublishError::NoTopic)?;
        if !one.topic.takes_events() {
            one.dropped += events.len() as u64;
            self.counters.commits += 1;
            return Ok(vec![None; events.len()]);
        }
        let (mut answers, mut records) = (Vec::new(), Vec::new());
        for event in events {
            let key = event_key(&event);
            let known = one.events.iter().find(|(_, other)| **other == key).map(|(position, _)| *position);
            if known.is_none() {
                one.events.insert(next, key);
                records.push(Record::Event(Arc::new(TopicEvent::new(topic, now, event))));
            }
            answers.push(Some(known.unwrap_or(next)));
            next = if known.is_none() { next.next() } else { next };
        }
        if !records.is_empty() {
            self.append(Partition::of(topic), records);
        }
        Ok(answers)
    }

    pub fn topic_events(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<TopicEvent>)>, StoreError> {
        let Some(one) = self.topics.get(&topic) else { return Ok(Vec::new()) };
        let shard = self.shard(Partition::of(topic));
        let kept = one.events.range(after.next()..).map(|(position, _)| (*position, shard.event(*position)));
        Ok(up_to_a_limit(kept, limit, |(_, event)| event))
    }

    pub fn forget_events(&mut self, topic: TopicId, published_before: Timestamp, most: u64) -> Result<u64, StoreError> {
        let Some(one) = self.topics.get(&topic) else { return Ok(0) };
        let shard = self.shard(Partition::of(topic));
        let oldest = one.events.keys().copied().take(usize::try_from(most).unwrap_or(usize::MAX));
        let is_old = |position: &Position| shard.event(*position).published < published_before;
        let gone: Vec<_> = oldest.take_while(is_old).collect();
        let Some(one) = self.topics.get_mut(&topic) else { return Ok(0) };
        for position in &gone {
            one.events.remove(position);
            for pulled in one.subscriptions.values_mut() {
                pulled.forget(*position);
            }
        }
        self.counters.commits += u64::from(!gone.is_empty());
        Ok(gone.len() as u64)
    }
}

/// Event subscriptions and pull.
impl Model {
    pub fn put_event_subscription(
        &mut self,
        before: Namesake,
        wanted: Arc<EventSubscription>,
        of_topic_max: u64,
    ) -> Result<Put, EventSubscriptionError> {
        let (topic, partition) = (wanted.topic, Partition::of(wanted.topic));
        let one = self.topics.get(&topic).ok_or(EventSubscriptionError::NoTopic)?;
        let key = EventSubscriptionKey::new(topic, &wanted.name);
        if !before.is(one.subscriptions.get(&key.folded()).map(|kept| &*kept.subscription)) {
            return Err(EventSubscriptionError::Changed);
        }
        let (standing, next) = (before.standing(), self.shard(partition).head().next());
        let pushed = standing.and_then(|standing| self.pushes(standing));
        let after = Arc::new(put_in_place(&wanted, standing.map(|standing| &**standing), pushed.as_deref()));
        let pushing = Pushing::of(pushed.as_deref(), one.topic.pushed(&after), next);
        let (is_new, count) = (before == Namesake::None, one.subscriptions.len() as u64);
        if is_new && count >= of_topic_max {
            return Err(EventSubscriptionError::TooMany(count));
        }
        if let Pushing::Begins(new) = &pushing
            && self.subscriptions.contains_key(&new.id)
        {
            return Err(EventSubscriptionError::Changed);
        }
        let over = matches!(before, Namesake::Over(_)).then(|| self.take_away(&key)).flatten().flatten();
        let head = self.shard(partition).head();
        let one = self.topics.get_mut(&topic).ok_or(EventSubscriptionError::NoTopic)?;
        let (events, kept) = (&one.events, one.subscriptions.entry(key.folded()));
        let kept = kept.or_insert_with(|| Pulled::new(Arc::clone(&after), head));
        kept.put(Arc::clone(&after), events, head);
        self.counters.commits += 1;
        let (ended, patched) = self.change_pushing(partition, pushing);
        self.resume_pushing(partition, &after);
        Ok(Put { stands: after, is_new, ended: over.or(ended), patched })
    }

    /// The live subscription that pushes its events.
    fn pushes(&self, subscription: &EventSubscription) -> Option<Arc<Subscription>> {
        let span = self.subscriptions.get(&subscription.id?).filter(|span| span.ended.is_none())?;
        Some(Arc::clone(&span.subscription))
    }

    /// What has ended by it, or where it is said that it goes on as another.
    fn change_pushing(&mut self, partition: Partition, pushing: Pushing) -> (Option<EndedPushing>, Option<Position>) {
        let told = |new: &Arc<Subscription>| Box::new(Subscription::clone(new));
        match pushing {
            Pushing::Unchanged => (None, None),
            Pushing::Begins(new) => {
                let (id, event) = (new.id, SubscriptionEvent::Began(told(&new)));
                let began = self.append(partition, vec![Record::Subscription { id, event }]).position;
                let standing = Standing::default();
                let span = SubscriptionSpan { subscription: new, began, ended: None, standing, incident: None };
                self.subscriptions.insert(id, span);
                (None, None)
            }
            Pushing::Changes(new) => {
                let (id, event) = (new.id, SubscriptionEvent::Patched(told(&new)));
                let patched = self.append(partition, vec![Record::Subscription { id, event }]).position;
                self.subscriptions.entry(id).and_modify(|span| span.subscription = new);
                (None, Some(patched))
            }
            Pushing::Ends(id) => (self.end_pushing(partition, vec![id]).pop(), None),
        }
    }

    /// Whoever puts an event subscription again wants its events, even if its endpoint wanted no more.
    fn resume_pushing(&mut self, partition: Partition, put: &EventSubscription) {
        let Some(pushes) = self.pushes(put) else { return };
        let is_paused = self.subscriptions.get(&pushes.id).is_some_and(|span| span.standing.is_paused());
        if is_paused {
            let (id, event) = (pushes.id, SubscriptionEvent::Resumed);
            let resumed = self.append(partition, vec![Record::Subscription { id, event }]).position;
            self.subscriptions.entry(id).and_modify(|span| span.standing.resume(resumed));
        }
    }

    /// Ends these, which live, together.
    fn end_pushing(&mut self, partition: Partition, ids: Vec<SubscriptionId>) -> Vec<EndedPushing> {
        let mut head = self.shard(partition).head();
        let event = || SubscriptionEvent::Ended(EndReason::Deleted);
        if !ids.is_empty() {
            self.append(partition, ids.iter().map(|id| Record::Subscription { id: *id, event: event() }).collect());
        }
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            head = head.next();
            self.subscriptions.entry(id).and_modify(|span| (span.ended, span.incident) = (Some(head), None));
            ended.push((id, head));
        }
        ended
    }

    pub fn event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<(Arc<EventSubscription>, EventCounts)>, StoreError> {
        let pulled = self.topics.get(&key.topic).and_then(|one| one.subscriptions.get(&key.folded()));
        Ok(pulled.map(|pulled| (Arc::clone(&pulled.subscription), pulled.counts)))
    }

    pub fn event_subscriptions(&self, topic: TopicId) -> Result<Vec<Arc<EventSubscription>>, StoreError> {
        let of = |one: &Topics| one.subscriptions.values().map(|pulled| Arc::clone(&pulled.subscription)).collect();
        Ok(self.topics.get(&topic).map(of).unwrap_or_default())
    }

    pub fn remove_event_subscription(
        &mut self,
        key: EventSubscriptionKey,
    ) -> Result<Option<Option<EndedPushing>>, StoreError> {
        let removed = self.take_away(&key);
        self.counters.commits += u64::from(removed.is_some());
        Ok(removed)
    }

    fn take_away(&mut self, key: &EventSubscriptionKey) -> Option<Option<EndedPushing>> {
        let removed = self.topics.get_mut(&key.topic)?.subscriptions.remove(&key.folded())?;
        let pushed = self.pushes(&removed.subscription).map(|pushed| pushed.id);
        Some(self.end_pushing(Partition::of(key.topic), pushed.into_iter().collect()).pop())
    }

    pub fn receive(&mut self, key: EventSubscriptionKey, most: usize, now: Timestamp) -> Result<Received, PullError> {
        let (shard, kept, pulled, queue) = self.pulled(&key, now)?;
        let mut due: Vec<_> = pulled.pending.iter().filter_map(|(at, one)| Some((one.due()?, *at))).collect();
        due.retain(|(due, _)| *due <= now);
        due.sort();
        let due = due.into_iter().map(|(_, position)| position).collect::<Vec<_>>();
        let unread: Vec<_> = kept.range(pulled.cursor.next()..).map(|(position, _)| *position).collect();
        let mut received = Received::default();
        let (mut considered, mut bytes) = (0, 0);
        for position in due.into_iter().chain(unread) {
            if received.events.len() == most || considered == CONSIDERED_MAX || bytes > READ_BYTES_MAX {
                received.more = true;
                break;
            }
            let event = shard.event(position);
            considered += 1;
            bytes += event.event.to_json().len();
            if let Some(delivery_count) = pulled.receive_one(&queue, position, &event, now) {
                let lock = Lock { position, delivery_count };
                let lock_token = lock.token(&pulled.subscription.lock_key, GENERATION);
                received.events.push(LockedEvent { lock_token, delivery_count, event });
            }
        }
        received.due = pulled.pending.values().filter_map(Pending::due).min();
        self.counters.commits += u64::from(considered > 0);
        Ok(received)
    }

    pub fn settle(
        &mut self,
        key: EventSubscriptionKey,
        settle: Settle,
    ) -> Result<Vec<Result<(), TokenFailure>>, PullError> {
        let (shard, _, pulled, queue) = self.pulled(&key, settle.now)?;
        let mut answers = Vec::with_capacity(settle.tokens.len());
        for token in &settle.tokens {
            answers.push(pulled.settle_one(shard, &queue, token, &settle));
        }
        self.counters.commits += u64::from(answers.iter().any(Result::is_ok));
        Ok(answers)
    }

    pub fn dead_letters(
        &self,
        key: EventSubscriptionKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let pulled = self.topics.get(&key.topic).and_then(|one| one.subscriptions.get(&key.folded()));
        let Some(pulled) = pulled else { return Ok(Vec::new()) };
        let shard = self.shard(Partition::of(key.topic));
        let dead = pulled.pending.range(after.next()..).filter_map(|(position, pending)| {
            let Hold::DeadLettered { reason, at } = pending.hold else { return None };
            let (position, delivery_count) = (*position, pending.delivery_count);
            Some(DeadLetter { position, event: shard.event(position), reason, delivery_count, at })
        });
        Ok(up_to_a_limit(dead, limit, |dead| &dead.event))
    }

    /// What a queue is pulled by: the log, the events that its topic keeps, how far it has come, and its rules.
    #[expect(clippy::type_complexity, reason = "parts of one value, borrowed apart")]
    fn pulled(
        &mut self,
        key: &EventSubscriptionKey,
        now: Timestamp,
    ) -> Result<(&Shard, &BTreeMap<Position, [u8; 16]>, &mut Pulled, Queue), PullError> {
        let one = self.topics.get_mut(&key.topic).ok_or(PullError::NotFound)?;
        let pulled = one.subscriptions.get_mut(&key.folded()).ok_or(PullError::NotFound)?;
        if pulled.subscription.is_over(now) {
            return Err(PullError::NotFound);
        }
        let queue = *pulled.subscription.queue().ok_or(PullError::NotAQueue)?;
        Ok((&self.partitions[usize::from(Partition::of(key.topic).0)], &one.events, pulled, queue))
    }

    /// The oldest event that a topic of a partition keeps.
    pub(super) fn oldest_event(&self, partition: Partition) -> Option<Position> {
        let here = self.topics.values().filter(|one| one.topic.partition() == partition);
        here.filter_map(|one| one.events.keys().next()).min().copied()
    }
}

impl Pulled {
    fn new(subscription: Arc<EventSubscription>, head: Position) -> Self {
        let cursor = if subscription.queue().is_some() { head } else { NOT_PULLED };
        Self { subscription, cursor, counts: EventCounts::default(), pending: BTreeMap::new() }
    }

    /// Takes the place of what was under its name.
    fn put(&mut self, after: Arc<EventSubscription>, events: &BTreeMap<Position, [u8; 16]>, head: Position) {
        let (was_pulled, is_pulled) = (self.cursor != NOT_PULLED, after.queue().is_some());
        self.subscription = after;
        if was_pulled && !is_pulled {
            let (cursor, before) = (self.cursor, self.pending.len());
            self.counts.unread += events.range(cursor.next()..).count() as u64;
            self.pending.retain(|_, pending| pending.due().is_none());
            self.counts.dropped += (before - self.pending.len()) as u64;
            self.cursor = NOT_PULLED;
        }
        if !was_pulled && is_pulled {
            self.cursor = head;
        }
    }

    /// Which receive of the event this is, if it is received.
    fn receive_one(&mut self, queue: &Queue, position: Position, event: &TopicEvent, now: Timestamp) -> Option<u32> {
        let pending = self.pending.get(&position).copied();
        if pending.is_none() {
            self.cursor = position;
            if !self.subscription.wants(&event.event) {
                return None;
            }
            self.counts.matched += 1;
        }
        match queue.receive(pending.as_ref(), event.published, now) {
            Next::Received(pending) => {
                self.pending.insert(position, pending);
                Some(pending.delivery_count)
            }
            Next::Over(reason) => {
                self.lay_aside(position, queue.laid_aside(pending.as_ref(), reason, now));
                None
            }
        }
    }

    fn settle_one(&mut self, shard: &Shard, queue: &Queue, token: &str, by: &Settle) -> Result<(), TokenFailure> {
        let lock = Lock::read(token, &self.subscription.lock_key, GENERATION).ok_or(TokenFailure::Bad)?;
        let position = lock.position;
        let pending = self.pending.get(&position).copied().ok_or(TokenFailure::Lost)?;
        let published = shard.event(position).published;
        let settled = queue.settle(&pending, lock.delivery_count, by.how, published, by.now);
        match settled.map_err(|_| TokenFailure::Lost)? {
            Settled::Acknowledged => {
                self.pending.remove(&position);
                self.counts.acknowledged += 1;
            }
            Settled::Pending(pending) => {
                self.pending.insert(position, pending);
            }
            Settled::Over(reason) => self.lay_aside(position, queue.laid_aside(Some(&pending), reason, by.now)),
        }
        Ok(())
    }

    fn lay_aside(&mut self, position: Position, left: Option<Pending>) {
        match left {
            Some(left) => {
                self.pending.insert(position, left);
                self.counts.dead_lettered += 1;
            }
            None => {
                self.pending.remove(&position);
                self.counts.dropped += 1;
            }
        }
    }

    fn forget(&mut self, position: Position) {
        if self.cursor < position {
            self.cursor = position;
            self.counts.unread += 1;
        }
        let pending = self.pending.remove(&position);
        self.counts.dropped += u64::from(pending.is_some_and(|pending| pending.due().is_some()));
    }
}

impl Shard {
    /// An event that a topic keeps: the floor does not pass it.
    fn event(&self, position: Position) -> Arc<TopicEvent> {
        let index = usize::try_from(position.0 - self.cut - 1).unwrap_or(usize::MAX);
        match &*self.log[index] {
            Record::Event(event) => Arc::clone(event),
            record => unreachable!("{position} is no event: {record:?}"),
        }
    }
}

/// The first of them, until one makes it longer than is read at once.
fn up_to_a_limit<T>(all: impl Iterator<Item = T>, limit: usize, event: impl Fn(&T) -> &Arc<TopicEvent>) -> Vec<T> {
    let mut bytes = 0;
    let has_room = |one: &T| {
        let has_room = bytes <= READ_BYTES_MAX;
        bytes += event(one).event.to_json().len();
        has_room
    };
    all.take(limit).take_while(has_room).collect()
}
