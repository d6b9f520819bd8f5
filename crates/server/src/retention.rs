//! Looks after what of the log is kept. Every few minutes it asks the store how the logs lie and [`notify::retention`]
//! what to do, and lets the store do it: in parts, between which others write. It decides nothing, and what it leaves
//! undone, by a stop or a failure, the next round finds.

use std::sync::Arc;
use std::time::Duration;

use graph::{Partition, Timestamp};
use notify::Topic;
use notify::retention::{Full, Limits, LogExtent, Step, full, plan};
use store::{Cut, Store, StoreError, TopicQuery};
use tokio_util::sync::CancellationToken;

use crate::app::Engine;
use crate::clock::Clock;
use crate::room::Room;

/// Between two rounds where the log may become too long.
const PAUSE: Duration = Duration::from_secs(120);
/// While what cannot be cut is more than half of what all logs may have.
const PAUSE_WHEN_NEARLY_FULL: Duration = Duration::from_secs(15);
/// Where it can only become too old: to look at all logs costs more than everything else that an idle server does.
const PAUSE_BY_AGE: Duration = Duration::from_secs(600);
/// Records taken away in one transaction: few enough that nobody notices who waits for the same commit.
const CUT_AT_ONCE: u64 = 1_000;
/// So many topics are read at once.
const TOPICS_AT_ONCE: u64 = 100;
/// Between two transactions, so that others have most of the disk's and the writer's time.
const BREATH: Duration = Duration::from_millis(20);

/// One who looks after the logs of a store.
pub struct Retention {
    pub store: Arc<dyn Store>,
    /// Told what of a log is to be free; what comes of it stands in the store.
    pub engine: Arc<dyn Engine>,
    /// Told which logs are full.
    pub room: Arc<Room>,
    pub limits: Limits,
    pub stop: CancellationToken,
}

impl Retention {
    /// Goes round until it is stopped.
    pub async fn run(self, clock: Clock) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.pause()) => {}
            }
            if let Err(error) = self.forget_events(clock.wall()).await {
                tracing::warn!(%error, "old events could not be taken away; the next round tries again");
            }
            match self.round(clock.wall()).await {
                Ok(Cut { records: 0, subscriptions: 0, .. }) => {}
                Ok(Cut { records, subscriptions, .. }) => {
                    tracing::info!(records, subscriptions, "what was kept for long enough was taken away");
                }
                Err(error) => tracing::warn!(%error, "the log could not be cut; the next round tries again"),
            }
        }
    }

    /// Takes away the events that topics have kept for long enough, and says how many.
    pub async fn forget_events(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut query, mut forgotten) = (TopicQuery { limit: TOPICS_AT_ONCE, ..TopicQuery::default() }, 0);
        loop {
            let topics = self.store.topics(query.clone()).await?;
            for topic in &topics {
                while !self.stop.is_cancelled() {
                    let gone = self.store.forget_events(topic.id, Topic::keeps_from(now), CUT_AT_ONCE).await?;
                    forgotten += gone;
                    if gone < CUT_AT_ONCE {
                        break;
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
            let Some(last) = topics.last() else { return Ok(forgotten) };
            query.after = Some(last.id);
        }
    }

    /// Does what is to be done at `now`, and says what was taken away.
    pub async fn round(&self, now: Timestamp) -> Result<Cut, StoreError> {
        let mut cut = Cut::default();
        let extents = self.store.log_extents().await?;
        self.close(&extents);
        for step in plan(&extents, &self.limits, now) {
            if self.stop.is_cancelled() {
                break;
            }
            match step {
                Step::Mark { partition, instead_of } => drop(self.store.mark_log(partition, now, instead_of).await?),
                Step::Raise { partition, mark } => {
                    if self.store.raise_floor(partition, mark).await? {
                        self.store.mark_log(partition, now, None).await?;
                        self.cut(partition, &mut cut).await?;
                    }
                }
                Step::GiveUp { partition, through } => {
                    tracing::warn!(
                        partition = partition.0,
                        "the log is longer than retention.log_bytes_max: what could not be delivered for the longest is given up"
                    );
                    self.engine.give_up(partition, through);
                }
                Step::Cut { partition } => self.cut(partition, &mut cut).await?,
            }
            tokio::time::sleep(BREATH).await;
        }
        Ok(cut)
    }

    /// Until the next round.
    fn pause(&self) -> Duration {
        match self.limits.bytes_max {
            None => PAUSE_BY_AGE,
            Some(most) if self.room.now().uncut_bytes > most / 2 => PAUSE_WHEN_NEARLY_FULL,
            Some(_) => PAUSE,
        }
    }

    /// Lets nothing more into logs that are full, and says so when that begins and when it is over.
    fn close(&self, extents: &[LogExtent]) {
        let now = full(extents, &self.limits, &self.room.now());
        let Full { writes, events, uncut_bytes, .. } = now.clone();
        let before = self.room.set(now);
        if before.writes.is_empty() && !writes.is_empty() {
            tracing::warn!(
                partitions = writes.len(),
                uncut_bytes,
                "more is to be told than retention.log_bytes_max: writes are refused there until the node has caught up; \
                 see why it is behind (tidings_log_records_unpassed, tidings_oldest_due_delivery_age_seconds), or raise the limit"
            );
        }
        if before.events.is_empty() && !events.is_empty() {
            tracing::warn!(
                partitions = events.len(),
                uncut_bytes,
                "topics keep more than retention.log_bytes_max: events for them are refused until old ones have gone; \
                 publish less, or raise the limit"
            );
        }
        if !(before.writes.is_empty() && before.events.is_empty()) && writes.is_empty() && events.is_empty() {
            tracing::warn!("the log has room again: everything is taken");
        }
    }

    async fn cut(&self, partition: Partition, sum: &mut Cut) -> Result<(), StoreError> {
        loop {
            let cut = self.store.cut_log(partition, CUT_AT_ONCE).await?;
            sum.records += cut.records;
            sum.subscriptions += cut.subscriptions;
            if !cut.more || self.stop.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(BREATH).await;
        }
    }
}
