//! Partitions: the log, leases, checkpoints and what is parked.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};
use notify::checkpoint::{LoadedParked, PartitionState};
use notify::topic::for_the_node;
use notify::{Checkpoint, Position, Record, Stream, StreamKind};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::ledger::{Ledgers, pack, pack_sums, unpack};
use super::row::{log_key, log_key_max, log_position, signed, stream_kind, stream_kind_number};
use super::writer::{Tx, head};
use super::{books, endpoint, record, retention, subscription};
use crate::seal::Keys;
use crate::{CheckpointError, Lease, NodeId, READ_BYTES_MAX, StoreError};

/// A partition's row holds the sums of so many subscriptions before they go to rows of their own.
const UNFOLDED_MAX: usize = 256;

pub(super) fn read_log(
    connection: &Connection,
    keys: &Keys,
    partition: Partition,
    after: Position,
    limit: usize,
) -> Result<Vec<(Position, Arc<Record>)>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let after = after.max(retention::floor(connection, partition)?);
    let sql = "SELECT key, record FROM log WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = signed(limit as u64);
    let mut rows = statement.query((log_key(partition, after), log_key_max(partition), limit))?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while bytes <= READ_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let position = log_position(cell(row, 0, ("log", "key"), partition)?);
        bytes += row.get_ref(1)?.as_blob().map_or(0, <[u8]>::len);
        records.push((position, read_record(row, 1, keys, (partition, position))?));
    }
    Ok(records)
}

fn read_record(
    row: &Row<'_>,
    index: usize,
    keys: &Keys,
    (partition, position): (Partition, Position),
) -> Result<Arc<Record>, StoreError> {
    let stored = row.get_ref(index)?.as_blob().map_err(|error| corrupt(("log", "record"), position, error))?;
    record::decode(keys, partition, position, stored)
}

struct Holding {
    partition: Partition,
    epoch: u64,
    /// Who holds the lease at the time that was asked for.
    holder: Option<NodeId>,
}

fn holdings(connection: &Connection, now: Timestamp) -> Result<Vec<Holding>, StoreError> {
    let sql = "SELECT partition, epoch, CASE WHEN lease_until > ?1 THEN lease_node END FROM partition
        ORDER BY partition";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([now.as_micros()])?;
    let mut holdings = Vec::new();
    while let Some(row) = rows.next()? {
        let partition = Partition(cell(row, 0, ("partition", "partition"), "")?);
        let holder: Option<[u8; 16]> = cell(row, 2, ("partition", "lease_node"), partition)?;
        holdings.push(Holding {
            partition,
            epoch: cell(row, 1, ("partition", "epoch"), partition)?,
            holder: holder.map(|node| NodeId(Uuid::from_bytes(node))),
        });
    }
    Ok(holdings)
}

fn hold(tx: &Tx<'_>, node: NodeId, until: Timestamp, lease: Lease) -> Result<Lease, StoreError> {
    let sql = "UPDATE partition SET epoch = ?2, lease_node = ?3, lease_until = ?4 WHERE partition = ?1";
    let row = params![lease.0.0, signed(lease.1), node.0.as_bytes(), until.as_micros()];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(lease)
}

pub(super) fn acquire(
    tx: &mut Tx<'_>,
    node: NodeId,
    now: Timestamp,
    until: Timestamp,
    max: usize,
) -> Result<Vec<Lease>, StoreError> {
    let holdings = holdings(tx.connection, now)?;
    // Free ones first, so that a node that asks again gets others than it has.
    let free = holdings.iter().filter(|holding| holding.holder.is_none());
    let own = holdings.iter().filter(|holding| holding.holder == Some(node));
    let taken = free.chain(own).take(max);
    taken
        .map(|holding| {
            let epoch = holding.epoch + u64::from(holding.holder.is_none());
            hold(tx, node, until, (holding.partition, epoch))
        })
        .collect()
}

pub(super) fn renew(tx: &mut Tx<'_>, node: NodeId, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
    let holdings = holdings(tx.connection, now)?;
    let own = holdings.iter().filter(|holding| holding.holder == Some(node));
    own.map(|holding| hold(tx, node, until, (holding.partition, holding.epoch))).collect()
}

pub(super) fn release(tx: &mut Tx<'_>, node: NodeId) -> Result<(), StoreError> {
    let sql = "UPDATE partition SET lease_node = NULL, lease_until = NULL WHERE lease_node = ?1";
    tx.connection.prepare_cached(sql)?.execute([node.0.as_bytes()])?;
    Ok(())
}

pub(super) fn partition_state(
    connection: &Connection,
    keys: &Keys,
    partition: Partition,
) -> Result<PartitionState, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let sql = "SELECT number, cursor, wall FROM partition WHERE partition = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &Row<'_>| -> Result<_, StoreError> {
        let number: u64 = cell(row, 0, ("partition", "number"), partition)?;
        let cursor: u64 = cell(row, 1, ("partition", "cursor"), partition)?;
        let wall: i64 = cell(row, 2, ("partition", "wall"), partition)?;
        Ok((number, Position(cursor), Timestamp::from_micros(wall)))
    };
    let (number, cursor, wall) = statement.query_row([partition.0], |row| Ok(read(row)))??;
    Ok(PartitionState {
        number,
        cursor,
        head: head(connection, partition)?,
        wall,
        subscriptions: subscription::spans(connection, keys, partition)?,
        parked: parked_streams(connection, partition)?,
        health: endpoint::of(connection, partition)?,
    })
}

/// The streams that have parked rows, with the bytes of these.
fn parked_streams(connection: &Connection, partition: Partition) -> Result<BTreeMap<Stream, u64>, StoreError> {
    let sql = "SELECT subscription, kind, SUM(bytes) FROM parked WHERE partition = ?1 GROUP BY subscription, kind";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([partition.0])?;
    let mut streams = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let stream = read_stream(row, partition)?;
        streams.insert(stream, cell(row, 2, ("parked", "bytes"), stream.subscription)?);
    }
    Ok(streams)
}

fn read_stream(row: &Row<'_>, partition: Partition) -> Result<Stream, StoreError> {
    let subscription = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("parked", "subscription"), partition)?));
    let number: i64 = cell(row, 1, ("parked", "kind"), subscription)?;
    let kind: Option<StreamKind> = stream_kind(number);
    let kind = kind.ok_or_else(|| corrupt(("parked", "kind"), subscription, format!("unknown kind {number}")))?;
    Ok(Stream { subscription, kind })
}

/// Up to where everything is accounted for.
pub(super) fn cursor(connection: &Connection, partition: Partition) -> Result<Position, StoreError> {
    let sql = "SELECT cursor FROM partition WHERE partition = ?1";
    Ok(Position(connection.prepare_cached(sql)?.query_row([partition.0], |row| row.get(0))?))
}

/// A checkpoint with the stored form of the rows that it parks.
pub(super) struct EncodedCheckpoint {
    checkpoint: Checkpoint,
    rows: Vec<Vec<u8>>,
}

impl EncodedCheckpoint {
    pub fn new(checkpoint: Checkpoint) -> Result<Self, StoreError> {
        let encode = |row| serde_json::to_vec(row).map_err(|error| corrupt(("parked", "row"), "new", error));
        let rows = checkpoint.park.iter().map(encode).collect::<Result<_, _>>()?;
        Ok(Self { checkpoint, rows })
    }
}

pub(super) fn checkpoint(tx: &mut Tx<'_>, encoded: &EncodedCheckpoint) -> Result<(), CheckpointError> {
    let EncodedCheckpoint { checkpoint, rows } = encoded;
    let partition = checkpoint.partition;
    let mut unfolded = check_turn(tx.connection, checkpoint)?;
    let sql = "DELETE FROM parked WHERE partition = ?1 AND subscription = ?2 AND kind = ?3 AND first = ?4";
    for (stream, first) in &checkpoint.unpark {
        let (id, kind) = (stream.subscription.0.as_bytes(), stream_kind_number(stream.kind));
        tx.connection.prepare_cached(sql)?.execute(params![partition.0, id, kind, signed(first.0)])?;
    }
    let sql = "INSERT OR REPLACE INTO parked (partition, subscription, kind, first, row, bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (parked, row) in checkpoint.park.iter().zip(rows) {
        let (id, kind) = (parked.stream.subscription.0.as_bytes(), stream_kind_number(parked.stream.kind));
        let first = signed(parked.first().0);
        tx.connection.prepare_cached(sql)?.execute(params![partition.0, id, kind, first, row, signed(parked.bytes)])?;
    }
    for (id, delta) in &checkpoint.ledger {
        unfolded.entry(*id).or_default().add(delta);
    }
    for (id, incident) in &checkpoint.incidents {
        subscription::open_incident(tx, *id, *incident)?;
    }
    for (id, health) in &checkpoint.health {
        endpoint::put(tx, partition, *id, *health)?;
    }
    if unfolded.len() > UNFOLDED_MAX {
        fold(tx.connection, partition, std::mem::take(&mut unfolded))?;
    }
    let sql = "UPDATE partition SET number = ?2, cursor = ?3, wall = MAX(wall, ?4), unfolded = ?5 WHERE partition = ?1";
    let (number, cursor) = (signed(checkpoint.number), signed(checkpoint.cursor.0));
    let row = params![partition.0, number, cursor, checkpoint.wall.as_micros(), pack(&unfolded)];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    tx.tally.checkpoints += 1;
    tx.tally.parked_rows += rows.len() as u64;
    Ok(())
}

/// Checks the two conditions of a checkpoint, and reads the sums that it adds to.
fn check_turn(connection: &Connection, checkpoint: &Checkpoint) -> Result<Ledgers, CheckpointError> {
    let partition = checkpoint.partition;
    let sql = "SELECT epoch, number, unfolded FROM partition WHERE partition = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &Row<'_>| -> Result<(u64, u64, Option<Ledgers>), StoreError> {
        let epoch = cell(row, 0, ("partition", "epoch"), partition)?;
        let last = cell(row, 1, ("partition", "number"), partition)?;
        Ok((epoch, last, row.get_ref(2)?.as_blob().ok().and_then(unpack)))
    };
    let (epoch, last, unfolded) = statement.query_row([partition.0], |row| Ok(read(row)))??;
    if epoch != checkpoint.epoch {
        return Err(CheckpointError::Fenced(partition));
    }
    if last + 1 != checkpoint.number {
        return Err(CheckpointError::OutOfTurn { last });
    }
    unfolded.ok_or_else(|| books::unreadable(partition).into())
}

fn fold(connection: &Connection, partition: Partition, ledgers: Ledgers) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO ledger (partition, subscription, sums) VALUES (?1, ?2, ?3)";
    for (id, delta) in ledgers {
        let mut sums = books::folded(connection, partition, id)?;
        sums.add(&delta);
        let mut packed = Vec::new();
        pack_sums(&sums, &mut packed);
        connection.prepare_cached(sql)?.execute(params![partition.0, id.0.as_bytes(), packed])?;
    }
    Ok(())
}

pub(super) fn parked(
    connection: &Connection,
    keys: &Keys,
    (partition, stream): (Partition, Stream),
    after: Position,
    deliveries: usize,
) -> Result<Vec<LoadedParked>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let sql = "SELECT row, bytes FROM parked WHERE partition = ?1 AND subscription = ?2 AND kind = ?3 AND first > ?4
        ORDER BY first";
    let mut statement = connection.prepare_cached(sql)?;
    let (id, kind) = (stream.subscription.0.as_bytes(), stream_kind_number(stream.kind));
    let mut found = statement.query(params![partition.0, id, kind, signed(after.0)])?;
    let (mut loaded, mut held) = (Vec::new(), 0);
    while held < deliveries
        && let Some(row) = found.next()?
    {
        let one = load(connection, keys, (partition, stream), row)?;
        held += one.records.len();
        loaded.push(one);
    }
    Ok(loaded)
}

fn load(
    connection: &Connection,
    keys: &Keys,
    (partition, stream): (Partition, Stream),
    row: &Row<'_>,
) -> Result<LoadedParked, StoreError> {
    let unreadable = |cause: String| corrupt(("parked", "row"), stream.subscription, cause);
    let json = row.get_ref(0)?.as_blob().map_err(|error| unreadable(error.to_string()))?;
    let parked: notify::Parked = serde_json::from_slice(json).map_err(|error| unreadable(error.to_string()))?;
    let row = notify::Parked { bytes: cell(row, 1, ("parked", "bytes"), stream.subscription)?, ..parked };
    let mut records: Vec<Arc<Record>> = Vec::with_capacity(row.refs.len());
    let mut statement = connection.prepare_cached("SELECT record FROM log WHERE key = ?1")?;
    for one in &row.refs {
        let key = log_key(partition, one.position);
        let record =
            statement.query_row([key], |row| Ok(read_record(row, 0, keys, (partition, one.position)))).optional()?;
        let record = record.ok_or_else(|| unreadable(format!("position {} is not in the log", one.position)))?;
        records.push(for_the_node(record?));
    }
    Ok(LoadedParked { row, records })
}
