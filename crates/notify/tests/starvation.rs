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

const ENDPOINTS: u64 = 100;
const MILLISECOND: u64 = 1_000;
const START: Timestamp = Timestamp::from_seconds(1_795_255_200);
/// A change each millisecond, for so long.
const LOAD_MICROS: u64 = 60_000 * MILLISECOND;

fn mailbox(n: u64) -> UserId {
    UserId(Uuid::from_u128(u128::from(n) + 1))
}

fn subscription(n: u64) -> Arc<Subscription> {
    Arc::new(Subscription {
        id: SubscriptionId(mailbox(n).0),
        tenant: TenantId(Uuid::nil()),
        app: AppId(Uuid::nil()),
        creator: mailbox(n),
        resource: "me/messages".to_owned(),
        target: Target::Items { mailbox: mailbox(n), kind: Kind::Message, folder: None },
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url: format!("https://receiver{n}.example.net/"),
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
    hanging: u64,
}

impl World {
    /// The first `hanging` endpoints never answer.
    fn new(hanging: u64) -> Self {
        let mut world = Self {
            node: Node::new(NodeConfig::default()),
            micros: 0,
            agenda: BinaryHeap::new(),
            heads: BTreeMap::new(),
            committed: BTreeMap::new(),
            waits: Vec::new(),
            hanging,
        };
        world.handle(Event::Tick);
        let mut spans: BTreeMap<Partition, Vec<SubscriptionSpan>> = BTreeMap::new();
        for n in 0..ENDPOINTS {
            let span = SubscriptionSpan {
                subscription: subscription(n),
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

    /// A healthy receiver takes 5 to 14 ms.
    fn attempt(&mut self, attempt: &Attempt) {
        let endpoint = attempt.notifications[0].subscription.id.0.as_u128() as u64 - 1;
        if endpoint < self.hanging {
            self.agenda.push(Reverse((self.micros + attempt.timeout_micros, Next::Answer(attempt.id, false))));
            return;
        }
        let answered = self.micros + (5 + attempt.id % 10) * MILLISECOND;
        for notification in &attempt.notifications {
            let Record::Change(change) = &*notification.record else { continue };
            self.waits.push(answered - self.committed[&change.id]);
        }
        self.agenda.push(Reverse((answered, Next::Answer(attempt.id, true))));
    }

    fn commit(&mut self, number: u64) {
        let record = change(number, number % ENDPOINTS);
        let partition = Partition::of(mailbox(number % ENDPOINTS));
        self.committed.insert(ChangeId(Uuid::from_u128(number.into())), self.micros);
        let head = self.heads.entry(partition).or_default();
        *head += 1;
        let records = vec![(Position(*head), Arc::new(record))];
        self.handle(Event::Published { partition, records });
    }

    /// The 99th percentile of what the healthy endpoints' notifications took, in microseconds.
    fn run(mut self) -> u64 {
        for number in 0..LOAD_MICROS / MILLISECOND {
            self.agenda.push(Reverse((number * MILLISECOND, Next::Change(number))));
        }
        while self.micros < LOAD_MICROS + 1_000 * MILLISECOND {
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
        let healthy = LOAD_MICROS / MILLISECOND * (ENDPOINTS - self.hanging) / ENDPOINTS;
        assert_eq!(self.waits.len() as u64, healthy, "every healthy endpoint heard of everything");
        self.waits.sort_unstable();
        self.waits[self.waits.len() * 99 / 100]
    }
}

#[test]
fn one_endpoint_cannot_starve_another() {
    let clean = World::new(0).run();
    let with_a_tenth_hanging = World::new(ENDPOINTS / 10).run();
    assert!(with_a_tenth_hanging <= 2 * clean, "p99 {with_a_tenth_hanging} µs, and {clean} µs when none hangs");
}
