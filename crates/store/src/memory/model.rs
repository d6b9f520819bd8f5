//! The meaning of each verb of the store, as a plain data structure.
//!
//! It knows no lock and no future: the simulator drives it directly. Assertions hold what no backend
//! may ever show; they fail the test that broke them.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::UserId;
use graph::{AppId, ChangeId, ChangeType, PARTITIONS, Partition, Scope, SubscriptionId, TenantId, Timestamp, TopicId};
use notify::checkpoint::{LoadedParked, PARKED_REFS_MAX, PartitionState, SubscriptionSpan};
use notify::log::{Cause, EndReason, LifecycleEvent, SubscriptionEvent};
use notify::reauthorization::Standing;
use notify::recount::Books;
use notify::retention::{Mark, Noted};
use notify::topic::for_the_node;
use notify::{
    Checkpoint, EndpointId, Health, Incident, LedgerDelta, Parked, Position, Record, StoredHealth, Stream, Subscription,
};
use uuid::Uuid;

use super::directory::Kept;
use super::mailbox::Mailbox;
use super::topic::Topics;
use crate::{
    App, Appended, BeginError, CheckpointError, Consent, CorruptRow, Counters, Grantee, Lease, LedgerQuery, Ledgers,
    NodeId, READ_BYTES_MAX, RedeemableHash, Revision, StoreError, SubscriptionError, SubscriptionLedger,
    SubscriptionLimits, SubscriptionQuery, Tenant, Upload, User,
};

/// What one verb appended to a partition's log, in order.
pub type AppendedRecords = (Partition, Vec<(Position, Arc<Record>)>);

/// A store as a value. Each method is the verb of [`crate::Store`] of the same name.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) tenants: BTreeMap<TenantId, Tenant>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) apps: BTreeMap<AppId, App>,
    pub(super) consents: BTreeMap<(TenantId, AppId, Grantee, String), Consent>,
    pub(super) redeemables: BTreeMap<RedeemableHash, Kept>,
    pub(super) mailboxes: BTreeMap<UserId, Mailbox>,
    /// The keys of changes of resources, and until when they are remembered.
    pub(super) ingested: BTreeMap<(Scope, String), Timestamp>,
    /// With what they have received.
    pub(super) uploads: BTreeMap<(UserId, Uuid), (Upload, Vec<u8>)>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, SubscriptionSpan>,
    /// How many that had ended are gone, and their sums, by app.
    pub(super) gone: BTreeMap<(TenantId, AppId), (u64, LedgerDelta)>,
    pub(super) topics: BTreeMap<TopicId, Topics>,
    pub(super) partitions: Vec<Shard>,
    appended: Option<AppendedRecords>,
    pub(super) counters: Counters,
}

/// The rows of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    /// The record at position p stands at index p - 1 - `cut`: the log is dense by its form.
    pub(super) log: Vec<Arc<Record>>,
    /// How many records were taken away.
    pub(super) cut: u64,
    pub(super) floor: Position,
    /// What was noted where the floor is, and where it may rise to.
    pub(super) opening: Noted,
    pub(super) mark: Option<(Mark, Noted)>,
    revision: Revision,
    epoch: u64,
    lease: Option<(NodeId, Timestamp)>,
    number: u64,
    pub(super) cursor: Position,
    wall: Timestamp,
    pub(super) parked: BTreeMap<(Stream, Position), Parked>,
    pub(super) ledger: BTreeMap<SubscriptionId, LedgerDelta>,
    health: BTreeMap<EndpointId, StoredHealth>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            tenants: BTreeMap::new(),
            users: BTreeMap::new(),
            apps: BTreeMap::new(),
            consents: BTreeMap::new(),
            redeemables: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            ingested: BTreeMap::new(),
            uploads: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            gone: BTreeMap::new(),
            topics: BTreeMap::new(),
            partitions: vec![Shard::default(); usize::from(PARTITIONS)],
            appended: None,
            counters: Counters::default(),
        }
    }
}

impl Model {
    /// The records that the last verb appended, once.
    pub fn take_appended(&mut self) -> Option<AppendedRecords> {
        self.appended.take()
    }

    pub(super) fn shard(&self, partition: Partition) -> &Shard {
        &self.partitions[usize::from(partition.0)]
    }

    pub(super) fn shard_mut(&mut self, partition: Partition) -> &mut Shard {
        &mut self.partitions[usize::from(partition.0)]
    }

    /// The revision of a commit that happens now.
    pub(super) fn next_revision(&mut self, partition: Partition) -> Revision {
        let revision = &mut self.shard_mut(partition).revision;
        revision.0 += 1;
        *revision
    }

    pub(super) fn append(&mut self, partition: Partition, records: Vec<Record>) -> Appended {
        let shard = self.shard_mut(partition);
        let mut appended = Vec::with_capacity(records.len());
        for record in records.into_iter().map(Arc::new) {
            shard.log.push(Arc::clone(&record));
            appended.push((shard.head(), record));
        }
        let position = shard.head();
        self.counters.commits += 1;
        self.counters.log_rows += appended.len() as u64;
        self.appended = (!appended.is_empty()).then_some((partition, appended));
        Appended { partition, position }
    }
}

/// Subscriptions.
impl Model {
    pub fn begin_subscription(
        &mut self,
        subscription: Arc<Subscription>,
        limits: SubscriptionLimits,
    ) -> Result<Appended, BeginError> {
        if let Some(mailbox) = subscription.target.mailbox()
            && !self.mailboxes.contains_key(&mailbox)
        {
            return Err(BeginError::NoMailbox(mailbox));
        }
        let (user, app) = (self.users.get(&subscription.creator), self.apps.get(&subscription.app));
        if !limits.makers.may_make(&subscription, user, app) {
            return Err(BeginError::NotAllowed);
        }
        let scope = subscription.scope();
        if self.subscriptions.contains_key(&subscription.id) {
            return Err(BeginError::Duplicate(subscription.id));
        }
        let likeness =
            |of: &Subscription| (of.scope(), of.app, of.creator, of.target.clone(), of.change_types, of.refined());
        let sought = likeness(&subscription);
        let equal = |other: &&Arc<Subscription>| likeness(other) == sought;
        if let Some(other) = self.live().find(equal).filter(|_| limits.refuse_duplicates) {
            return Err(BeginError::Duplicate(other.id));
        }
        let live = self.live().filter(|other| other.scope() == scope).count() as u64;
        if live >= limits.per_scope {
            return Err(BeginError::TooMany(live));
        }
        let id = subscription.id;
        let event = SubscriptionEvent::Began(Box::new(Subscription::clone(&subscription)));
        let began = self.append(Partition::of(scope), vec![Record::Subscription { id, event }]);
        let (began_at, standing) = (began.position, Standing::default());
        let span = SubscriptionSpan { subscription, began: began_at, ended: None, standing, incident: None };
        self.subscriptions.insert(id, span);
        Ok(began)
    }

    pub fn patch_subscription(
        &mut self,
        before: Arc<Subscription>,
        after: Arc<Subscription>,
    ) -> Result<Appended, SubscriptionError> {
        debug_assert!(before.id == after.id && before.scope() == after.scope(), "a patch keeps id and scope");
        let span = self.unchanged_span(&before)?;
        span.subscription = Arc::clone(&after);
        let resumes = span.standing.answer(after.authorized) && span.standing.is_paused();
        let id = after.id;
        let patched = SubscriptionEvent::Patched(Box::new(Subscription::clone(&after)));
        let resumed = resumes.then_some(SubscriptionEvent::Resumed);
        let records = [patched].into_iter().chain(resumed).map(|event| Record::Subscription { id, event });
        let appended = self.append(after.partition(), records.collect());
        if resumes {
            self.live_span(id)?.standing.resume(appended.position);
        }
        Ok(appended)
    }

    pub fn require_reauthorization(
        &mut self,
        before: Arc<Subscription>,
        record: ChangeId,
        cause: Cause,
    ) -> Result<Appended, SubscriptionError> {
        let span = self.unchanged_span(&before)?;
        if !span.standing.ask(cause) {
            return Err(SubscriptionError::Changed);
        }
        let event = LifecycleEvent::ReauthorizationRequired;
        let record = Record::Lifecycle { id: record, subscription: before.id, event, cause: Some(cause) };
        Ok(self.append(before.partition(), vec![record]))
    }

    pub fn pause_subscription(&mut self, before: Arc<Subscription>) -> Result<Appended, SubscriptionError> {
        if self.unchanged_span(&before)?.standing.is_paused() {
            return Err(SubscriptionError::Changed);
        }
        let partition = before.partition();
        let cursor = self.shard(partition).cursor;
        let event = SubscriptionEvent::Paused;
        let paused = self.append(partition, vec![Record::Subscription { id: before.id, event }]);
        self.live_span(before.id)?.standing.pause(paused.position, cursor);
        Ok(paused)
    }

    pub fn end_subscription(
        &mut self,
        id: SubscriptionId,
        reason: EndReason,
        if_expires: Option<Timestamp>,
    ) -> Result<Appended, SubscriptionError> {
        let span = self.live_span(id)?;
        if if_expires.is_some_and(|expires| expires != span.subscription.expires) {
            return Err(SubscriptionError::Changed);
        }
        let partition = span.subscription.partition();
        let event = SubscriptionEvent::Ended(reason);
        let ended = self.append(partition, vec![Record::Subscription { id, event }]);
        let span = self.live_span(id)?;
        (span.ended, span.incident) = (Some(ended.position), None);
        Ok(ended)
    }

    pub fn append_lifecycle(
        &mut self,
        id: SubscriptionId,
        record: ChangeId,
        event: LifecycleEvent,
    ) -> Result<Appended, SubscriptionError> {
        let partition = self.live_span(id)?.subscription.partition();
        Ok(self.append(partition, vec![Record::Lifecycle { id: record, subscription: id, event, cause: None }]))
    }

    pub fn append_missed(&mut self, id: SubscriptionId, incident: Incident) -> Result<Appended, SubscriptionError> {
        let span = self.live_span(id)?;
        let open = span.incident.filter(|open| open.opened <= incident.opened).ok_or(SubscriptionError::Changed)?;
        span.incident = None;
        let partition = span.subscription.partition();
        Ok(self.append(partition, vec![open.missed(id)]))
    }

    pub fn replay(
        &mut self,
        subscription: Arc<Subscription>,
        told: Vec<(Option<ChangeType>, Arc<Record>)>,
    ) -> Result<Appended, SubscriptionError> {
        let id = subscription.id;
        let partition = self.live_span(id)?.subscription.partition();
        let replays = told.into_iter().map(|(change, record)| {
            let is_told = match &*record {
                Record::Change(_) | Record::Ingested(_) => change.is_some(),
                Record::Event(_) => change.is_none(),
                _ => false,
            };
            debug_assert!(is_told, "changes and events are replayed");
            Record::Replayed { subscription: id, change, record }
        });
        Ok(self.append(partition, replays.collect()))
    }

    pub fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, StoreError> {
        let span = self.subscriptions.get(&id).filter(|span| span.ended.is_none());
        Ok(span.map(|span| Arc::clone(&span.subscription)))
    }

    pub fn standing(&self, id: SubscriptionId) -> Result<Option<Standing>, StoreError> {
        let span = self.subscriptions.get(&id).filter(|span| span.ended.is_none());
        Ok(span.map(|span| span.standing.clone()))
    }

    pub fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Arc<Subscription>>, StoreError> {
        let asked = |one: &&Arc<Subscription>| {
            one.tenant == query.tenant
                && one.target.event_subscription().is_none()
                && query.app.is_none_or(|app| app == one.app)
                && query.creator.is_none_or(|creator| creator == one.creator)
                && (query.mailbox.is_none() || query.mailbox == one.target.mailbox())
                && query.after.is_none_or(|after| one.id > after)
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Ok(self.live().filter(asked).take(limit).cloned().collect())
    }

    pub fn ledger(&self, id: SubscriptionId) -> Result<LedgerDelta, StoreError> {
        Ok(self.sums(id).cloned().unwrap_or_default())
    }

    /// What has been counted of a subscription, if anything.
    pub fn sums(&self, id: SubscriptionId) -> Option<&LedgerDelta> {
        let span = self.subscriptions.get(&id)?;
        self.shard(span.subscription.partition()).ledger.get(&id)
    }

    /// What a subscription is owed a `missed` for.
    pub fn incident(&self, id: SubscriptionId) -> Option<Incident> {
        self.subscriptions.get(&id)?.incident
    }

    pub fn ledgers(&self, query: LedgerQuery) -> Result<Ledgers, StoreError> {
        let (gone, sums) = self.gone(query.app);
        let mut ledgers = Ledgers { gone, sums, ..Ledgers::default() };
        let of_app = |span: &&SubscriptionSpan| query.app.is_none_or(|app| span.subscription.app == app);
        for span in self.subscriptions.values().filter(of_app) {
            let id = span.subscription.id;
            ledgers.add(SubscriptionLedger { id, live: span.ended.is_none(), sums: self.ledger(id)? }, query);
        }
        Ok(ledgers)
    }

    pub fn books(&self, partition: Partition) -> Result<Books, StoreError> {
        let shard = self.shard(partition);
        let mut parked = BTreeMap::new();
        for row in shard.parked.values() {
            *parked.entry(row.stream.subscription).or_default() += row.refs.len() as u64;
        }
        let spans = self.subscriptions.values().filter(|span| span.subscription.partition() == partition);
        let opening = shard.opening.opening(shard.floor, spans.cloned());
        Ok(Books { opening, cursor: shard.cursor, ledger: shard.ledger.clone(), parked })
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions.values().filter(|span| span.ended.is_none()).map(|span| &span.subscription)
    }

    fn unchanged_span(&mut self, before: &Subscription) -> Result<&mut SubscriptionSpan, SubscriptionError> {
        let span = self.live_span(before.id)?;
        if *span.subscription != *before {
            return Err(SubscriptionError::Changed);
        }
        Ok(span)
    }

    fn live_span(&mut self, id: SubscriptionId) -> Result<&mut SubscriptionSpan, SubscriptionError> {
        self.subscriptions.get_mut(&id).filter(|span| span.ended.is_none()).ok_or(SubscriptionError::NotFound)
    }
}

/// The log and progress.
impl Model {
    pub fn read_log(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<Record>)>, StoreError> {
        let shard = self.shard(partition);
        let after = after.max(shard.floor);
        let start = usize::try_from(after.0 - shard.cut).unwrap_or(usize::MAX);
        let found = shard.log.get(start..).unwrap_or_default();
        let records =
            found.iter().zip(after.0.saturating_add(1)..).map(|(record, p)| (Position(p), Arc::clone(record)));
        let mut bytes = 0;
        let has_room = |(_, record): &(Position, Arc<Record>)| {
            let has_room = bytes <= READ_BYTES_MAX;
            if let Record::Event(event) = &**record {
                // Of other records thousands do not come to that.
                bytes += event.event.to_json().len();
            }
            has_room
        };
        Ok(records.take(limit).take_while(has_room).collect())
    }

    pub fn acquire(
        &mut self,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        let holder = |shard: &Shard| shard.holder(now);
        // Free ones first, so that a node that asks again gets others than it has.
        let free = Partition::all().filter(|p| holder(self.shard(*p)).is_none());
        let own = Partition::all().filter(|p| holder(self.shard(*p)) == Some(node));
        let taken: Vec<Partition> = free.chain(own).take(max).collect();
        self.counters.commits += 1;
        Ok(taken
            .into_iter()
            .map(|partition| {
                let shard = self.shard_mut(partition);
                shard.epoch += u64::from(shard.holder(now).is_none());
                shard.lease = Some((node, until));
                (partition, shard.epoch)
            })
            .collect())
    }

    pub fn renew(&mut self, node: NodeId, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        self.counters.commits += 1;
        let mut held = Vec::new();
        for (partition, shard) in Partition::all().zip(&mut self.partitions) {
            if shard.holder(now) == Some(node) {
                shard.lease = Some((node, until));
                held.push((partition, shard.epoch));
            }
        }
        Ok(held)
    }

    pub fn release(&mut self, node: NodeId) -> Result<(), StoreError> {
        self.counters.commits += 1;
        for shard in &mut self.partitions {
            shard.lease = shard.lease.filter(|(holder, _)| *holder != node);
        }
        Ok(())
    }

    pub fn partition_state(&self, partition: Partition) -> Result<PartitionState, StoreError> {
        let shard = self.shard(partition);
        let here = |span: &&SubscriptionSpan| span.subscription.partition() == partition;
        let mut parked = BTreeMap::new();
        for ((stream, _), row) in &shard.parked {
            *parked.entry(*stream).or_default() += row.bytes;
        }
        Ok(PartitionState {
            number: shard.number,
            cursor: shard.cursor,
            head: shard.head(),
            wall: shard.wall,
            subscriptions: self.subscriptions.values().filter(here).cloned().collect(),
            parked,
            health: shard.health.clone(),
        })
    }

    /// The number of a partition's last checkpoint, its cursor, and the last position of its log.
    pub fn progress(&self, partition: Partition) -> (u64, Position, Position) {
        let shard = self.shard(partition);
        (shard.number, shard.cursor, shard.head())
    }

    pub fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        let shard = self.shard_mut(checkpoint.partition);
        if shard.epoch != checkpoint.epoch {
            return Err(CheckpointError::Fenced(checkpoint.partition));
        }
        if shard.number + 1 != checkpoint.number {
            return Err(CheckpointError::OutOfTurn { last: shard.number });
        }
        let rows = checkpoint.park.len() as u64;
        let incidents = checkpoint.incidents.clone();
        shard.record(checkpoint);
        for (id, incident) in incidents {
            if let Ok(span) = self.live_span(id) {
                span.incident.get_or_insert(incident);
            }
        }
        self.counters.commits += 1;
        self.counters.checkpoints += 1;
        self.counters.parked_rows += rows;
        Ok(())
    }

    pub fn parked(
        &self,
        partition: Partition,
        stream: Stream,
        after: Position,
        deliveries: usize,
    ) -> Result<Vec<LoadedParked>, StoreError> {
        let shard = self.shard(partition);
        let found = shard.parked.range((stream, after.next())..).take_while(|((of, _), _)| *of == stream);
        let mut before = 0;
        let wanted = found.take_while(|(_, row)| {
            let wanted = before < deliveries;
            before += row.refs.len();
            wanted
        });
        wanted.map(|(_, row)| shard.load(row)).collect()
    }

    /// Every parked row of a partition, by stream and position.
    pub fn parked_rows(&self, partition: Partition) -> impl Iterator<Item = &Parked> {
        self.shard(partition).parked.values()
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }
}

impl Shard {
    pub(super) fn head(&self) -> Position {
        Position(self.cut + self.log.len() as u64)
    }

    fn holder(&self, now: Timestamp) -> Option<NodeId> {
        self.lease.filter(|(_, until)| *until > now).map(|(node, _)| node)
    }

    fn record(&mut self, checkpoint: Checkpoint) {
        debug_assert!(self.cursor <= checkpoint.cursor && checkpoint.cursor <= self.head(), "a cursor lies in the log");
        for key in &checkpoint.unpark {
            self.parked.remove(key);
        }
        for row in checkpoint.park {
            self.check_parked(&row, checkpoint.cursor);
            self.parked.insert((row.stream, row.first()), row);
        }
        for (subscription, delta) in &checkpoint.ledger {
            self.ledger.entry(*subscription).or_default().add(delta);
        }
        for (endpoint, health) in checkpoint.health {
            debug_assert!(health.is_none_or(|health| health.health != Health::Healthy), "who is healthy has no row");
            match health {
                Some(health) => self.health.insert(endpoint, health),
                None => self.health.remove(&endpoint),
            };
        }
        self.number = checkpoint.number;
        self.cursor = checkpoint.cursor;
        self.wall = self.wall.max(checkpoint.wall);
    }

    fn check_parked(&self, row: &Parked, cursor: Position) {
        debug_assert!((1..=PARKED_REFS_MAX).contains(&row.refs.len()), "a row holds 1 to {PARKED_REFS_MAX}");
        debug_assert!(row.refs.is_sorted_by_key(|one| one.position), "a row is in order");
        debug_assert!(row.refs.iter().all(|one| one.position <= cursor), "nothing above the cursor is parked");
        let mut others = self.parked.values().filter(|other| other.stream == row.stream).flat_map(|other| &other.refs);
        debug_assert!(
            others.all(|other| row.refs.iter().all(|one| one.position != other.position)),
            "a position is parked in one row of a stream only"
        );
    }

    fn load(&self, row: &Parked) -> Result<LoadedParked, StoreError> {
        let record = |position: Position| {
            let index = position.0.checked_sub(self.cut + 1).and_then(|index| usize::try_from(index).ok());
            let record = index.and_then(|index| self.log.get(index)).cloned();
            record.map(for_the_node).ok_or_else(|| missing_record(row, position))
        };
        let records = row.refs.iter().map(|one| record(one.position)).collect::<Result<_, _>>()?;
        Ok(LoadedParked { row: row.clone(), records })
    }
}

fn missing_record(row: &Parked, position: Position) -> StoreError {
    StoreError::Corrupt(CorruptRow {
        table: "parked",
        column: "row",
        row: format!("{} {}", row.stream.subscription, row.first()),
        cause: format!("position {position} is not in the log"),
    })
}
