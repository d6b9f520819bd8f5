//! The subscriptions of a partition: the stretch of the log in which each lives, and which of them hear of a
//! change. What a change costs depends on the subscriptions of its mailbox, or of the places where a resource is
//! heard of, not on how many there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use graph::refinement::Condition;
use graph::registry::Ingested;
use graph::{Change, ChangeType, Scope, SubscriptionId, TopicId, UserId};

use super::Steady;
use crate::checkpoint::{Stream, StreamKind, SubscriptionSpan};
use crate::event_filter::EventView;
use crate::reauthorization::Standing;
use crate::subscription::{Target, Watched};
use crate::transition::Sight;
use crate::{EndpointId, Interest, Position, Record, ResourceInterest, Subscription, SubscriptionEvent, TopicEvent};

/// A subscription and the stretch of the log in which it lives.
#[derive(Debug)]
pub(crate) struct Span {
    pub subscription: Arc<Subscription>,
    pub began: Position,
    pub ended: Option<Position>,
    /// A command that takes the next step in its life is under way.
    pub stepping: bool,
}

impl Span {
    pub fn hears(&self, position: Position) -> bool {
        self.began < position && self.ended.is_none_or(|ended| position < ended)
    }
}

/// A subscription as its mailbox knows it: most are passed over without being looked at.
#[derive(Debug)]
struct Watcher {
    id: SubscriptionId,
    interest: Interest,
}

/// A subscription as a place knows it: it may watch several.
type PlaceWatcher = (SubscriptionId, Arc<ResourceInterest>);

#[derive(Debug, Default)]
pub(crate) struct Spans {
    by_id: Steady<SubscriptionId, Span>,
    by_mailbox: Steady<UserId, Vec<Watcher>>,
    /// By a place of the resources of a kind: callers name places, so that no hash finds them.
    by_place: BTreeMap<Scope, BTreeMap<String, Vec<PlaceWatcher>>>,
    /// Event subscriptions, by the topic whose events are pushed to them.
    by_topic: Steady<TopicId, Vec<SubscriptionId>>,
    /// Filters, each once: subscriptions of one app often have the same.
    conditions: HashSet<Condition, BuildHasherDefault<DefaultHasher>>,
    /// Ends that came before the state in which their subscriptions are.
    early_ends: Steady<SubscriptionId, Position>,
    /// Those that have ended, by where.
    ended: BTreeSet<(Position, SubscriptionId)>,
    /// Of those whose apps were asked something.
    standings: Steady<SubscriptionId, Standing>,
    /// How many that have not ended are told of changes there.
    endpoints: Steady<EndpointId, u32>,
}

/// The stream that tells a subscription of a change, and as what it sees it.
fn of_change((subscription, seen): (SubscriptionId, ChangeType)) -> (Stream, Option<ChangeType>) {
    (Stream { subscription, kind: StreamKind::Changes }, Some(seen))
}

/// Where a subscription is told of changes.
pub(super) fn endpoint(subscription: &Subscription) -> EndpointId {
    EndpointId::of(subscription.app, &subscription.notification_url)
}

impl Spans {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn get(&self, id: &SubscriptionId) -> Option<&Span> {
        self.by_id.get(id)
    }

    pub fn get_mut(&mut self, id: &SubscriptionId) -> Option<&mut Span> {
        self.by_id.get_mut(id)
    }

    /// Those that have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Span> {
        self.by_id.values().filter(|span| span.ended.is_none())
    }

    /// Takes in a subscription of the state that was read.
    pub fn restore(&mut self, span: SubscriptionSpan) {
        let (id, standing) = (span.subscription.id, span.standing);
        self.add(span.subscription, span.began, span.ended);
        if standing != Standing::default() {
            self.standings.insert(id, standing);
        }
    }

    pub fn add(&mut self, subscription: Arc<Subscription>, began: Position, ended: Option<Position>) {
        let id = subscription.id;
        let ended = ended.or_else(|| self.early_ends.remove(&id));
        self.ended.extend(ended.map(|ended| (ended, id)));
        if ended.is_none() {
            *self.endpoints.entry(endpoint(&subscription)).or_default() += 1;
        }
        match &subscription.target {
            Target::Items { mailbox, .. } => self.watch_items(*mailbox, &subscription),
            Target::Resource(watched) => self.watch_resources(watched, &subscription),
            Target::Topic(pushed) => self.by_topic.entry(pushed.topic).or_default().push(id),
        }
        self.by_id.insert(id, Span { subscription, began, ended, stepping: false });
    }

    fn watch_items(&mut self, mailbox: UserId, subscription: &Subscription) {
        let Some(mut interest) = Interest::of(subscription) else { return };
        if let Sight::Filtered(condition) = &mut interest.sight {
            match self.conditions.get(condition) {
                Some(known) => *condition = known.clone(),
                None => drop(self.conditions.insert(condition.clone())),
            }
        }
        let watchers = self.by_mailbox.entry(mailbox).or_default();
        // Not twice the room: there are many mailboxes, and few get another one.
        watchers.reserve_exact(1);
        watchers.push(Watcher { id: subscription.id, interest });
    }

    fn watch_resources(&mut self, watched: &Watched, subscription: &Subscription) {
        let interest = Arc::new(ResourceInterest::of(subscription, watched));
        let places = self.by_place.entry(subscription.scope()).or_default();
        for place in &watched.places {
            places.entry(place.clone()).or_default().push((subscription.id, interest.clone()));
        }
    }

    /// Takes in what a record says of a subscription's life. Nobody matches at or below `cursor` any more.
    pub fn follow(&mut self, record: &Record, position: Position, cursor: Position) {
        match record {
            Record::Lifecycle { subscription, cause: Some(cause), .. } => {
                self.change_standing(*subscription, |standing| {
                    standing.ask(*cause);
                })
            }
            Record::Subscription { id, event } => self.live_on(*id, event, position, cursor),
            Record::Change(_)
            | Record::Ingested(_)
            | Record::Lifecycle { .. }
            | Record::Submit(_)
            | Record::Replayed { .. }
            | Record::Event(_) => {}
        }
    }

    fn live_on(&mut self, id: SubscriptionId, event: &SubscriptionEvent, position: Position, cursor: Position) {
        match event {
            SubscriptionEvent::Began(subscription) => {
                self.add(Arc::new(Subscription::clone(subscription)), position, None);
            }
            SubscriptionEvent::Patched(subscription) => {
                self.patch(id, subscription);
                self.change_standing(id, |standing| {
                    standing.answer(subscription.authorized);
                });
            }
            SubscriptionEvent::Paused => self.change_standing(id, |standing| standing.pause(position, cursor)),
            SubscriptionEvent::Resumed => self.change_standing(id, |standing| standing.resume(position)),
            SubscriptionEvent::Ended(_) => {
                self.end(id, position);
            }
        }
    }

    fn patch(&mut self, id: SubscriptionId, subscription: &Subscription) {
        let Some(span) = self.by_id.get_mut(&id) else { return };
        let before = std::mem::replace(&mut span.subscription, Arc::new(subscription.clone()));
        let (from, to) = (endpoint(&before), endpoint(subscription));
        if span.ended.is_none() && from != to {
            self.leave(from);
            *self.endpoints.entry(to).or_default() += 1;
        }
    }

    /// One subscription less is told of changes there.
    fn leave(&mut self, endpoint: EndpointId) {
        let Some(count) = self.endpoints.get_mut(&endpoint) else { return };
        *count -= 1;
        if *count == 0 {
            self.endpoints.remove(&endpoint);
        }
    }

    /// Whether a subscription that has not ended is told of changes there.
    pub fn name(&self, endpoint: &EndpointId) -> bool {
        self.endpoints.contains_key(endpoint)
    }

    /// Every stream that must hear of the record at `position`, and as what (`None`: a lifecycle notification). What the
    /// record itself says of a life has been taken in.
    pub fn heard(&self, record: &Record, position: Position) -> Vec<(Stream, Option<ChangeType>)> {
        match record {
            Record::Change(change) => self.hearing(change, position),
            Record::Ingested(change) => self.hearing_resource(change, position),
            Record::Replayed { subscription, change, .. } => {
                let heard = self.by_id.get(subscription).filter(|span| span.hears(position));
                let stream = Stream { subscription: *subscription, kind: StreamKind::Changes };
                heard.map(|_| (stream, *change)).into_iter().collect()
            }
            Record::Lifecycle { subscription, .. } => {
                self.hearing_of_itself(*subscription, |span| span.hears(position)).into_iter().collect()
            }
            Record::Subscription { id, .. } if record.is_last_word() => {
                self.hearing_of_itself(*id, |span| span.ended == Some(position)).into_iter().collect()
            }
            Record::Event(event) => self.hearing_event(event, position),
            Record::Subscription { .. } | Record::Submit(_) => Vec::new(),
        }
    }

    /// The app hears of what happened to its subscription, if it wants to.
    fn hearing_of_itself(
        &self,
        id: SubscriptionId,
        hears: impl Fn(&Span) -> bool,
    ) -> Option<(Stream, Option<ChangeType>)> {
        let span = self.by_id.get(&id).filter(|span| hears(span))?;
        span.subscription.lifecycle_url.as_ref()?;
        Some((Stream { subscription: id, kind: StreamKind::Lifecycle }, None))
    }

    /// Who hears of the change of a resource at `position`, and as what.
    fn hearing_resource(&self, change: &Ingested, position: Position) -> Vec<(Stream, Option<ChangeType>)> {
        let Some(places) = self.by_place.get(&change.scope()) else { return Vec::new() };
        let heard_at = change.heard_at();
        let watchers = heard_at.iter().filter_map(|place| places.get(place)).flatten();
        let seen = watchers.filter_map(|(id, interest)| Some((*id, interest.sees(change)?)));
        seen.filter(|(id, _)| self.hears(id, position)).map(of_change).collect()
    }

    fn hears(&self, id: &SubscriptionId, position: Position) -> bool {
        self.by_id.get(id).is_some_and(|span| span.hears(position))
    }

    /// To whom the event at `position` is pushed. It is looked into with its data.
    fn hearing_event(&self, event: &TopicEvent, position: Position) -> Vec<(Stream, Option<ChangeType>)> {
        let Some(of_topic) = self.by_topic.get(&event.topic) else { return Vec::new() };
        let view = EventView::new(&event.event);
        let hears = |id: &&SubscriptionId| {
            let span = self.by_id.get(id).filter(|span| span.hears(position));
            let filter = span.and_then(|span| span.subscription.filter_at(position));
            filter.is_some_and(|filter| filter.checked().lets_in(&view))
        };
        let stream = |id: &SubscriptionId| (Stream { subscription: *id, kind: StreamKind::Changes }, None);
        of_topic.iter().filter(hears).map(stream).collect()
    }

    /// Whether it is an event subscription.
    pub fn is_of_topic(&self, id: &SubscriptionId) -> bool {
        let span = self.by_id.get(id);
        span.is_some_and(|span| matches!(span.subscription.target, Target::Topic(_)))
    }

    /// Who hears of the change at `position`, and as what.
    fn hearing(&self, change: &Change, position: Position) -> Vec<(Stream, Option<ChangeType>)> {
        let Some(watchers) = self.by_mailbox.get(&change.mailbox) else { return Vec::new() };
        let seen = watchers.iter().filter_map(|watcher| Some((watcher.id, watcher.interest.sees(change)?)));
        seen.filter(|(id, _)| self.hears(id, position)).map(of_change).collect()
    }

    /// Whether a step of any is on its way into the log.
    pub fn are_stepping(&self) -> bool {
        self.by_id.values().any(|span| span.stepping && span.ended.is_none())
    }

    pub fn standing(&self, id: &SubscriptionId) -> Option<&Standing> {
        self.standings.get(id)
    }

    /// Changes what was asked of a subscription, and lets its next step be taken.
    pub fn change_standing(&mut self, id: SubscriptionId, change: impl FnOnce(&mut Standing)) {
        let Some(span) = self.by_id.get_mut(&id) else { return };
        span.stepping = false;
        let mut standing = self.standings.remove(&id).unwrap_or_default();
        change(&mut standing);
        if standing != Standing::default() {
            self.standings.insert(id, standing);
        }
    }

    /// Whether a subscription is not told of what stands at `position`. Of one that is stopped events are given up when
    /// they are due.
    pub fn is_silenced(&self, id: &SubscriptionId, position: Position) -> bool {
        let silences = |standing: &Standing| standing.silences(position) && !self.is_of_topic(id);
        !self.standings.is_empty() && self.standing(id).is_some_and(silences)
    }

    /// Whether the app of a subscription has lost access, and not shown since that it has it again.
    pub fn has_lost_access(&self, id: &SubscriptionId) -> bool {
        !self.standings.is_empty() && self.standing(id).is_some_and(|standing| standing.lost.is_some())
    }

    /// The subscription ended at `position`. `false`: that was known, or it is not known itself yet.
    pub fn end(&mut self, id: SubscriptionId, position: Position) -> bool {
        let Some(span) = self.by_id.get_mut(&id) else {
            self.early_ends.insert(id, position);
            return false;
        };
        if span.began >= position || span.ended.is_some() {
            return false;
        }
        span.ended = Some(position);
        let endpoint = endpoint(&span.subscription);
        self.ended.insert((position, id));
        self.leave(endpoint);
        true
    }

    /// Those that had ended at `cursor`.
    pub fn ended_by(&self, cursor: Position) -> Vec<SubscriptionId> {
        self.ended.iter().take_while(|(ended, _)| *ended <= cursor).map(|(_, id)| *id).collect()
    }

    pub fn forget(&mut self, id: SubscriptionId) {
        let Some(span) = self.by_id.remove(&id) else { return };
        self.standings.remove(&id);
        match span.ended {
            Some(ended) => drop(self.ended.remove(&(ended, id))),
            None => self.leave(endpoint(&span.subscription)),
        }
        match &span.subscription.target {
            Target::Items { mailbox, .. } => self.forget_items(*mailbox, id),
            Target::Resource(watched) => self.forget_resources(watched, span.subscription.scope(), id),
            Target::Topic(pushed) => self.forget_pushed(pushed.topic, id),
        }
    }

    fn forget_pushed(&mut self, topic: TopicId, id: SubscriptionId) {
        let Some(of_topic) = self.by_topic.get_mut(&topic) else { return };
        of_topic.retain(|one| *one != id);
        if of_topic.is_empty() {
            self.by_topic.remove(&topic);
        }
    }

    fn forget_resources(&mut self, watched: &Watched, scope: Scope, id: SubscriptionId) {
        let Some(places) = self.by_place.get_mut(&scope) else { return };
        for place in &watched.places {
            if let Some(watchers) = places.get_mut(place) {
                watchers.retain(|(watcher, _)| *watcher != id);
                if watchers.is_empty() {
                    places.remove(place);
                }
            }
        }
        if places.is_empty() {
            self.by_place.remove(&scope);
        }
    }

    fn forget_items(&mut self, mailbox: UserId, id: SubscriptionId) {
        let Some(watchers) = self.by_mailbox.get_mut(&mailbox) else { return };
        for watcher in watchers.extract_if(.., |watcher| watcher.id == id) {
            // The other copy is in the set.
            if let Sight::Filtered(condition) = watcher.interest.sight
                && condition.copies() <= 2
            {
                self.conditions.remove(&condition);
            }
        }
        if watchers.is_empty() {
            self.by_mailbox.remove(&mailbox);
        }
    }
}
