//! Who waits for events of which topic. What wakes somebody says "look" and nothing more: whoever wakes asks the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use graph::TopicId;
use notify::{Position, Record};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The most requests that wait at a time, and of these for one topic.
pub const WAITING_MAX: usize = 1_000;
pub const WAITING_FOR_ONE_MAX: usize = 100;

pub struct Arrivals {
    topics: Mutex<HashMap<TopicId, Waited>>,
    places: Arc<Semaphore>,
    closed: CancellationToken,
}

struct Waited {
    bell: Arc<Notify>,
    by: usize,
}

/// The place of one request that waits.
pub struct Waiting<'a> {
    arrivals: &'a Arrivals,
    topic: TopicId,
    bell: Arc<Notify>,
    _place: OwnedSemaphorePermit,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            topics: Mutex::default(),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            closed: CancellationToken::new(),
        }
    }
}

impl Arrivals {
    /// A place to wait; `None`: too many wait.
    pub fn wait_for(&self, topic: TopicId) -> Option<Waiting<'_>> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = topics.entry(topic).or_insert_with(|| Waited { bell: Arc::default(), by: 0 });
        if waited.by >= WAITING_FOR_ONE_MAX {
            return None;
        }
        waited.by += 1;
        Some(Waiting { arrivals: self, topic, bell: waited.bell.clone(), _place: place })
    }

    /// Something of a topic may be there to be received.
    pub fn ring(&self, topic: TopicId) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = topics.get(&topic) {
            waited.bell.notify_waiters();
        }
    }

    /// Rings for each event among records that were committed.
    pub fn ring_for(&self, records: &[(Position, Arc<Record>)]) {
        for (_, record) in records {
            if let Record::Event(event) = &**record {
                self.ring(event.topic);
            }
        }
    }

    /// Nobody waits any more, nor from now on: the server stops.
    pub fn close(&self) {
        self.closed.cancel();
    }

    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

impl Waiting<'_> {
    /// Ends when it is rung for the topic after this was enabled.
    pub fn rung(&self) -> Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut topics = self.arrivals.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = topics.get_mut(&self.topic) {
            waited.by -= 1;
            if waited.by == 0 {
                topics.remove(&self.topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn flood_of_waiting_receives_meets_a_limit_and_leaves_nothing() {
        let arrivals = Arrivals::default();
        let topic = TopicId(Uuid::from_u128(1));
        let of_one: Vec<_> = (0..WAITING_FOR_ONE_MAX).map(|_| arrivals.wait_for(topic).unwrap()).collect();
        assert!(arrivals.wait_for(topic).is_none(), "others find places still");
        let others = (WAITING_FOR_ONE_MAX..WAITING_MAX).map(|id| TopicId(Uuid::from_u128(id as u128)));
        let waiting: Vec<_> = others.map(|other| arrivals.wait_for(other).unwrap()).chain(of_one).collect();
        assert!(arrivals.wait_for(TopicId(Uuid::from_u128(2))).is_none());
        drop(waiting);
        assert!(arrivals.topics.lock().unwrap().is_empty());
        assert!(arrivals.wait_for(topic).is_some());
    }

    #[tokio::test]
    async fn whoever_waits_for_a_topic_is_rung_for_it_and_for_no_other() {
        let arrivals = Arrivals::default();
        let [one, other] = [1, 2].map(|id| TopicId(Uuid::from_u128(id)));
        let (waiting, elsewhere) = (arrivals.wait_for(one).unwrap(), arrivals.wait_for(other).unwrap());
        let (rung, unrung) = (waiting.rung(), elsewhere.rung());
        tokio::pin!(rung, unrung);
        assert!(!rung.as_mut().enable() && !unrung.as_mut().enable());
        arrivals.ring(one);
        assert!(rung.as_mut().enable(), "it was rung while nobody looked");
        assert!(!unrung.as_mut().enable());
    }
}
