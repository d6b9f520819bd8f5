//! A node with many endpoints in virtual time: what those that hang cost the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use graph::{
    AppId, Change, ChangeId, ChangeType, ItemId, Kind, Partition, Properties, SubscriptionId, TenantId, Timestamp,
    UserId, WellKnown,
};
use tidings_notify::checkpoint::{PartitionState, SubscriptionSpan};
use tidings_notify::node::{Attempt, CheckpointAnswer, Outcome};
use tidings_notify::subscription::{Target, TlsVersion};
use tidings_notify::{Command, Event, Monotonic, Node, NodeConfig, Now, Position, Record, Subscription};
use uuid::Uuid;

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const START: Timestamp = Timestamp::from_seconds(1_795_255_200);

/// What a node has to do.
#[derive(Clone, Copy)]
struct Load {
    /// Each with an origin of its own.
    endpoints: u64,
    /// Each with a mailbox of its own, and in turn with one of the endpoints.
    subscriptions: u64,
    /// A change to each mailbox in turn, for so long.
    every_micros: u64,
    micros: u64,
    /// The least time that a receiver takes, and how much longer it may.
    answer_millis: (u64, u64),
    /// Whether a tenth of the endpoints, each tenth in their turn, never answers.
    a_tenth_hangs: bool,
}

/// A thousand changes a second to a hundred endpoints.
const SMALL: Load = Load {
    endpoints: 100,
    subscriptions: 100,
    every_micros: MILLISECOND,
    micros: 60 * SECOND,
    answer_millis: (5, 10),
    a_tenth_hangs: false,
};

impl Load {
    fn endpoint(&self, subscription: u64) -> u64 {
        subscription % self.endpoints
    }

    fn hangs(&self, subscription: u64) -> bool {
        self.a_tenth_hangs && self.endpoint(subscription).is_multiple_of(10)
    }

    fn changes(&self) -> u64 {
        self.micros / self.every_micros
    }
}

fn mailbox(n: u64) -> UserId {
    UserId(Uuid::from_u128(u128::from(n) + 1))
}

fn subscription(n: u64, endpoint: u64) -> Arc<Subscription> {
    Arc::new(Subscription {
        id: SubscriptionId(mailbox(n).0),
        tenant: TenantId(Uuid::nil()),
        app: AppId(Uuid::nil()),
        creator: mailbox(n),
        resource: "me/messages".to_owned(),
        target: Target::Items { mailbox: mailbox(n), kind: Kind::Message, folder: None },
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url: format!("https://receiver{endpoint}.example.net/"),
        lifecycle_url: None,
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        expires: START.plus_minutes(24 * 60),
        expires_tenths: 0,
        authorized: START,
        created: START,
    })
}

fn change(number: u64, n: u64) -> Record {
    Record::Change(Change {
        id: ChangeId(Uuid::from_u128(number.into())),
        tenant: TenantId(Uuid::nil()),
        mailbox: mailbox(n),
        item: ItemId::new(Kind::Message, Uuid::from_u128(number.into())),
        immutable: None,
        moved: None,
        folder: WellKnown::Inbox.id_in(mailbox(n)),
        change: ChangeType::Created,
        at: START,
        created: START,
        after: graph::Carried::default(),
        before: Properties::new(),
    })
}

/// What is to happen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Change(u64),
    Answer(u64, bool),
    Checkpointed(Partition, u64),
}

struct World {
    node: Node,
    micros: u64,
    agenda: BinaryHeap<Reverse<(u64, Next)>>,
    heads: BTreeMap<Partition, u64>,
    /// When each change was committed.
    committed: BTreeMap<ChangeId, u64>,
    waits: Vec<u64>,
    load: Load,
}

impl World {
    fn new(load: Load) -> Self {
        let mut world = Self {
            node: Node::new(NodeConfig::default()),
            micros: 0,
            agenda: BinaryHeap::new(),
            heads: BTreeMap::new(),
            committed: BTreeMap::new(),
            waits: Vec::new(),
            load,
        };
        world.handle(Event::Tick);
        let mut spans: BTreeMap<Partition, Vec<SubscriptionSpan>> = BTreeMap::new();
        for n in 0..load.subscriptions {
            let span = SubscriptionSpan {
                subscription: subscription(n, load.endpoint(n)),
                began: Position(0),
                ended: None,
                standing: <_>::default(),
                incident: None,
            };
            spans.entry(Partition::of(mailbox(n))).or_default().push(span);
        }
        let held = spans.keys().map(|partition| (*partition, 1)).collect();
        world.handle(Event::Leases { asked: Monotonic(0), renewal: false, held });
        for (partition, subscriptions) in spans {
            world.heads.insert(partition, 0);
            let state = PartitionState { subscriptions, ..PartitionState::default() };
            world.handle(Event::State { partition, epoch: 1, state: Some(state) });
        }
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { wall: START.plus_micros(self.micros as i64), mono: Monotonic(self.micros) };
        let mut commands = Vec::new();
        self.node.handle(event, now, &mut commands);
        for command in commands {
            self.perform(command);
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Attempt(attempt) => self.attempt(&attempt),
            Command::Checkpoint(checkpoint) => {
                let done = Next::Checkpointed(checkpoint.partition, checkpoint.number);
                self.agenda.push(Reverse((self.micros + MILLISECOND, done)));
            }
            Command::Renew { asked, .. } => {
                let held = self.heads.keys().map(|partition| (*partition, 1)).collect();
                self.handle(Event::Leases { asked, renewal: true, held });
            }
            Command::ReadLog { partition, epoch, .. } => {
                self.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
            }
            _ => {}
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let subscription = attempt.notifications[0].subscription.id.0.as_u128() as u64 - 1;
        if self.load.hangs(subscription) {
            self.agenda.push(Reverse((self.micros + attempt.timeout_micros, Next::Answer(attempt.id, false))));
            return;
        }
        let (least, more) = self.load.answer_millis;
        let answered = self.micros + (least + attempt.id % more) * MILLISECOND;
        for notification in &attempt.notifications {
            let Record::Change(change) = &*notification.record else { continue };
            self.waits.push(answered - self.committed[&change.id]);
        }
        self.agenda.push(Reverse((answered, Next::Answer(attempt.id, true))));
    }

    fn commit(&mut self, number: u64) {
        let subscription = number % self.load.subscriptions;
        let record = change(number, subscription);
        let partition = Partition::of(mailbox(subscription));
        self.committed.insert(ChangeId(Uuid::from_u128(number.into())), self.micros);
        let head = self.heads.entry(partition).or_default();
        *head += 1;
        let records = vec![(Position(*head), Arc::new(record))];
        self.handle(Event::Published { partition, records });
    }

    /// The 99th percentile of what the healthy endpoints' notifications took, in microseconds.
    fn run(mut self) -> u64 {
        for number in 0..self.load.changes() {
            self.agenda.push(Reverse((number * self.load.every_micros, Next::Change(number))));
        }
        while self.micros < self.load.micros + SECOND {
            let next = self.agenda.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            let wakes = self.node.wakes_at().map_or(u64::MAX, |at| at.0);
            if wakes < next {
                self.micros = wakes.max(self.micros);
                self.handle(Event::Tick);
                continue;
            }
            let Some(Reverse((at, next))) = self.agenda.pop() else { break };
            self.micros = self.micros.max(at);
            match next {
                Next::Change(number) => self.commit(number),
                Next::Answer(attempt, acknowledged) => {
                    let outcome = if acknowledged { Outcome::Acknowledged } else { Outcome::TimedOut };
                    self.handle(Event::Attempted { attempt, outcome, lacks: Vec::new() });
                }
                Next::Checkpointed(partition, number) => {
                    let answer = CheckpointAnswer::Recorded;
                    self.handle(Event::Checkpointed { partition, epoch: 1, number, answer });
                }
            }
        }
        let healthy = (0..self.load.changes()).filter(|number| !self.load.hangs(number % self.load.subscriptions));
        assert_eq!(self.waits.len(), healthy.count(), "every healthy endpoint heard of everything");
        self.waits.sort_unstable();
        self.waits[self.waits.len() * 99 / 100]
    }
}

/// The 99th percentile of the others' waiting stays within twice what it is when none hangs.
fn no_other_waits(load: Load) {
    let clean = World::new(load).run();
    let with_a_tenth_hanging = World::new(Load { a_tenth_hangs: true, ..load }).run();
    assert!(with_a_tenth_hanging <= 2 * clean, "p99 {with_a_tenth_hanging} µs, and {clean} µs when none hangs");
}

#[test]
fn one_endpoint_cannot_starve_another() {
    no_other_waits(SMALL);
}

#[test]
fn a_thousand_of_ten_thousand_endpoints_that_hang_keep_no_other_waiting() {
    let (endpoints, subscriptions, answer_millis) = (10_000, 10_000, (30, 50));
    let (every_micros, micros) = (500, 30 * SECOND);
    no_other_waits(Load { endpoints, subscriptions, every_micros, micros, answer_millis, ..SMALL });
}

#[test]
fn endpoints_that_hang_do_not_take_a_slot_for_each_of_their_subscriptions() {
    let (endpoints, subscriptions) = (1_000, 20_000);
    let (every_micros, micros) = (200, 15 * SECOND);
    no_other_waits(Load { endpoints, subscriptions, every_micros, micros, ..SMALL });
}
