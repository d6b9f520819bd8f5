//! What must be heard, recomputed from the log alone: it knows nothing of nodes, cursors or deliveries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use graph::registry::{Happened, Ingested};
use graph::{Change, ChangeType, FolderId, ItemKey, Partition, Properties, SubscriptionId, Timestamp};
use notify::log::{Cause, EndReason, Submission, SubscriptionEvent};
use notify::node::{Lack, Notification};
use notify::subscription::Target;
use notify::{EndpointId, Position, Record, StreamKind, Subscription, TopicEvent};
use uuid::Uuid;

use crate::invariants::EventTold;
use crate::topics;

/// A filter, and what it says.
type Filter = (&'static str, fn(&Properties) -> bool);

/// The filters that subscriptions have.
pub const FILTERS: [Filter; 2] = [
    ("categories/any(c:c eq 'a')", |item| has_category(item, "a")),
    ("not (categories/any(c:c eq 'b'))", |item| !has_category(item, "b")),
];

fn has_category(item: &Properties, name: &str) -> bool {
    item.get("categories").and_then(|named| named.as_array()).is_some_and(|named| named.contains(&name.into()))
}

/// Subscriptions to resources outside of mailboxes: `resource`, `notificationQueryOptions`, and as what they hear of
/// a change of the thing at a path.
type Resource = (&'static str, Option<&'static str>, fn(&str, &Ingested) -> Option<ChangeType>);

/// The resources that subscriptions watch.
pub const RESOURCES: [Resource; 4] = [
    ("users", None, |path, change| if path.starts_with("users/") { user_told(change) } else { None }),
    ("users/00000000-0000-0000-0000-000000000001", None, |path, change| {
        if path == "users/00000000-0000-0000-0000-000000000001" { user_told(change) } else { None }
    }),
    ("print/printers/p/jobs", None, |path, change| if path.starts_with("print/") { job_told(change) } else { None }),
    ("Print/printers/p/jobs", Some("$filter = isFetchable eq true"), |path, change| {
        let is_fetchable =
            |state: &Option<Properties>| state.as_ref().is_some_and(|state| state["isFetchable"] == true);
        let has_become = is_fetchable(&change.after) && !is_fetchable(&change.before);
        if path.starts_with("print/") && has_become { job_told(change) } else { None }
    }),
];

fn user_told(change: &Ingested) -> Option<ChangeType> {
    Some(if change.happened == Happened::Deleted { ChangeType::Deleted } else { ChangeType::Updated })
}

fn job_told(change: &Ingested) -> Option<ChangeType> {
    matches!(change.happened, Happened::Created | Happened::Updated).then_some(ChangeType::Updated)
}

/// The certificate that nothing can be sealed for, and what an item has that is too large.
pub const UNUSABLE: &str = "unusable";
pub const LARGE: &str = "large";

/// What keeps a subscription from being told whole of a record: in these worlds certificates say of themselves whether
/// they can be used, and items whether they are too large.
pub fn lack(told: &Notification) -> Option<Lack> {
    let Record::Change(change) = told.record.original() else { return None };
    let extras = told.subscription.extras.as_ref().filter(|extras| extras.include_resource_data)?;
    let is_gone = change.change == ChangeType::Deleted && change.moved.is_none();
    if is_gone {
        return None;
    }
    if told.access_lost {
        return Some(Lack::AccessLost);
    }
    if change.after.contains_key(LARGE) {
        return Some(Lack::TooLarge);
    }
    (extras.encryption_certificate.as_deref() == Some(UNUSABLE)).then_some(Lack::CertificateUnusable)
}

/// What a match tells of: order holds among those of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Item(ItemKey),
    /// By its path.
    Thing(String),
}

/// One (record, subscription) that must be told.
#[derive(Clone, Debug)]
pub struct Match {
    pub kind: StreamKind,
    pub change: Option<ChangeType>,
    /// By the id under which the subscription is told of it.
    pub item: Option<Subject>,
    /// It is told again: the position at which it was told first.
    pub replays: Option<Position>,
    /// When its record was appended, in the world's microseconds.
    pub appended: u64,
    /// It fell into a pause, so nobody may be told of it.
    pub silenced: bool,
    /// It tells of the end of its subscription.
    pub last_word: bool,
    /// Some node was told that a receiver acknowledged it whole; that it did without its content; that there was nothing
    /// to seal it for.
    pub acknowledged: bool,
    pub too_large: bool,
    /// The same, because its app had lost access.
    pub withheld: bool,
    pub unusable: bool,
    /// That it was not sent, on purpose.
    pub injected: bool,
    /// If it tells of an event.
    pub event: Option<EventTold>,
    /// The id under which it was sent first, and when.
    pub sent: Option<(Uuid, u64)>,
}

/// A subscription's stretch of the log.
#[derive(Clone, Debug)]
pub struct Span {
    pub id: SubscriptionId,
    pub partition: Partition,
    /// As it began, and after each patch.
    pub versions: Vec<Arc<Subscription>>,
    /// Where each version stands in the log.
    pub since: Vec<Position>,
    pub ended: Option<(Position, EndReason)>,
    /// The times of the cadence for which its app was asked.
    pub asked: Vec<Timestamp>,
    /// Its app lost access then, and has not answered.
    pub lost: Option<Timestamp>,
    /// Where that stands in the log.
    pub lost_since: Option<Position>,
    pub paused: bool,
    pub ever_paused: bool,
    pub matches: BTreeMap<Position, Match>,
    /// Where the matches of each subject are, in order.
    subjects: HashMap<Subject, Vec<Position>>,
}

impl Span {
    /// Where the matches that tell of a subject are, in order.
    pub fn of_subject(&self, subject: &Subject) -> &[Position] {
        self.subjects.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    fn hear(&mut self, position: Position, told: Match) {
        if let Some(subject) = &told.item {
            self.subjects.entry(subject.clone()).or_default().push(position);
        }
        self.matches.insert(position, told);
    }

    pub fn is_of_topic(&self) -> bool {
        matches!(self.latest().target, Target::Topic(_))
    }

    pub fn latest(&self) -> &Arc<Subscription> {
        &self.versions[self.versions.len() - 1]
    }
}

/// The log, and what follows from it.
#[derive(Default)]
pub struct Truth {
    pub spans: Vec<Span>,
    numbers: HashMap<SubscriptionId, usize>,
    /// The URL of each endpoint that some version of a subscription named.
    urls: HashMap<EndpointId, String>,
    logs: BTreeMap<Partition, Vec<Arc<Record>>>,
    /// By address: the truth keeps every record alive, and the model hands out the same ones.
    places: HashMap<*const Record, (Partition, Position)>,
    /// Where each item lies and how it is, by its immutable UUID.
    items: HashMap<Uuid, (FolderId, Properties)>,
    pub submissions: Vec<(Partition, Position, Submission)>,
}

impl Truth {
    /// The number of a subscription, in the order in which they began.
    pub fn number(&self, id: SubscriptionId) -> Option<usize> {
        self.numbers.get(&id).copied()
    }

    /// The URL of an endpoint.
    pub fn url_of(&self, endpoint: EndpointId) -> Option<&str> {
        self.urls.get(&endpoint).map(String::as_str)
    }

    fn name_endpoint(&mut self, subscription: &Subscription) {
        let endpoint = EndpointId::of(subscription.app, &subscription.notification_url);
        self.urls.entry(endpoint).or_insert_with(|| subscription.notification_url.clone());
    }

    pub fn span(&self, id: SubscriptionId) -> Option<&Span> {
        self.number(id).map(|number| &self.spans[number])
    }

    pub fn place(&self, record: &Arc<Record>) -> Option<(Partition, Position)> {
        self.places.get(&Arc::as_ptr(record)).copied()
    }

    /// The records of a log after a position.
    pub fn log_after(&self, partition: Partition, after: Position) -> impl ExactSizeIterator<Item = &Arc<Record>> {
        let log = self.logs.get(&partition).map_or(&[][..], Vec::as_slice);
        log.iter().skip(usize::try_from(after.0).unwrap_or(usize::MAX))
    }

    pub fn spans_of(&self, partition: Partition) -> impl Iterator<Item = (usize, &Span)> {
        self.spans.iter().enumerate().filter(move |(_, span)| span.partition == partition)
    }

    /// Takes the next record of a log in; returns what it is and of which subscription it speaks.
    pub fn append(&mut self, partition: Partition, record: Arc<Record>, at: u64) -> (&'static str, Option<usize>) {
        let log = self.logs.entry(partition).or_default();
        log.push(Arc::clone(&record));
        let position = Position(log.len() as u64);
        self.places.insert(Arc::as_ptr(&record), (partition, position));
        match &*record {
            Record::Change(change) => {
                self.tell(partition, position, change, at);
                (change.change.as_str(), None)
            }
            Record::Ingested(change) => {
                self.tell_of_resource(partition, position, change, at);
                ("ingested", None)
            }
            Record::Subscription { id, event } => self.live(partition, position, (*id, event), at),
            Record::Lifecycle { subscription, cause, .. } => {
                let number = self.number(*subscription);
                if let (Some(number), Some(cause)) = (number, cause) {
                    self.ask(number, position, *cause);
                }
                let span = number.map(|number| &mut self.spans[number]);
                if let Some(span) = span.filter(|span| span.ended.is_none() && span.latest().lifecycle_url.is_some()) {
                    span.hear(position, Match::new(StreamKind::Lifecycle, None, None, at));
                }
                ("lifecycle", number)
            }
            Record::Replayed { subscription, change, record } => {
                let number = self.number(*subscription);
                if let Some(number) = number {
                    self.tell_again(number, position, (*change, record), at);
                }
                ("replayed", number)
            }
            Record::Submit(submission) => {
                self.submissions.push((partition, position, submission.clone()));
                ("submit", None)
            }
            Record::Event(event) => {
                self.tell_of_event(partition, position, event, at);
                ("event", None)
            }
        }
    }

    fn ask(&mut self, number: usize, position: Position, cause: Cause) {
        match cause {
            Cause::RunsOut { due } => self.spans[number].asked.push(due),
            Cause::AccessLost { at } => {
                let span = &mut self.spans[number];
                span.lost = Some(at);
                span.lost_since.get_or_insert(position);
            }
        }
    }

    /// A change of an item, to everyone who watches it.
    fn tell(&mut self, partition: Partition, position: Position, change: &Change, at: u64) {
        let uuid = change.immutable_id().uuid;
        let before = self.items.get(&uuid).cloned();
        let after =
            (change.change != ChangeType::Deleted).then(|| (change.folder, graph::Properties::clone(&change.after)));
        match &after {
            Some(state) => drop(self.items.insert(uuid, state.clone())),
            // The second half of a move finds the item where it was.
            None if change.moved.is_some() => {}
            None => drop(self.items.remove(&uuid)),
        }
        for span in self.spans.iter_mut().filter(|span| span.partition == partition && span.ended.is_none()) {
            let subscription = span.latest();
            let seen = seen(subscription, change, before.as_ref(), after.as_ref());
            if let Some(seen) = seen.filter(|seen| subscription.change_types.contains(*seen)) {
                let item = match subscription.immutable_ids {
                    true => ItemKey::Immutable(change.immutable_id()),
                    false => ItemKey::Id(change.item),
                };
                let told = Match::new(StreamKind::Changes, Some(seen), Some(Subject::Item(item)), at);
                span.hear(position, Match { silenced: span.paused, ..told });
            }
        }
    }

    /// A change of a resource, to everyone who watches it.
    fn tell_of_resource(&mut self, partition: Partition, position: Position, change: &Ingested, at: u64) {
        let path = change.thing.text();
        for span in self.spans.iter_mut().filter(|span| span.partition == partition && span.ended.is_none()) {
            let subscription = span.latest();
            let watched = RESOURCES.iter().find(|(resource, ..)| *resource == subscription.resource);
            let seen = watched.and_then(|(.., told)| told(&path, change));
            if let Some(seen) = seen.filter(|seen| subscription.change_types.contains(*seen)) {
                let subject = Some(Subject::Thing(path.clone()));
                let told = Match::new(StreamKind::Changes, Some(seen), subject, at);
                span.hear(position, Match { silenced: span.paused, ..told });
            }
        }
    }

    /// An event, to every event subscription that lets it in.
    fn tell_of_event(&mut self, partition: Partition, position: Position, event: &TopicEvent, at: u64) {
        for span in self.spans.iter_mut().filter(|span| span.partition == partition && span.ended.is_none()) {
            let Target::Topic(event_subscription) = &span.latest().target else { continue };
            if event_subscription.topic == event.topic && topics::hears(event_subscription, &event.event) {
                let told = EventTold { published: Some(event.published), ..EventTold::default() };
                let matched = Match::new(StreamKind::Changes, None, None, at);
                span.hear(position, Match { event: Some(told), ..matched });
            }
        }
    }

    /// To one subscription, if it lives: as what it is told now, whatever it was told before.
    fn tell_again(
        &mut self,
        number: usize,
        position: Position,
        (change, record): (Option<ChangeType>, &Arc<Record>),
        at: u64,
    ) {
        let replays = self.place(record).map(|(_, first)| first);
        let span = &mut self.spans[number];
        if span.ended.is_some() {
            return;
        }
        let item = replays.and_then(|first| span.matches.get(&first)).and_then(|first| first.item.clone());
        let told = Match::new(StreamKind::Changes, change, item, at);
        let event = span.is_of_topic().then(EventTold::default);
        let silenced = span.paused && event.is_none();
        span.hear(position, Match { silenced, replays, event, ..told });
    }

    fn live(
        &mut self,
        partition: Partition,
        position: Position,
        (id, event): (SubscriptionId, &SubscriptionEvent),
        at: u64,
    ) -> (&'static str, Option<usize>) {
        let number = self.number(id);
        match (event, number) {
            (SubscriptionEvent::Began(subscription), _) => {
                self.name_endpoint(subscription);
                let versions = vec![Arc::new(Subscription::clone(subscription))];
                self.numbers.insert(id, self.spans.len());
                let since = vec![position];
                let (asked, matches, subjects) = (Vec::new(), BTreeMap::new(), HashMap::new());
                let (ended, lost, lost_since, paused, ever_paused) = (None, None, None, false, false);
                let span = Span {
                    id,
                    partition,
                    versions,
                    since,
                    ended,
                    asked,
                    lost,
                    lost_since,
                    paused,
                    ever_paused,
                    matches,
                    subjects,
                };
                self.spans.push(span);
                ("began", self.number(id))
            }
            (SubscriptionEvent::Patched(subscription), Some(known)) => {
                self.name_endpoint(subscription);
                self.spans[known].versions.push(Arc::new(Subscription::clone(subscription)));
                self.spans[known].since.push(position);
                let span = &mut self.spans[known];
                span.lost = span.lost.filter(|lost| *lost > subscription.authorized);
                span.lost_since = span.lost_since.filter(|_| span.lost.is_some());
                ("patched", number)
            }
            (SubscriptionEvent::Paused, Some(known)) => {
                (self.spans[known].paused, self.spans[known].ever_paused) = (true, true);
                ("paused", number)
            }
            (SubscriptionEvent::Resumed, Some(known)) => {
                self.spans[known].paused = false;
                ("resumed", number)
            }
            (SubscriptionEvent::Ended(reason), Some(known)) => {
                let span = &mut self.spans[known];
                span.ended = Some((position, *reason));
                let is_told = !matches!(reason, EndReason::Deleted | EndReason::Expired);
                if is_told && span.latest().lifecycle_url.is_some() {
                    let told = Match::new(StreamKind::Lifecycle, None, None, at);
                    span.hear(position, Match { last_word: true, ..told });
                }
                ("ended", number)
            }
            (_, None) => ("unknown", None),
        }
    }

    /// The delivery that a delivery replays, or itself.
    pub fn first_told(&self, (number, position): (usize, Position)) -> (usize, Position) {
        let told = self.spans.get(number).and_then(|span| span.matches.get(&position));
        (number, told.and_then(|told| told.replays).unwrap_or(position))
    }

    pub fn find(&mut self, number: usize, position: Position) -> Option<&mut Match> {
        self.spans.get_mut(number)?.matches.get_mut(&position)
    }
}

type State = (FolderId, Properties);

/// What the change means for what a subscription watches, in the plainest form.
fn seen(
    subscription: &Subscription,
    change: &Change,
    before: Option<&State>,
    after: Option<&State>,
) -> Option<ChangeType> {
    let Target::Items { mailbox, kind, folder: target } = subscription.target else { return None };
    if (mailbox, kind) != (change.mailbox, change.item.kind) {
        return None;
    }
    let filter = FILTERS.iter().find(|(text, _)| subscription.resource.ends_with(text));
    let watches = |folder: FolderId| target.is_none_or(|watched| watched == folder);
    let has = |state: Option<&State>| {
        state.is_some_and(|(folder, item)| watches(*folder) && filter.is_none_or(|(_, lets_in)| lets_in(item)))
    };
    let follows = subscription.immutable_ids && change.moved.is_some_and(watches);
    let (was_in, is_in) = match change.change {
        ChangeType::Deleted if follows => return None,
        ChangeType::Deleted => (has(before), false),
        ChangeType::Created => (follows && watches(change.folder) && has(before), has(after)),
        ChangeType::Updated => (has(before), has(after)),
    };
    match (was_in, is_in) {
        (false, false) => None,
        (false, true) => Some(ChangeType::Created),
        (true, true) => Some(ChangeType::Updated),
        (true, false) => Some(ChangeType::Deleted),
    }
}

impl Match {
    fn new(kind: StreamKind, change: Option<ChangeType>, item: Option<Subject>, appended: u64) -> Self {
        Self {
            kind,
            change,
            item,
            replays: None,
            appended,
            silenced: false,
            last_word: false,
            acknowledged: false,
            too_large: false,
            withheld: false,
            unusable: false,
            injected: false,
            event: None,
            sent: None,
        }
    }

    /// Whether some node was told of its end.
    pub fn has_ended(&self) -> bool {
        self.acknowledged
            || self.too_large
            || self.withheld
            || self.unusable
            || match self.event {
                Some(event) => event.kept || event.cut || event.letter_injected,
                None => self.injected,
            }
    }
}
