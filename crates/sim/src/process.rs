//! A process that runs a node: its lives, its clocks, and what waits for it while it stands still.

use notify::node::{Node, NodeConfig};
use notify::{Event, Monotonic, Now, Parked};
use store::NodeId;
use uuid::Uuid;

use crate::invariants::SMALL_SKEW_MICROS;
use crate::storage::date;

/// A process in one of its lives. What is addressed to an earlier life never arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    pub process: usize,
    pub life: u32,
}

impl Life {
    /// The name under which this life holds leases.
    pub fn node_id(self) -> NodeId {
        NodeId(Uuid::from_u128(0x1000 + (self.process as u128) * 0x10_0000 + u128::from(self.life)))
    }
}

/// An event on its way to a node; with a partition's state, the rows that were parked when it was read.
#[derive(Clone, Debug)]
pub struct Letter {
    pub event: Event,
    pub rows: Option<Vec<Parked>>,
}

impl From<Event> for Letter {
    fn from(event: Event) -> Self {
        Self { event, rows: None }
    }
}

/// One of the world's machines.
pub struct Process {
    pub life: Life,
    /// `None` while it is down.
    pub node: Option<Node>,
    mono_base: u64,
    /// It does not start before this time of the world.
    pub down_until: u64,
    /// By how much its wall clock is wrong.
    pub skew_micros: i64,
    /// What it was wrong by when the node first saw it so, and when that was.
    seen: Option<(i64, u64)>,
    pub paused: bool,
    pub waiting: Vec<Letter>,
    /// The only wake-up that counts.
    pub wake: u64,
    pub wake_at: Option<u64>,
    /// Wake-ups at one and the same time, to notice a node that spins.
    pub wakes_now: (u64, u32),
    /// It crashes when it has given so many more commands.
    pub fuse: Option<u32>,
    pub draining: bool,
}

impl Process {
    pub fn new(process: usize) -> Self {
        Self {
            life: Life { process, life: 0 },
            node: None,
            mono_base: 0,
            down_until: 0,
            skew_micros: 0,
            seen: None,
            paused: false,
            waiting: Vec::new(),
            wake: 0,
            wake_at: None,
            wakes_now: (0, 0),
            fuse: None,
            draining: false,
        }
    }

    /// Begins a new life, whose monotonic clock shows `mono_base` at the world's beginning.
    pub fn start(&mut self, config: NodeConfig, mono_base: u64) {
        self.stop();
        self.life.life += 1;
        self.node = Some(Node::new(config));
        self.mono_base = mono_base;
        self.seen = None;
    }

    pub fn stop(&mut self) {
        self.node = None;
        self.paused = false;
        self.waiting.clear();
        self.wake += 1;
        self.wake_at = None;
        self.fuse = None;
        self.draining = false;
    }

    /// The node looks at its clocks. How long it has seen the wall clock wrong by about as much: what it was meanwhile, while
    /// nobody looked, it has not been.
    pub fn look(&mut self, at: u64) -> u64 {
        let near = |(skew, _): &(i64, u64)| self.skew_micros.saturating_sub(*skew).abs() <= SMALL_SKEW_MICROS;
        let (skew, since) = self.seen.filter(near).unwrap_or((self.skew_micros, at));
        self.seen = Some((skew, since));
        at.saturating_sub(since)
    }

    pub fn now(&self, at: u64) -> Now {
        Now { wall: date(at).plus_micros(self.skew_micros), mono: Monotonic(self.mono_base + at) }
    }

    /// The world's time when this process's monotonic clock shows `mono`.
    pub fn at(&self, mono: Monotonic) -> u64 {
        mono.0.saturating_sub(self.mono_base)
    }
}
