//! Subscriptions: their rows open and say what the log says, and their ledgers balance.

use graph::{Partition, SubscriptionId};
use notify::log::SubscriptionEvent;
use notify::{Parked, Position, Record, Subscription};
use rusqlite::{Row, params};
use uuid::Uuid;

use super::{Desk, RESTORE};
use crate::StoreError;
use crate::sqlite::row::{log_key, log_key_max, log_position};
use crate::sqlite::{books, subscription};

impl Desk<'_> {
    pub(super) fn subscriptions(&mut self) -> Result<(), StoreError> {
        let Some(keys) = self.keys else { return Ok(()) };
        let sql = "SELECT id, state, partition, began, ended FROM subscription ORDER BY number";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let id = SubscriptionId(Uuid::from_bytes(row.get(0)?));
            match subscription::read_state(row, keys) {
                Ok(found) => self.subscription(id, &found, row)?,
                Err(error) => self.tell(format!("subscription {id}"), error, RESTORE),
            }
        }
        Ok(())
    }

    fn subscription(&mut self, id: SubscriptionId, found: &Subscription, row: &Row<'_>) -> Result<(), StoreError> {
        let (partition, began, ended): (u16, u64, Option<u64>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let partition = Partition(partition);
        let place = format!("subscription {id}");
        if (found.id, found.partition()) != (id, partition) {
            self.tell(&place, "its row lies under another's key", RESTORE);
        }
        let range = (log_key(partition, Position(0)), log_key_max(partition));
        let first = "SELECT MIN(key) FROM log WHERE key BETWEEN ?1 AND ?2";
        let first: Option<i64> = self.connection.prepare_cached(first)?.query_row(range, |row| row.get(0))?;
        let first = first.map(log_position).unwrap_or_default();
        for (what, at) in [("began", Some(began)), ("ended", ended)] {
            // What was cut off the log is not looked for.
            let Some(at) = at.map(Position).filter(|at| *at >= first) else { continue };
            let told = self.at(partition, at)?.is_some_and(|record| match &*record {
                Record::Subscription { id: of, event: SubscriptionEvent::Began(_) } => *of == id && what == "began",
                Record::Subscription { id: of, event: SubscriptionEvent::Ended(_) } => *of == id && what == "ended",
                _ => false,
            });
            if !told {
                let what =
                    format!("it {what} at position {at} of partition {partition}, of which the log tells nothing");
                self.tell(&place, what, RESTORE);
            }
        }
        Ok(())
    }

    pub(super) fn ledger(&mut self) -> Result<(), StoreError> {
        let mut read = self.connection.prepare("SELECT id, partition FROM subscription ORDER BY number")?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let (id, partition) = (SubscriptionId(Uuid::from_bytes(row.get(0)?)), row.get(1)?);
            let place = format!("ledger of subscription {id}");
            let sums = match books::ledger(self.connection, id) {
                Ok(sums) => sums,
                Err(error) => {
                    self.tell(place, error, RESTORE);
                    continue;
                }
            };
            if !sums.balances() {
                let abandoned: u64 = sums.abandoned.values().sum();
                let what = format!(
                    "{} matched are not {} delivered, {} parked and {abandoned} abandoned",
                    sums.matched, sums.delivered, sums.parked
                );
                self.tell(&place, what, RESTORE);
            }
            let parked = self.count_parked(partition, id)?;
            if sums.parked != parked {
                self.tell(&place, format!("it has {} parked, and {parked} are", sums.parked), RESTORE);
            }
        }
        let sql = "SELECT subscription FROM ledger WHERE subscription NOT IN (SELECT id FROM subscription)";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let id = SubscriptionId(Uuid::from_bytes(row.get(0)?));
            self.tell(format!("ledger of subscription {id}"), "there is no such subscription", RESTORE);
        }
        Ok(())
    }

    fn count_parked(&self, partition: u16, id: SubscriptionId) -> Result<i64, StoreError> {
        let sql = "SELECT row FROM parked WHERE partition = ?1 AND subscription = ?2";
        let mut read = self.connection.prepare_cached(sql)?;
        let mut rows = read.query(params![partition, id.0.as_bytes()])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let parked = row.get_ref(0)?.as_blob().ok().and_then(|json| serde_json::from_slice::<Parked>(json).ok());
            count += parked.map_or(0, |parked| parked.refs.len() as i64);
        }
        Ok(count)
    }
}
