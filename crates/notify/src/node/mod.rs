//! One running worker, as a state machine without I/O.
//!
//! The persons of the play: the *performer* feeds [`Event`]s and the time to [`Node::handle`] and carries
//! out the [`Command`]s it gets back, each exactly once and in any order; it decides nothing. The
//! *store* holds the log; *receivers* answer attempts.
//!
//! A command may fail, or its answer may never come because the process dies; it never comes twice.
//! Hints ([`Event::Published`], [`Event::Look`]) may be lost, repeated, late or out of order: they only
//! save a poll.

mod config;
mod count;
mod delivery;
mod dispatch;
mod endpoints;
mod fault;
mod incidents;
mod leases;
mod life;
mod machine;
mod overdue;
mod owned;
mod policy;
mod progress;
mod pulses;
mod pushing;
mod reading;
mod recovery;
mod room;
mod sending;
pub(crate) mod spans;
mod stream;
mod surplus;
mod timers;
mod upkeep;
mod wall;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use graph::{ChangeId, ChangeType, Partition, SubscriptionId, Timestamp};
use uuid::Uuid;

use crate::checkpoint::{LoadedParked, PartitionState};
use crate::incident::Incident;
use crate::push_policy::Undelivered;
use crate::retry::RetryAfter;
use crate::subscription::TlsVersion;
use crate::{Checkpoint, Monotonic, Position, Record, Stream, Subscription};

pub use config::NodeConfig;
#[cfg(feature = "planted-faults")]
pub use fault::Fault;
pub use machine::{Node, NodeStats};
pub use wall::Wall;

/// A map of what this server named itself, with a hash that is fast and no secret: nobody else chooses many of its keys. It
/// is walked in the same order in every run, so that a simulated world replays.
type Steady<K, V> = HashMap<K, V, FixedState>;
/// A set of the same.
type SteadySet<K> = HashSet<K, FixedState>;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed: [`Node::wakes_at`] was reached, or the process has just started.
    Tick,
    /// Answer to [`Command::Acquire`] and [`Command::Renew`]: the leases that this node now holds, with
    /// their epochs. `asked` is the command's. An answer to `Renew` names all of them.
    Leases { asked: Monotonic, renewal: bool, held: Vec<(Partition, u64)> },
    /// The store could not answer [`Command::Acquire`] or [`Command::Renew`].
    LeasesFailed { renewal: bool },
    /// Answer to [`Command::ReadState`]; `None`: the store failed.
    State { partition: Partition, epoch: u64, state: Option<PartitionState> },
    /// Answer to [`Command::ReadLog`]; `None`: the store failed.
    Log { partition: Partition, epoch: u64, records: Option<Vec<(Position, Arc<Record>)>> },
    /// Answer to [`Command::ReadParked`]; `None`: the store failed. Fewer deliveries than asked for: no more.
    Parked { partition: Partition, epoch: u64, stream: Stream, rows: Option<Vec<LoadedParked>> },
    /// A hint: these records were committed.
    Published { partition: Partition, records: Vec<(Position, Arc<Record>)> },
    /// A hint: the partition's log may have grown.
    Look { partition: Partition },
    /// The log has become too long: what is parked at or below this position is to be given up, since it cannot be cut before.
    GiveUp { partition: Partition, through: Position },
    /// The API committed this subscription's end; it is answered once this was handled.
    EndCommitted { partition: Partition, subscription: SubscriptionId, position: Position },
    /// Answer to [`Command::Attempt`]; `lacks`: what of it was not told whole, by its place among the notifications.
    Attempted { attempt: u64, outcome: Outcome, lacks: Vec<(usize, Lack)> },
    /// Answer to [`Command::Checkpoint`].
    Checkpointed { partition: Partition, epoch: u64, number: u64, answer: CheckpointAnswer },
    /// Answer to [`Command::Step`]: the step is in the log, or the subscription is not as it was.
    /// `false`: the store failed.
    Stepped { partition: Partition, subscription: SubscriptionId, step: Step, done: bool },
    /// Answer to [`Command::Submit`]. `false`: not all recipients have it yet.
    Submitted { partition: Partition, epoch: u64, position: Position, done: bool },
    /// The process is asked to stop: begin nothing new, record what is known, give the leases back.
    Drain,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take the leases of up to `max` partitions that nobody holds, for `lease_micros`.
    Acquire {
        asked: Monotonic,
        max: usize,
        lease_micros: u64,
    },
    /// Extend every lease that this node holds, for `lease_micros`.
    Renew {
        asked: Monotonic,
        lease_micros: u64,
    },
    /// Everything that was begun has ended and is recorded: give all leases back. No answer.
    Release,
    ReadState {
        partition: Partition,
        epoch: u64,
    },
    ReadLog {
        partition: Partition,
        epoch: u64,
        after: Position,
        limit: usize,
    },
    ReadParked {
        partition: Partition,
        epoch: u64,
        stream: Stream,
        after: Position,
        /// As many rows as it takes to hold so many.
        deliveries: usize,
    },
    Attempt(Attempt),
    Checkpoint(Checkpoint),
    /// Take a step in a subscription's life that time, or its endpoint, has brought.
    Step {
        partition: Partition,
        subscription: Arc<Subscription>,
        step: Step,
    },
    /// Deliver a submitted message to its recipients' mailboxes, each once.
    Submit {
        partition: Partition,
        epoch: u64,
        position: Position,
        record: Arc<Record>,
    },
}

/// A step in a subscription's life that time brings, or its endpoint. Each is taken in the store or not at all, so that whatever
/// its app did before wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask its app to reauthorize, for this time of the cadence, if it is still as the node knows it.
    Ask { record: ChangeId, due: Timestamp },
    /// Pause it, if it is still as the node knows it.
    Pause,
    /// End it as expired, if it still expires when the node believes.
    End,
    /// Tell its app of its open incident, if that opened no later than this one.
    Missed { incident: Incident },
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To tell apps of changes, and of their subscriptions' lives.
    Notify,
    /// To push events of a topic to where one of its event subscriptions says. All notifications are that event
    /// subscription's, and the records of those are `Record::Event`, or replays of such, without their data: whoever sends
    /// them reads the log at their positions. Only a status from 200 to 204 is [`Outcome::Acknowledged`]; any other is
    /// [`Outcome::Refused`].
    Push,
    /// To keep events as dead letters, where one event subscription says. Each notification says why it was given up.
    DeadLetter,
}

/// One request to make: a POST, a publication, or what keeps dead letters.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Unique within this node's life.
    pub id: u64,
    pub purpose: Purpose,
    /// The exact URL, query included. Of a stream of JetStream it is `nats:` and the stream's name; of a container of dead
    /// letters `dead-letters:` and its name.
    pub url: Arc<str>,
    /// The latest version that the endpoint speaks, as all of these subscriptions say.
    pub tls: TlsVersion,
    /// Over DNS, connect, TLS, headers and body.
    pub timeout_micros: u64,
    /// 1 or more, in the order in which they are sent.
    pub notifications: Vec<Notification>,
    /// About how long the body is at most.
    pub estimated_bytes: usize,
    /// How often its notifications have failed before.
    pub failed: u32,
}

/// The content that tells of one match.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Hashed from (change, subscription, change type): the same whoever sends it, whenever.
    pub id: Uuid,
    pub subscription: Arc<Subscription>,
    pub record: Arc<Record>,
    /// Where the record stands in its log.
    pub position: Position,
    /// What the subscription sees; `None` for a lifecycle record, and for an event.
    pub change: Option<ChangeType>,
    /// Its app has lost access, and has not shown since that it has it again: it is told of no content.
    pub access_lost: bool,
    /// Why it is not pushed any more, if its event is to be kept as a dead letter.
    pub given_up: Option<Undelivered>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Any 2xx in time.
    Acknowledged,
    /// Another status; and when it may be tried again, if the endpoint says.
    Refused { status: u16, retry_after: Option<RetryAfter> },
    /// No complete answer in time.
    TimedOut,
    /// The connection could not be made or broke, or the answer was not HTTP.
    Unreachable,
    /// The host's name leads to no address.
    Unresolved,
    /// The outbound policy forbids the target.
    Forbidden,
    /// Nothing was sent, on purpose: it goes when this time has passed.
    Delayed { micros: u64 },
    /// No request was made: nothing was left to send, or it was not ready in time. It says nothing of the endpoint,
    /// and yet it counts as a failed attempt: what could not be made ready waits longer each time.
    NotSent,
}

impl Outcome {
    /// A status that is no 2xx, without a word on when it may be tried again.
    pub const fn refused(status: u16) -> Self {
        Outcome::Refused { status, retry_after: None }
    }
}

/// What keeps a notification from being told whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Its content is larger than may be sent: the request tells of the change without it. Of an event that is pushed: it
    /// is larger than is taken where it goes, and not there.
    TooLarge,
    /// There is nothing that its content could be sealed for: the request does not have it.
    CertificateUnusable,
    /// The app has lost access to its content: the request tells of the change without it.
    AccessLost,
    /// It is not told at all, on purpose: the request does not have it.
    Injected,
    /// An event that is pushed, or kept as a dead letter, is not in the log any more: the request does not have it.
    Gone,
}

/// The store's answer to a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointAnswer {
    Recorded,
    /// Another node holds the partition.
    Fenced,
    /// The last recorded checkpoint has this number.
    OutOfTurn {
        last: u64,
    },
    /// It may or may not have been recorded.
    Unknown,
}
