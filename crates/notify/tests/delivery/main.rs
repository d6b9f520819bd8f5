//! What one node commands for one subscriber. Here is a world of one node and one partition for the stories of the
//! modules; the promises over all worlds are the simulator's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::registry::{self, Happened, Ingested};
use graph::{
    AppId, Change, ChangeId, ChangeType, Content, FolderId, ItemId, Kind, Partition, Properties, SubmissionId,
    SubscriptionId, TenantId, Timestamp, UserId, WellKnown,
};
use protocol::envelope::EncryptedContent;
use tidings_notify::checkpoint::{LoadedParked, Parked, ParkedRef, PartitionState, StreamKind, SubscriptionSpan};
use tidings_notify::node::{Attempt, CheckpointAnswer, Lack, Outcome, Purpose, Step};
use tidings_notify::notification::{NoToken, Sealing};
use tidings_notify::reauthorization::Standing;
use tidings_notify::retry::RetryAfter;
use tidings_notify::subscription::{Extras, Target, TlsVersion, Watched};
use tidings_notify::{
    AbandonReason, Cause, Command, EndReason, EndpointId, Event, Health, Interest, LedgerDelta, LifecycleEvent,
    Monotonic, Node, NodeConfig, Now, Position, Record, StoredHealth, Stream, Submission, Subscription,
    SubscriptionEvent, notification, reauthorization,
};
use uuid::Uuid;

mod attempts;
mod content;
mod faults;
mod health;
mod incidents;
mod lives;
mod overdue;
mod parking;
mod pushing;
mod recounted;
mod replays;
mod resources;
mod room;
mod surplus;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;
const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);
const MEGAN: UserId = UserId(Uuid::from_u128(2));
const EPOCH: u64 = 1;

fn subscription() -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(1)),
        tenant: TenantId(Uuid::from_u128(3)),
        app: AppId(Uuid::from_u128(4)),
        creator: MEGAN,
        resource: "me/messages".to_owned(),
        target: messages_in(None),
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url: "https://hook.example.net/n".to_owned(),
        lifecycle_url: Some("https://hook.example.net/l".to_owned()),
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        expires: NOW.plus_minutes(24 * 60),
        expires_tenths: 0,
        authorized: NOW,
        created: NOW,
    }
}

fn messages_in(folder: Option<FolderId>) -> Target {
    Target::Items { mailbox: MEGAN, kind: Kind::Message, folder }
}

/// The creation of the message of that number in a folder of Megan's.
fn created(number: u64, folder: FolderId) -> Change {
    Change {
        id: ChangeId(Uuid::from_u128(number.into())),
        tenant: TenantId(Uuid::from_u128(3)),
        mailbox: MEGAN,
        item: ItemId::new(folder.kind, Uuid::from_u128(number.into())),
        immutable: None,
        moved: None,
        folder,
        change: ChangeType::Created,
        at: NOW,
        created: NOW,
        after: graph::Carried::default(),
        before: Properties::new(),
    }
}

fn span(subscription: Subscription, standing: Standing) -> SubscriptionSpan {
    SubscriptionSpan { subscription: Arc::new(subscription), began: Position(1), ended: None, standing, incident: None }
}

/// A node that owns Megan's partition, and everything around it.
struct World {
    node: Node,
    micros: u64,
    held: Vec<Partition>,
    head: u64,
    attempts: Vec<Attempt>,
    /// Attempts of this purpose never end.
    hanging: Option<Purpose>,
    others: Vec<Command>,
    /// What is stored of the health of endpoints.
    health: BTreeMap<EndpointId, StoredHealth>,
    /// The partitions whose checkpoints have said something of it.
    said: BTreeSet<Partition>,
}

impl World {
    fn new(subscription: Subscription) -> Self {
        Self::with([subscription])
    }

    fn with(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        let spans = subscriptions.into_iter().map(|subscription| span(subscription, Standing::default()));
        Self::from(PartitionState {
            cursor: Position(1),
            head: Position(1),
            wall: NOW,
            subscriptions: spans.collect(),
            ..<_>::default()
        })
    }

    fn from(state: PartitionState) -> Self {
        Self::of(NodeConfig::default(), state)
    }

    fn of(config: NodeConfig, state: PartitionState) -> Self {
        Self::at(0, config, state)
    }

    /// A world that begins so long after `NOW`.
    fn at(micros: u64, config: NodeConfig, state: PartitionState) -> Self {
        let (node, health) = (Node::new(config), state.health.clone());
        let (attempts, others, held) = (Vec::new(), Vec::new(), vec![Partition::of(MEGAN)]);
        let (hanging, said) = (None, BTreeSet::new());
        let mut world = Self { node, micros, held, head: 1, attempts, hanging, others, health, said };
        let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
        world.handle(Event::Tick);
        world.renew();
        world.head = state.head.0;
        world.handle(Event::State { partition, epoch, state: Some(state) });
        world.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { wall: NOW.plus_micros(self.micros as i64), mono: Monotonic(self.micros) };
        let mut commands = Vec::new();
        self.node.handle(event, now, &mut commands);
        for command in commands {
            match command {
                Command::Attempt(attempt) if Some(attempt.purpose) == self.hanging => {}
                Command::Attempt(attempt) => self.attempts.push(attempt),
                other => self.others.push(other),
            }
        }
    }

    fn renew(&mut self) {
        let held = self.held.iter().map(|partition| (*partition, EPOCH)).collect();
        self.handle(Event::Leases { asked: Monotonic(self.micros), renewal: self.head > 1, held });
    }

    fn append(&mut self, records: impl IntoIterator<Item = Record>) {
        let numbered = records.into_iter().map(|record| {
            self.head += 1;
            (Position(self.head), Arc::new(record))
        });
        let records = numbered.collect();
        self.handle(Event::Published { partition: Partition::of(MEGAN), records });
    }

    fn messages(&mut self, count: u64) {
        let (first, inbox) = (self.head, WellKnown::Inbox.id_in(MEGAN));
        self.append((first..first + count).map(|number| Record::Change(created(number, inbox))));
    }

    /// Lets time pass, with the lease renewed and every timer run.
    fn pass(&mut self, micros: u64) {
        let end = self.micros + micros;
        while self.micros < end {
            let wakes = self.node.wakes_at().map_or(end, |at| at.0.max(self.micros + 1));
            self.micros = wakes.min(end);
            self.renew();
            self.handle(Event::Tick);
        }
    }

    /// The same, while no lease is extended.
    fn ticks(&mut self, micros: u64) {
        let end = self.micros + micros;
        while self.micros < end {
            let wakes = self.node.wakes_at().map_or(end, |at| at.0.max(self.micros + 1));
            self.micros = wakes.min(end);
            self.handle(Event::Tick);
        }
    }

    /// Records the checkpoints that the node asked for; what they add to the ledger.
    fn recorded(&mut self) -> Vec<LedgerDelta> {
        let mut deltas = Vec::new();
        for command in std::mem::take(&mut self.others) {
            let Command::Checkpoint(checkpoint) = command else {
                self.others.push(command);
                continue;
            };
            let (partition, epoch, number) = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
            deltas.extend(checkpoint.ledger.into_values());
            self.said.extend((!checkpoint.health.is_empty()).then_some(partition));
            for (endpoint, health) in checkpoint.health {
                match health {
                    Some(health) => drop(self.health.insert(endpoint, health)),
                    None => drop(self.health.remove(&endpoint)),
                }
            }
            self.handle(Event::Checkpointed { partition, epoch, number, answer: CheckpointAnswer::Recorded });
        }
        deltas
    }

    fn answer(&mut self, attempt: &Attempt, outcome: Outcome) {
        self.answer_lacking(attempt, outcome, &[]);
    }

    fn answer_lacking(&mut self, attempt: &Attempt, outcome: Outcome, lacks: &[(usize, Lack)]) {
        self.handle(Event::Attempted { attempt: attempt.id, outcome, lacks: lacks.to_vec() });
    }

    fn attempts(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.attempts)
    }

    fn attempt(&mut self) -> Attempt {
        let mut attempts = self.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        attempts.remove(0)
    }
}

/// For who asks for no content.
struct Unsealed;

impl Sealing for Unsealed {
    fn content(&self, _: &Arc<Subscription>) -> Result<Arc<Content>, Lack> {
        unreachable!("nobody asked for content")
    }

    fn seal(&self, _: &Arc<Subscription>, _: &[u8]) -> Result<EncryptedContent, Lack> {
        unreachable!("nobody asked for content")
    }

    fn token(&self, _: &Arc<Subscription>) -> Result<String, NoToken> {
        unreachable!("nobody asked for content")
    }
}

fn body(attempt: &Attempt) -> String {
    let body = notification::body(&attempt.notifications, 0, &Unsealed).unwrap();
    String::from_utf8(body.bytes.unwrap()).unwrap()
}

/// What the ledgers say in all, when all that was begun is recorded.
fn ledger(world: &mut World) -> LedgerDelta {
    let mut sum = LedgerDelta::default();
    for _ in 0..4 {
        world.pass(SECOND);
        world.recorded().iter().for_each(|delta| sum.add(delta));
    }
    assert!(sum.balances(), "{sum:?}");
    sum
}

/// The times of the cadence for which the node asks, with when it does so, in seconds since `NOW`.
fn asked(world: &World) -> Vec<i64> {
    let times = world.others.iter().filter_map(|command| match command {
        Command::Step { step: Step::Ask { due, .. }, .. } => Some(due.since(NOW) / SECOND as i64),
        _ => None,
    });
    times.collect()
}

fn loses_access() -> Record {
    let (subscription, event) = (subscription().id, LifecycleEvent::ReauthorizationRequired);
    let cause = Some(Cause::AccessLost { at: NOW });
    Record::Lifecycle { id: ChangeId(Uuid::from_u128(0xacce55)), subscription, event, cause }
}

/// A node that has taken over a subscription of that standing with a parked delivery, which is due then.
fn taken_over(subscription: Subscription, standing: Standing, due: Timestamp) -> World {
    let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
    let stream = Stream { subscription: subscription.id, kind: StreamKind::Changes };
    let mut world = World::from(PartitionState {
        cursor: Position(9),
        head: Position(9),
        wall: NOW,
        subscriptions: vec![span(subscription, standing)],
        parked: BTreeMap::from([(stream, 700)]),
        ..<_>::default()
    });
    let reference = ParkedRef { position: Position(5), change: Some(ChangeType::Created) };
    let row =
        Parked { stream, refs: vec![reference], attempts: 4, due, since: NOW, batch_max: 1, pushed: None, bytes: 700 };
    let records = vec![Arc::new(Record::Change(created(5, WellKnown::Inbox.id_in(MEGAN))))];
    world.handle(Event::Parked { partition, epoch, stream, rows: Some(vec![LoadedParked { row, records }]) });
    world
}

/// Records what the node has to record.
fn settle(world: &mut World) {
    for _ in 0..4 {
        world.pass(SECOND);
        world.recorded();
    }
}

/// A new message in Megan's inbox.
fn message(number: u64) -> Record {
    Record::Change(created(number, WellKnown::Inbox.id_in(MEGAN)))
}
