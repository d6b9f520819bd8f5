//! Topics: their rows open, their events lie in the log, and what is pending adds up.

use std::collections::BTreeSet;

use graph::{Partition, SubscriptionId, TopicId};
use notify::{Position, Record};
use rusqlite::Row;
use uuid::Uuid;

use super::{Desk, RESTORE};
use crate::StoreError;
use crate::sqlite::topic::{self, EventSubscriptionRow};

impl Desk<'_> {
    pub(super) fn topics(&mut self) -> Result<(), StoreError> {
        if let Some(keys) = self.keys {
            let mut read = self.connection.prepare("SELECT id, state, partition FROM topic ORDER BY number")?;
            let mut rows = read.query(())?;
            while let Some(row) = rows.next()? {
                let id = TopicId(Uuid::from_bytes(row.get(0)?));
                let partition = Partition(row.get(2)?);
                match topic::read_state(row, keys) {
                    Ok(found) if (found.id, found.partition()) == (id, partition) => {}
                    Ok(_) => self.tell(format!("topic {id}"), "its row lies under another's key", RESTORE),
                    Err(error) => self.tell(format!("topic {id}"), error, RESTORE),
                }
            }
        }
        self.events()?;
        self.event_subscriptions()?;
        self.pending()
    }

    /// Each event that a topic keeps stands in the log as one of its own.
    fn events(&mut self) -> Result<(), StoreError> {
        let mut read = self.connection.prepare("SELECT partition, topic, position, key FROM topic_event")?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let partition = Partition(row.get(0)?);
            let (id, position) = (TopicId(Uuid::from_bytes(row.get(1)?)), Position(row.get(2)?));
            let place = format!("event of topic {id} at position {position} of partition {partition}");
            if !self.has("SELECT 1 FROM topic WHERE id = ?1", [id.0.as_bytes()])? {
                self.tell(&place, "there is no such topic", RESTORE);
            }
            if self.keys.is_some() && !self.is_event(partition, position, id, row)? {
                self.tell(&place, "the log does not have it there", RESTORE);
            }
        }
        Ok(())
    }

    fn is_event(
        &self,
        partition: Partition,
        position: Position,
        id: TopicId,
        row: &Row<'_>,
    ) -> Result<bool, StoreError> {
        let key: Vec<u8> = row.get(3)?;
        let told = self.at(partition, position)?;
        Ok(matches!(told.as_deref(), Some(Record::Event(event))
            if event.topic == id && crate::topic::event_key(&event.event)[..] == key[..]))
    }

    fn event_subscriptions(&mut self) -> Result<(), StoreError> {
        let sql = format!("SELECT {}, topic FROM event_subscription ORDER BY number", EventSubscriptionRow::COLUMNS);
        let mut read = self.connection.prepare(&sql)?;
        let mut rows = read.query(())?;
        let mut known = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (id, name): (_, String) = (TopicId(Uuid::from_bytes(row.get("topic")?)), row.get("name")?);
            let place = format!("event subscription {name} of topic {id}");
            if !self.has("SELECT 1 FROM topic WHERE id = ?1", [id.0.as_bytes()])? {
                self.tell(&place, "there is no such topic", RESTORE);
            }
            let Some(keys) = self.keys else { continue };
            let kept = match EventSubscriptionRow::read(row, keys, id) {
                Ok(kept) => kept,
                Err(error) => {
                    self.tell(place, error, RESTORE);
                    continue;
                }
            };
            known.extend(kept.subscription.id);
            let sql = "SELECT COUNT(*) FROM event_pending WHERE subscription = ?1 AND hold < 2";
            let pending: u64 = self.connection.prepare_cached(sql)?.query_row([kept.number], |row| row.get(0))?;
            if kept.counts.pending() != pending {
                let what = format!("by its counts {} are pending, and {pending} are", kept.counts.pending());
                self.tell(place, what, RESTORE);
            }
        }
        if self.keys.is_some() { self.pushing(&known) } else { Ok(()) }
    }

    /// What pushes does so for one of these.
    fn pushing(&mut self, known: &BTreeSet<SubscriptionId>) -> Result<(), StoreError> {
        let sql = "SELECT id FROM subscription WHERE ended IS NULL AND mailbox IN (SELECT id FROM topic)";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let id = SubscriptionId(Uuid::from_bytes(row.get(0)?));
            if !known.contains(&id) {
                self.tell(format!("subscription {id}"), "it pushes the events of no event subscription", RESTORE);
            }
        }
        Ok(())
    }

    /// What is pending was considered, and its topic keeps it.
    fn pending(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT event_pending.subscription, event_pending.position FROM event_pending
            LEFT JOIN event_subscription ON event_subscription.number = event_pending.subscription
            LEFT JOIN topic ON topic.id = event_subscription.topic
            LEFT JOIN topic_event ON topic_event.partition = topic.partition AND topic_event.topic = topic.id
                AND topic_event.position = event_pending.position
            WHERE topic_event.position IS NULL OR event_pending.position > cursor";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let (number, position): (i64, u64) = (row.get(0)?, row.get(1)?);
            let place = format!("pending event at position {position} of event subscription number {number}");
            self.tell(place, "nobody keeps the event, or it was not considered yet", RESTORE);
        }
        Ok(())
    }
}
