//! What of the log is kept.

use graph::{AppId, Partition, SubscriptionId, Timestamp};
use notify::checkpoint::SubscriptionSpan;
use notify::recount::Counted;
use notify::retention::{LogExtent, Mark, Noted};
use notify::{LedgerDelta, Position};

use super::model::{Model, Shard};
use crate::{Cut, ENDED_AT_ONCE, StoreError};

/// A record has no stored form here; this is what each takes.
const RECORD_BYTES: u64 = 1 << 10;

impl Model {
    pub fn log_extents(&self) -> Result<Vec<LogExtent>, StoreError> {
        Ok(Partition::all().map(|partition| self.extent(partition)).collect())
    }

    /// How the log of one partition lies.
    pub fn extent(&self, partition: Partition) -> LogExtent {
        let shard = self.shard(partition);
        LogExtent {
            partition,
            floor: shard.floor,
            first: shard.first(),
            cursor: shard.cursor,
            head: shard.head(),
            mark: shard.mark.as_ref().map(|(mark, _)| *mark),
            parked: self.shard(partition).oldest_parked(),
            event: self.oldest_event(partition),
            has_ended: self.ended(partition).next().is_some(),
            bytes: shard.log.len() as u64 * RECORD_BYTES,
        }
    }

    pub fn mark_log(
        &mut self,
        partition: Partition,
        at: Timestamp,
        instead_of: Option<Mark>,
    ) -> Result<bool, StoreError> {
        let shard = self.shard(partition);
        let cursor = shard.cursor;
        if shard.mark.as_ref().map(|(mark, _)| *mark) != instead_of || cursor <= shard.floor {
            return Ok(false);
        }
        let counted = shard.ledger.iter().map(|(id, sums)| (*id, Counted::of(sums)));
        let counted = counted.filter(|(_, counted)| *counted != Counted::default()).collect();
        let here = self.subscriptions.values().filter(|span| span.subscription.partition() == partition);
        let paused = here.filter(|span| span.standing.silences(cursor.next())).map(|span| span.subscription.id);
        let noted = Noted { counted, paused: paused.collect() };
        self.shard_mut(partition).mark = Some((Mark { position: cursor, at }, noted));
        self.counters.commits += 1;
        Ok(true)
    }

    pub fn raise_floor(&mut self, partition: Partition, mark: Mark) -> Result<bool, StoreError> {
        let is_held = self.oldest_held(partition).is_some_and(|held| held <= mark.position);
        let shard = self.shard_mut(partition);
        match shard.mark.take_if(|(pending, _)| *pending == mark && !is_held) {
            Some((mark, noted)) => {
                debug_assert!(
                    shard.floor < mark.position && mark.position <= shard.cursor,
                    "a floor rises to a cursor"
                );
                (shard.floor, shard.opening) = (mark.position, noted);
                self.counters.commits += 1;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub fn cut_log(&mut self, partition: Partition, most: u64) -> Result<Cut, StoreError> {
        let shard = self.shard_mut(partition);
        let until = shard.floor.0.min(shard.head().0.saturating_sub(1));
        let records = until.saturating_sub(shard.cut).min(most);
        if records > 0 {
            shard.log.drain(..usize::try_from(records).unwrap_or(usize::MAX));
            shard.cut += records;
            self.counters.commits += 1;
            self.counters.log_rows_cut += records;
            return Ok(Cut { records, subscriptions: 0, more: true });
        }
        let mut ended: Vec<_> = self.ended(partition).map(|(ended, span)| (ended, span.subscription.id)).collect();
        ended.sort();
        ended.truncate(ENDED_AT_ONCE);
        for (_, id) in &ended {
            self.forget(partition, *id);
        }
        self.counters.commits += u64::from(!ended.is_empty());
        Ok(Cut { records: 0, subscriptions: ended.len() as u64, more: ended.len() == ENDED_AT_ONCE })
    }

    /// Subscriptions whose end the floor has passed, and which have nothing parked.
    fn ended(&self, partition: Partition) -> impl Iterator<Item = (Position, &SubscriptionSpan)> {
        let shard = self.shard(partition);
        let ended = self.subscriptions.values().filter_map(|span| Some((span.ended?, span)));
        let here = ended.filter(move |(_, span)| span.subscription.partition() == partition);
        let has_parked = move |id| shard.parked.keys().any(|(stream, _)| stream.subscription == id);
        here.filter(move |(ended, span)| *ended <= shard.floor && !has_parked(span.subscription.id))
    }

    fn forget(&mut self, partition: Partition, id: SubscriptionId) {
        let Some(span) = self.subscriptions.remove(&id) else { return };
        let sums = self.shard_mut(partition).ledger.remove(&id).unwrap_or_default();
        let (count, all) = self.gone.entry((span.subscription.tenant, span.subscription.app)).or_default();
        *count += 1;
        all.add(&sums);
    }

    /// How many subscriptions of an app, or of all apps, are gone, and their sums.
    pub fn gone(&self, app: Option<AppId>) -> (u64, LedgerDelta) {
        let mut all = (0, LedgerDelta::default());
        for ((_, of), (count, sums)) in &self.gone {
            if app.is_none_or(|app| app == *of) {
                all.0 += count;
                all.1.add(sums);
            }
        }
        all
    }

    /// The oldest record that is parked, or an event that a topic keeps.
    fn oldest_held(&self, partition: Partition) -> Option<Position> {
        self.shard(partition).oldest_parked().into_iter().chain(self.oldest_event(partition)).min()
    }

    /// Whether a subscription is there, live or ended.
    pub fn knows(&self, id: SubscriptionId) -> bool {
        self.subscriptions.contains_key(&id)
    }
}

impl Shard {
    /// The first record that is stored.
    fn first(&self) -> Position {
        Position(self.cut + 1)
    }

    fn oldest_parked(&self) -> Option<Position> {
        self.parked.values().map(|row| row.first()).min()
    }
}
