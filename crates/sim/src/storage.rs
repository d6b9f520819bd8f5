//! The store of a world: the checked model, whose every partition but the world's own is held by somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Partition, SubscriptionId, TenantId, Timestamp, UserId};
use notify::checkpoint::PartitionState;
use notify::node::CheckpointAnswer;
use notify::recount::Books;
use notify::retention::LogExtent;
use notify::{Checkpoint, LedgerDelta, Parked, Position, Record};
use store::memory::Model;
use store::{CheckpointError, Lease, NodeId, Tenant, User};
use uuid::Uuid;

use crate::planted::Planted;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e4a));

/// True time 0, which is also the time of the store's clock.
const EPOCH_SECONDS: i64 = 1_767_225_600;
/// What the ledger of a subscription says before anything is counted.
static NOTHING: LedgerDelta = LedgerDelta { matched: 0, delivered: 0, parked: 0, abandoned: BTreeMap::new() };
const FOREVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// The date at a time of the world, in microseconds.
pub fn date(at: u64) -> Timestamp {
    Timestamp::from_seconds(EPOCH_SECONDS).plus_micros(at as i64)
}

/// The model, and what the world remembers of its leases and checkpoints.
pub struct Storage {
    pub model: Model,
    leases: BTreeMap<Partition, Held>,
    /// The planted faults: a checkpoint's conditions are made true, and with the log one record more goes than may.
    fence_ignored: bool,
    cut_too_far: bool,
}

/// The last lease of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub by: NodeId,
    pub epoch: u64,
    pub until: Timestamp,
}

impl Storage {
    pub fn new(partitions: &[Partition], mailboxes: &[UserId], planted: Option<Planted>) -> Self {
        let mut model = Model::default();
        model.add_tenant(Tenant { id: TENANT, domain: "contoso.test".to_owned() }).ok();
        for (n, mailbox) in mailboxes.iter().enumerate() {
            let name = format!("user{n}@contoso.test");
            model.add_user(User::new(*mailbox, TENANT, &*name, &*name)).ok();
        }
        lease_others(&mut model, partitions);
        let fence_ignored = planted == Some(Planted::FenceIgnored);
        let cut_too_far = planted == Some(Planted::LogCutTooFar);
        Self { model, leases: BTreeMap::new(), fence_ignored, cut_too_far }
    }

    pub fn acquire(&mut self, node: NodeId, at: u64, max: usize, lease_micros: u64) -> Option<Vec<Lease>> {
        let until = date(at + lease_micros);
        let leases = self.model.acquire(node, date(at), until, max).ok()?;
        self.remember(node, until, &leases);
        Some(leases)
    }

    pub fn renew(&mut self, node: NodeId, at: u64, lease_micros: u64) -> Option<Vec<Lease>> {
        let until = date(at + lease_micros);
        let leases = self.model.renew(node, date(at), until).ok()?;
        self.remember(node, until, &leases);
        Some(leases)
    }

    pub fn release(&mut self, node: NodeId) {
        self.model.release(node).ok();
        for held in self.leases.values_mut().filter(|held| held.by == node) {
            held.until = date(0);
        }
    }

    fn remember(&mut self, node: NodeId, until: Timestamp, leases: &[Lease]) {
        for (partition, epoch) in leases {
            self.leases.insert(*partition, Held { by: node, epoch: *epoch, until });
        }
    }

    /// The last lease of each partition.
    pub fn leases(&self) -> BTreeMap<Partition, Held> {
        self.leases.clone()
    }

    /// Who holds a partition at a time.
    pub fn holder(&self, partition: Partition, at: u64) -> Option<Held> {
        self.leases.get(&partition).copied().filter(|held| held.until > date(at))
    }

    /// The epoch of a partition's last lease.
    pub fn epoch(&self, partition: Partition) -> u64 {
        self.leases.get(&partition).map_or(0, |held| held.epoch)
    }

    pub fn state(&self, partition: Partition) -> PartitionState {
        self.model.partition_state(partition).unwrap_or_default()
    }

    pub fn checkpoint(&mut self, mut checkpoint: Checkpoint) -> CheckpointAnswer {
        if self.fence_ignored {
            checkpoint.epoch = self.epoch(checkpoint.partition);
            checkpoint.number = self.model.progress(checkpoint.partition).0 + 1;
        }
        match self.model.checkpoint(checkpoint) {
            Ok(()) => CheckpointAnswer::Recorded,
            Err(CheckpointError::Fenced(_)) => CheckpointAnswer::Fenced,
            Err(CheckpointError::OutOfTurn { last }) => CheckpointAnswer::OutOfTurn { last },
            Err(CheckpointError::Store(_)) => CheckpointAnswer::Unknown,
        }
    }

    /// Every parked row of a partition.
    pub fn parked(&self, partition: Partition) -> Vec<Parked> {
        self.model.parked_rows(partition).cloned().collect()
    }

    pub fn books(&self, partition: Partition) -> Books {
        self.model.books(partition).unwrap_or_default()
    }

    pub fn extents(&self, partitions: &[Partition]) -> Vec<LogExtent> {
        partitions.iter().map(|partition| self.extent(*partition)).collect()
    }

    pub fn extent(&self, partition: Partition) -> LogExtent {
        self.model.extent(partition)
    }

    /// What of a partition's log can be read.
    pub fn log(&self, partition: Partition) -> Vec<(Position, Arc<Record>)> {
        self.read_log(partition, Position(0), usize::MAX).unwrap_or_default()
    }

    pub fn read_log(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Option<Vec<(Position, Arc<Record>)>> {
        let floor = self.extent(partition).floor;
        let gone = if self.cut_too_far && floor > Position(0) { floor.next() } else { floor };
        self.model.read_log(partition, after.max(gone), limit).ok()
    }

    /// Whether a subscription is there, live or ended.
    pub fn knows(&self, id: SubscriptionId) -> bool {
        self.model.knows(id)
    }

    pub fn ledger(&self, id: SubscriptionId) -> &LedgerDelta {
        self.model.sums(id).unwrap_or(&NOTHING)
    }
}

/// Takes every partition that is not in `wanted`, for ever.
fn lease_others(model: &mut Model, wanted: &[Partition]) {
    let (others, kept) = (NodeId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
    let start = date(0);
    let mut next = 0;
    for partition in wanted {
        let before = usize::from(partition.0 - next);
        model.acquire(others, start, FOREVER, before).ok();
        model.acquire(kept, start, FOREVER, 1).ok();
        next = partition.0 + 1;
    }
    model.acquire(others, start, FOREVER, usize::from(graph::PARTITIONS - next)).ok();
    model.release(kept).ok();
}
