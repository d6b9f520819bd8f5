//! Receiving and settling: rows of what is pending, and nothing else.

use std::sync::Arc;

use graph::{Partition, Timestamp};
use notify::topic::{DeadLetterReason, Hold, Next, Pending, Queue, Settled};
use notify::{Position, TopicEvent};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::event_subscription::{EventSubscriptionRow, advance, kept};
use super::{event, positions};
use crate::seal::Keys;
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::signed;
use crate::sqlite::writer::Tx;
use crate::topic::{CONSIDERED_MAX, Lock};
use crate::{
    DeadLetter, EventSubscriptionKey, Generation, LockedEvent, PullError, READ_BYTES_MAX, Received, Settle, StoreError,
    TokenFailure,
};

const LOCKED: i64 = 0;
const RELEASED: i64 = 1;
const DEAD: i64 = 2;

fn number_of(hold: Hold) -> (i64, Timestamp) {
    match hold {
        Hold::Locked { until } => (LOCKED, until),
        Hold::Released { from } => (RELEASED, from),
        Hold::DeadLettered { reason, at } => {
            (DEAD + DeadLetterReason::ALL.into_iter().take_while(|other| *other != reason).count() as i64, at)
        }
    }
}

fn hold_of(number: i64, at: Timestamp) -> Option<Hold> {
    match number {
        LOCKED => Some(Hold::Locked { until: at }),
        RELEASED => Some(Hold::Released { from: at }),
        _ => {
            let reason = DeadLetterReason::ALL.get(usize::try_from(number - DEAD).ok()?)?;
            Some(Hold::DeadLettered { reason: *reason, at })
        }
    }
}

const COLUMNS: &str = "position, delivery_count, first_received, hold, at";

fn read(row: &Row<'_>) -> Result<(Position, Pending), StoreError> {
    let position = Position(cell(row, 0, ("event_pending", "position"), "")?);
    let at = Timestamp::from_micros(cell(row, 4, ("event_pending", "at"), position)?);
    let hold = hold_of(cell(row, 3, ("event_pending", "hold"), position)?, at);
    let first_received = cell(row, 2, ("event_pending", "first_received"), position)?;
    let pending = Pending {
        delivery_count: cell(row, 1, ("event_pending", "delivery_count"), position)?,
        first_received: Timestamp::from_micros(first_received),
        hold: hold.ok_or_else(|| corrupt(("event_pending", "hold"), position, "it is unknown"))?,
    };
    Ok((position, pending))
}

/// A queue that is pulled from, within one transaction.
struct Pulled<'a, 'b> {
    tx: &'a mut Tx<'b>,
    kept: EventSubscriptionRow,
    queue: Queue,
    partition: Partition,
}

impl<'a, 'b> Pulled<'a, 'b> {
    fn of(tx: &'a mut Tx<'b>, key: &EventSubscriptionKey, now: Timestamp) -> Result<Self, PullError> {
        let kept = kept(tx.connection, tx.keys, key)?.ok_or(PullError::NotFound)?;
        if kept.subscription.is_over(now) {
            return Err(PullError::NotFound);
        }
        let queue = *kept.subscription.queue().ok_or(PullError::NotAQueue)?;
        Ok(Self { tx, kept, queue, partition: Partition::of(key.topic) })
    }

    /// What is to be received again, the one that has waited longest first.
    fn due(&self, now: Timestamp) -> Result<Vec<(Position, Pending)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM event_pending WHERE subscription = ?1 AND hold < 2 AND at <= ?2
            ORDER BY at, position LIMIT ?3"
        );
        let mut statement = self.tx.connection.prepare_cached(&sql)?;
        let mut rows =
            statement.query(params![self.kept.number, now.as_micros(), signed(CONSIDERED_MAX as u64 + 1)])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push(read(row)?);
        }
        Ok(due)
    }

    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT MIN(at) FROM event_pending WHERE subscription = ?1 AND hold < 2";
        let at: Option<i64> =
            self.tx.connection.prepare_cached(sql)?.query_row([self.kept.number], |row| row.get(0))?;
        Ok(at.map(Timestamp::from_micros))
    }

    fn pending(&self, position: Position) -> Result<Option<Pending>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM event_pending WHERE subscription = ?1 AND position = ?2");
        let mut statement = self.tx.connection.prepare_cached(&sql)?;
        let key = params![self.kept.number, signed(position.0)];
        let found = statement.query_row(key, |row| Ok(read(row))).optional()?.transpose()?;
        Ok(found.map(|(_, pending)| pending))
    }

    fn put(&self, position: Position, pending: &Pending) -> Result<(), StoreError> {
        let sql =
            "INSERT OR REPLACE INTO event_pending (subscription, position, delivery_count, first_received, hold, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (hold, at) = number_of(pending.hold);
        self.tx.connection.prepare_cached(sql)?.execute(params![
            self.kept.number,
            signed(position.0),
            pending.delivery_count,
            pending.first_received.as_micros(),
            hold,
            at.as_micros(),
        ])?;
        Ok(())
    }

    fn remove(&self, position: Position) -> Result<(), StoreError> {
        let sql = "DELETE FROM event_pending WHERE subscription = ?1 AND position = ?2";
        self.tx.connection.prepare_cached(sql)?.execute(params![self.kept.number, signed(position.0)])?;
        Ok(())
    }

    fn lay_aside(&mut self, position: Position, left: Option<Pending>) -> Result<(), StoreError> {
        match left {
            Some(left) => {
                self.kept.counts.dead_lettered += 1;
                self.put(position, &left)
            }
            None => {
                self.kept.counts.dropped += 1;
                self.remove(position)
            }
        }
    }

    /// Which receive of the event this is, if it is received.
    fn receive_one(
        &mut self,
        position: Position,
        pending: Option<&Pending>,
        event: &TopicEvent,
        now: Timestamp,
    ) -> Result<Option<u32>, StoreError> {
        if pending.is_none() {
            self.kept.cursor = position;
            if !self.kept.subscription.wants(&event.event) {
                return Ok(None);
            }
            self.kept.counts.matched += 1;
        }
        match self.queue.receive(pending, event.published, now) {
            Next::Received(pending) => {
                self.put(position, &pending)?;
                Ok(Some(pending.delivery_count))
            }
            Next::Over(reason) => {
                self.lay_aside(position, self.queue.laid_aside(pending, reason, now))?;
                Ok(None)
            }
        }
    }

    fn settle_one(&mut self, token: &str, by: &Settle, generation: Generation) -> Result<Lot, StoreError> {
        let lock = Lock::read(token, &self.kept.subscription.lock_key, generation);
        let Some(Lock { position, delivery_count }) = lock else { return Ok(Err(TokenFailure::Bad)) };
        let Some(pending) = self.pending(position)? else { return Ok(Err(TokenFailure::Lost)) };
        let published = self.published(position)?;
        match self.queue.settle(&pending, delivery_count, by.how, published, by.now) {
            Err(_) => return Ok(Err(TokenFailure::Lost)),
            Ok(Settled::Acknowledged) => {
                self.kept.counts.acknowledged += 1;
                self.remove(position)?;
            }
            Ok(Settled::Pending(pending)) => self.put(position, &pending)?,
            Ok(Settled::Over(reason)) => {
                self.lay_aside(position, self.queue.laid_aside(Some(&pending), reason, by.now))?;
            }
        }
        Ok(Ok(()))
    }

    fn published(&self, position: Position) -> Result<Timestamp, StoreError> {
        let sql = "SELECT published FROM topic_event WHERE partition = ?1 AND topic = ?2 AND position = ?3";
        let key = params![self.partition.0, self.kept.subscription.topic.0.as_bytes(), signed(position.0)];
        let published = self.tx.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        let gone = || corrupt(("event_pending", "position"), position, "its topic does not keep the event");
        published.map(Timestamp::from_micros).ok_or_else(gone)
    }
}

/// What one token came to.
type Lot = Result<(), TokenFailure>;

pub(in crate::sqlite) fn receive(
    tx: &mut Tx<'_>,
    key: &EventSubscriptionKey,
    generation: Generation,
    most: usize,
    now: Timestamp,
) -> Result<Received, PullError> {
    let mut pulled = Pulled::of(tx, key, now)?;
    let due = pulled.due(now)?;
    let room = CONSIDERED_MAX + 1 - due.len().min(CONSIDERED_MAX);
    let unread = positions(pulled.tx.connection, key.topic, pulled.kept.cursor, room)?;
    let due = due.into_iter().map(|(position, pending)| (position, Some(pending)));
    let unread = unread.into_iter().map(|position| (position, None));
    let mut received = Received::default();
    let (mut considered, mut bytes) = (0, 0);
    for (position, pending) in due.chain(unread) {
        if received.events.len() == most || considered == CONSIDERED_MAX || bytes > READ_BYTES_MAX {
            received.more = true;
            break;
        }
        let (event, length): (Arc<TopicEvent>, usize) =
            event(pulled.tx.connection, pulled.tx.keys, pulled.partition, position)?;
        considered += 1;
        bytes += length;
        if let Some(delivery_count) = pulled.receive_one(position, pending.as_ref(), &event, now)? {
            let lock = Lock { position, delivery_count };
            let lock_token = lock.token(&pulled.kept.subscription.lock_key, generation);
            received.events.push(LockedEvent { lock_token, delivery_count, event });
        }
    }
    received.due = pulled.next_due()?;
    if considered > 0 {
        advance(pulled.tx, &pulled.kept)?;
    }
    Ok(received)
}

pub(in crate::sqlite) fn settle(
    tx: &mut Tx<'_>,
    key: &EventSubscriptionKey,
    generation: Generation,
    by: &Settle,
) -> Result<Vec<Lot>, PullError> {
    let mut pulled = Pulled::of(tx, key, by.now)?;
    let mut lots = Vec::with_capacity(by.tokens.len());
    for token in &by.tokens {
        lots.push(pulled.settle_one(token, by, generation)?);
    }
    if lots.iter().any(Result::is_ok) {
        advance(pulled.tx, &pulled.kept)?;
    }
    Ok(lots)
}

pub(in crate::sqlite) fn dead_letters(
    connection: &Connection,
    keys: &Keys,
    key: &EventSubscriptionKey,
    after: Position,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let Some(kept) = kept(connection, keys, key)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {COLUMNS} FROM event_pending WHERE subscription = ?1 AND hold >= 2 AND position > ?2
        ORDER BY position LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![kept.number, signed(after.0), signed(limit as u64)])?;
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while bytes <= READ_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let (position, pending) = read(row)?;
        let Hold::DeadLettered { reason, at } = pending.hold else { continue };
        let (event, length) = event(connection, keys, Partition::of(key.topic), position)?;
        bytes += length;
        letters.push(DeadLetter { position, event, reason, delivery_count: pending.delivery_count, at });
    }
    Ok(letters)
}
