//! The log: dense, readable, and of one mind with the subscriptions that it tells of.

use std::sync::Arc;

use graph::{Partition, Properties, SubscriptionId};
use notify::checkpoint::PARKED_REFS_MAX;
use notify::log::SubscriptionEvent;
use notify::{Parked, Position, Record};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Desk, RESTORE};
use crate::StoreError;
use crate::sqlite::row::{log_key, log_partition, log_position, signed, stream_kind_number};
use crate::sqlite::{record, retention};

impl Desk<'_> {
    pub(super) fn log(&mut self) -> Result<(), StoreError> {
        let mut read = self.connection.prepare("SELECT key, record FROM log ORDER BY key")?;
        let mut rows = read.query(())?;
        let mut last: Option<(Partition, Position)> = None;
        while let Some(found) = rows.next()? {
            let key = found.get(0)?;
            let (partition, position) = (log_partition(key), log_position(key));
            match last.filter(|(of, _)| *of == partition) {
                Some((_, before)) if before.next() != position => self.tell_gap(partition, before.next(), position),
                Some(_) => {}
                None => self.first(partition, position)?,
            }
            last = Some((partition, position));
            self.record(partition, position, found)?;
        }
        Ok(())
    }

    /// What lies before the first record is accounted for.
    fn first(&mut self, partition: Partition, position: Position) -> Result<(), StoreError> {
        let (_, cursor) = self.head_and_cursor(partition)?;
        if position > cursor.next() {
            self.tell_gap(partition, cursor.next(), position);
        }
        Ok(())
    }

    fn tell_gap(&mut self, partition: Partition, from: Position, until: Position) {
        let what = format!("positions {from} to {} are missing", until.0 - 1);
        self.tell(format!("log of partition {partition}"), what, RESTORE);
    }

    fn record(&mut self, partition: Partition, position: Position, found: &Row<'_>) -> Result<(), StoreError> {
        let place = || format!("log of partition {partition}, position {position}");
        let stored: &[u8] = match found.get_ref(1)?.as_blob() {
            Ok(stored) => stored,
            Err(error) => {
                self.tell(place(), error, RESTORE);
                return Ok(());
            }
        };
        let Some(record) = self.decoded(partition, position, stored) else { return Ok(()) };
        match record {
            Ok(record) => {
                // Whoever is told of a change mostly does not look at what it carries.
                if let Record::Change(change) = &*record
                    && let Err(error) = serde_json::from_str::<Properties>(&change.after.text())
                {
                    self.tell(place(), error, RESTORE);
                }
                self.life(partition, position, &record)
            }
            Err(error) => {
                self.tell(place(), error, RESTORE);
                Ok(())
            }
        }
    }

    /// `None`: there are no keys.
    fn decoded(
        &self,
        partition: Partition,
        position: Position,
        stored: &[u8],
    ) -> Option<Result<Arc<Record>, StoreError>> {
        self.keys.map(|keys| record::decode(keys, partition, position, stored))
    }

    /// A subscription that the log tells of has a row that says the same.
    fn life(&mut self, partition: Partition, position: Position, record: &Record) -> Result<(), StoreError> {
        let Record::Subscription { id, event } = record else { return Ok(()) };
        let column = match event {
            SubscriptionEvent::Began(_) => "began",
            SubscriptionEvent::Ended(_) => "ended",
            _ => return Ok(()),
        };
        // What the floor has passed is taken away in parts, the last record never: the row may be gone first.
        if position <= retention::floor(self.connection, partition)? {
            return Ok(());
        }
        let sql = format!("SELECT {column} FROM subscription WHERE id = ?1");
        let mut read = self.connection.prepare_cached(&sql)?;
        let said: Option<Option<u64>> = read.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?;
        if said != Some(Some(position.0)) {
            let what = format!("the log says that it {column} at position {position} of partition {partition}, and");
            let what = match said {
                Some(Some(other)) => format!("{what} its row says {other}"),
                Some(None) => format!("{what} its row does not say so"),
                None => format!("{what} it has no row"),
            };
            self.tell(format!("subscription {id}"), what, RESTORE);
        }
        Ok(())
    }

    pub(super) fn parked(&mut self) -> Result<(), StoreError> {
        let mut read = self.connection.prepare("SELECT partition, subscription, kind, first, row FROM parked")?;
        let mut rows = read.query(())?;
        while let Some(found) = rows.next()? {
            let partition = Partition(found.get(0)?);
            let id = SubscriptionId(Uuid::from_bytes(found.get(1)?));
            let (kind, first): (i64, i64) = (found.get(2)?, found.get(3)?);
            let place = format!("parked deliveries of subscription {id} in partition {partition}, first {first}");
            let parked = found.get_ref(4)?.as_blob().ok().and_then(|json| serde_json::from_slice::<Parked>(json).ok());
            let Some(parked) = parked else {
                self.tell(place, "the row cannot be read", RESTORE);
                continue;
            };
            let stream = (parked.stream.subscription, stream_kind_number(parked.stream.kind));
            let right = stream == (id, kind) && signed(parked.first().0) == first;
            if !right || parked.refs.is_empty() || parked.refs.len() > PARKED_REFS_MAX {
                self.tell(&place, "the row does not hold what its key says", RESTORE);
            }
            self.referred(partition, &place, &parked)?;
            if !self.has("SELECT 1 FROM subscription WHERE id = ?1", [id.0.as_bytes()])? {
                self.tell(&place, "there is no such subscription", RESTORE);
            }
        }
        Ok(())
    }

    /// What is parked lies in the log, no later than the cursor.
    fn referred(&mut self, partition: Partition, place: &str, parked: &Parked) -> Result<(), StoreError> {
        let (_, cursor) = self.head_and_cursor(partition)?;
        for one in &parked.refs {
            let position = one.position;
            if position > cursor {
                self.tell(place, format!("position {position} is parked, beyond the cursor {cursor}"), RESTORE);
            }
            if !self.has("SELECT 1 FROM log WHERE key = ?1", params![log_key(partition, position)])? {
                self.tell(place, format!("position {position} is parked and not in the log"), RESTORE);
            }
        }
        Ok(())
    }

    /// The record at a position; `None`: it is not there, or cannot be read.
    pub(super) fn at(&self, partition: Partition, position: Position) -> Result<Option<Arc<Record>>, StoreError> {
        let mut read = self.connection.prepare_cached("SELECT record FROM log WHERE key = ?1")?;
        let key = log_key(partition, position);
        let stored: Option<Vec<u8>> = read.query_row([key], |row| row.get(0)).optional()?;
        let decoded = stored.and_then(|stored| self.decoded(partition, position, &stored));
        Ok(decoded.and_then(Result::ok))
    }
}
