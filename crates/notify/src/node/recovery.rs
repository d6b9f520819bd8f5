//! When an endpoint is back, and what has failed there then: it need not wait as long as the last of its failures asked.

use std::collections::BTreeSet;

use super::Command;
use super::machine::Node;
use super::sending::StreamAt;
use crate::{Monotonic, Now};

/// An endpoint that acknowledges something is back if it had acknowledged nothing for so long. One that refuses some of
/// what it is sent and takes the rest never was away: what it refuses keeps its back-off.
const AWAY_MICROS: u64 = 30_000_000;

/// What an endpoint has failed to take, and when it last took something.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Streams with something that has failed, or may have before this node took them over.
    failing: BTreeSet<StreamAt>,
    acknowledged: Option<Monotonic>,
}

impl Recovery {
    pub(super) fn failed(&mut self, stream: StreamAt) {
        self.failing.insert(stream);
    }

    pub(super) fn forget(&mut self, stream: &StreamAt) {
        self.failing.remove(stream);
    }

    /// It has acknowledged an attempt. Returns the streams whose failures need wait no longer, if it is back.
    pub(super) fn acknowledged(&mut self, now: Monotonic) -> BTreeSet<StreamAt> {
        let was_away = self.acknowledged.is_none_or(|last| now.since(last) >= AWAY_MICROS);
        self.acknowledged = Some(now);
        if was_away { std::mem::take(&mut self.failing) } else { BTreeSet::new() }
    }
}

impl Node {
    /// The endpoint of these streams is back: what has failed there goes sooner.
    pub(super) fn recovered(&mut self, streams: BTreeSet<StreamAt>, now: Now, commands: &mut Vec<Command>) {
        let mut woken = BTreeSet::new();
        for at in streams {
            let Some(owned) = self.partitions.get_mut(&at.0) else { continue };
            if owned.wake(at.1) {
                woken.insert(at.0);
            }
            if let Some(state) = owned.streams.get_mut(&at.1) {
                state.bring_forward();
                self.wake_stream(at, now.mono);
            }
        }
        for partition in woken {
            self.read_tails(partition, commands);
            self.schedule(partition, now);
        }
    }
}
