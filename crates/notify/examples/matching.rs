//! Measures a node that holds many subscriptions: memory for each idle one, and the time that it takes to
//! look a change up that none of its mailbox hears of, and to have an attempt ready for one that one hears of.
//! `cargo run --release -p tidings-notify --example matching [SUBSCRIPTIONS]...`
// It measures, so it needs a clock and looks at its own memory.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graph::{
    AppId, Change, ChangeId, ChangeType, FolderId, ItemId, Kind, Partition, Properties, SubscriptionId, TenantId,
    Timestamp, UserId, WellKnown,
};
use serde_json::json;
use tidings_notify::checkpoint::{PartitionState, SubscriptionSpan};
use tidings_notify::node::{CheckpointAnswer, Outcome};
use tidings_notify::subscription::{Target, TlsVersion};
use tidings_notify::{Command, Event, Monotonic, Node, NodeConfig, Now, Position, Record, Subscription};
use uuid::Uuid;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);
const PER_MAILBOX: u128 = 10;
const CHANGES: u64 = 100_000;

fn main() {
    let asked: Vec<u128> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![1_000, 100_000, 1_000_000] } else { asked };
    println!(
        "| subscriptions | mailboxes | bytes each | idle again | unheard, p50 µs | heard, p50 µs | p99 µs | mean µs | \
         told, mean µs |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let (heard, unheard) = (&mut vec![Duration::MAX; CHANGES as usize], &mut vec![Duration::MAX; CHANGES as usize]);
    let at_start = resident_bytes();
    for size in sizes {
        measure(size, at_start, heard, unheard);
    }
}

/// What stays with the allocator from an earlier size is counted as well.
fn measure(subscriptions: u128, at_start: u64, heard: &mut [Duration], unheard: &mut [Duration]) {
    let mailboxes = subscriptions / PER_MAILBOX;
    let mut world = World::new(mailboxes);
    let each = |now: u64| now.saturating_sub(at_start) / subscriptions as u64;
    let idle = each(resident_bytes());
    let mut told = Duration::ZERO;
    for (number, time) in (0..).zip(&mut *heard) {
        let (taken, telling) = world.change(number, mailboxes, WellKnown::Inbox);
        *time = taken;
        told += taken + telling;
    }
    world.rest();
    let again = each(resident_bytes());
    for (number, time) in (CHANGES..).zip(&mut *unheard) {
        *time = world.change(number, mailboxes, WellKnown::Drafts).0;
    }
    let mean = heard.iter().sum::<Duration>() / CHANGES as u32;
    let micros = |time: Duration| time.as_nanos() as f64 / 1_000.0;
    let percentile = |times: &mut [Duration], part: usize| {
        times.sort_unstable();
        micros(times[times.len() * part / 100])
    };
    println!(
        "| {subscriptions} | {mailboxes} | {idle} | {again} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
        percentile(unheard, 50),
        percentile(heard, 50),
        percentile(heard, 99),
        micros(mean),
        micros(told / CHANGES as u32),
    );
    assert_eq!(world.acknowledged, CHANGES, "each change was told once");
}

fn mailbox(number: u128) -> UserId {
    UserId(Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1))
}

/// One of a mailbox's subscriptions; of them one hears of new unread mail in the Inbox.
fn subscription(owner: u128, number: u128) -> Subscription {
    let mailbox = mailbox(owner);
    let (kind, folder, filter) = match number {
        0 | 3 | 4 => (Kind::Message, Some(WellKnown::Inbox), ""),
        1 => (Kind::Event, Some(WellKnown::Calendar), ""),
        2 => (Kind::Contact, None, ""),
        5 => (Kind::Message, Some(WellKnown::SentItems), ""),
        6 => (Kind::Message, None, "?$filter=hasAttachments eq true and importance eq 'high'"),
        7 => (Kind::Message, None, "?$filter=from/emailAddress/address eq 'adele@contoso.test'"),
        8 => (Kind::Message, None, "?$filter=isRead eq true"),
        _ => (Kind::Message, Some(WellKnown::Archive), ""),
    };
    let changes = match number {
        3 => &[ChangeType::Deleted][..],
        4 => &[ChangeType::Updated],
        _ => &ChangeType::ALL,
    };
    let place = folder.filter(|_| kind == Kind::Message).map(|folder| format!("mailFolders('{}')/", folder.name()));
    let url = format!("https://hooks-{number}.example.net/notifications/{:032x}?tenant=contoso", owner);
    Subscription {
        id: SubscriptionId(Uuid::from_u128(mailbox.0.as_u128() ^ (number << 64))),
        tenant: TenantId(Uuid::from_u128(3)),
        app: AppId(Uuid::from_u128(4 + number)),
        creator: mailbox,
        resource: format!("users/{mailbox}/{}{}{filter}", place.unwrap_or_default(), kind.collection()),
        target: Target::Items { mailbox, kind, folder: folder.map(|folder| folder.id_in(mailbox)) },
        change_types: changes.iter().copied().collect(),
        change_type: changes.iter().map(|change| change.as_str()).collect::<Vec<_>>().join(","),
        lifecycle_url: number.is_multiple_of(2).then(|| format!("{url}&lifecycle=true")),
        notification_url: url,
        client_state: Some(format!("{:032x}", owner ^ number)),
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: number.is_multiple_of(2),
        expires: NOW.plus_minutes(3 * 24 * 60),
        expires_tenths: 0,
        authorized: NOW,
        created: NOW,
    }
}

/// As the store reads it: no text has more room than it needs.
fn read_back(subscription: &Subscription) -> Subscription {
    let stored = serde_json::to_vec(subscription).expect("a subscription has a JSON form");
    serde_json::from_slice(&stored).expect("what was written is read")
}

/// An unread message with what lists show of one.
fn message(owner: UserId, number: u64, folder: FolderId) -> Change {
    let person = |name: &str| json!({ "emailAddress": { "name": name, "address": format!("{name}@contoso.test") } });
    let properties = json!({
        "subject": format!("Notes {number}"), "bodyPreview": "The quick brown fox jumps over the lazy dog. ".repeat(4),
        "importance": "normal", "isRead": false, "hasAttachments": false, "categories": [], "isDraft": false,
        "from": person("diego"), "sender": person("diego"), "toRecipients": [person("megan"), person("lee")],
        "receivedDateTime": "2026-11-21T10:00:00Z", "sentDateTime": "2026-11-21T10:00:00Z",
        "conversationId": "AAQkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=", "flag": { "flagStatus": "notFlagged" },
    });
    let after = properties.as_object().cloned().unwrap_or_default();
    let uuid = Uuid::from_u128(u128::from(number) << 64 | 7);
    Change {
        id: ChangeId(uuid),
        tenant: TenantId(Uuid::from_u128(3)),
        mailbox: owner,
        item: ItemId::new(Kind::Message, uuid),
        immutable: None,
        moved: None,
        folder,
        change: ChangeType::Created,
        at: NOW,
        created: NOW,
        after: after.into(),
        before: Properties::new(),
    }
}

struct World {
    node: Node,
    heads: BTreeMap<Partition, u64>,
    micros: u64,
    acknowledged: u64,
    commands: Vec<Command>,
}

impl World {
    /// A node that owns all partitions and has read the state of each.
    fn new(mailboxes: u128) -> Self {
        let mut states: BTreeMap<Partition, Vec<SubscriptionSpan>> = BTreeMap::new();
        for owner in 0..mailboxes {
            let spans = states.entry(Partition::of(mailbox(owner))).or_default();
            spans.extend((0..PER_MAILBOX).map(|number| {
                let subscription = Arc::new(read_back(&subscription(owner, number)));
                SubscriptionSpan {
                    subscription,
                    began: Position(1),
                    ended: None,
                    standing: <_>::default(),
                    incident: None,
                }
            }));
        }
        let (node, heads, commands) = (Node::new(NodeConfig::default()), BTreeMap::new(), Vec::new());
        let mut world = Self { node, heads, micros: 0, acknowledged: 0, commands };
        let held = states.keys().map(|partition| (*partition, 1)).collect();
        world.handle(Event::Tick);
        world.handle(Event::Leases { asked: Monotonic(0), renewal: false, held });
        for (partition, subscriptions) in states {
            let at = Position(1);
            let state = PartitionState { cursor: at, head: at, wall: NOW, subscriptions, ..<_>::default() };
            world.handle(Event::State { partition, epoch: 1, state: Some(state) });
            world.handle(Event::Log { partition, epoch: 1, records: Some(Vec::new()) });
            world.heads.insert(partition, 1);
        }
        world.commands.clear();
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { wall: NOW.plus_micros(self.micros as i64), mono: Monotonic(self.micros) };
        self.node.handle(event, now, &mut self.commands);
    }

    /// A change of some mailbox: how long the node takes from hearing of it to having an attempt ready if
    /// there is to be one, and then until that is acknowledged and recorded.
    fn change(&mut self, number: u64, mailboxes: u128, folder: WellKnown) -> (Duration, Duration) {
        let owner = mailbox(u128::from(number.wrapping_mul(2_654_435_761)) % mailboxes);
        let partition = Partition::of(owner);
        let head = self.heads.entry(partition).or_default();
        *head += 1;
        let record = Arc::new(Record::Change(message(owner, number, folder.id_in(owner))));
        let event = Event::Published { partition, records: vec![(Position(*head), record)] };
        self.micros += 20;
        let begun = Instant::now();
        self.handle(event);
        let taken = begun.elapsed();
        let begun = Instant::now();
        self.answer();
        (taken, begun.elapsed())
    }

    /// Long enough for all to be recorded and for streams that have nothing to send to be forgotten.
    fn rest(&mut self) {
        for _ in 0..8 {
            self.micros += 500_000;
            self.handle(Event::Tick);
            self.answer();
        }
    }

    /// Carries out what the node commands: receivers acknowledge, the store records.
    fn answer(&mut self) {
        while let Some(command) = self.commands.pop() {
            match command {
                Command::Attempt(attempt) => {
                    self.acknowledged += attempt.notifications.len() as u64;
                    self.handle(Event::Attempted {
                        attempt: attempt.id,
                        outcome: Outcome::Acknowledged,
                        lacks: Vec::new(),
                    });
                }
                Command::Checkpoint(checkpoint) => {
                    let (partition, number) = (checkpoint.partition, checkpoint.number);
                    let (epoch, answer) = (checkpoint.epoch, CheckpointAnswer::Recorded);
                    self.handle(Event::Checkpointed { partition, epoch, number, answer });
                }
                Command::ReadLog { partition, epoch, .. } => {
                    self.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
                }
                _ => {}
            }
        }
    }
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}
