//! What the store has committed and the node has not yet taken: a bounded hand-over between the
//! writer's thread and the engine's task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use graph::Partition;
use notify::{Event, Position, Record};
use tokio::sync::Notify;

/// Records kept; beyond them only the partitions are remembered, and the node reads the log.
const RECORDS_MAX: usize = 16_384;
/// The same of the data of events, by which the node decides who wants them: one of them can have a MiB.
const DATA_BYTES_MAX: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Tail {
    waiting: Mutex<Waiting>,
    grown: Notify,
}

#[derive(Default)]
struct Waiting {
    records: BTreeMap<Partition, Vec<(Position, Arc<Record>)>>,
    count: usize,
    data_bytes: usize,
    /// Something was dropped.
    full: bool,
}

impl Tail {
    pub(super) fn publish(&self, partition: Partition, records: Vec<(Position, Arc<Record>)>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, data_bytes) = (records.len(), records.iter().map(|(_, record)| data_bytes(record)).sum::<usize>());
        let room =
            waiting.count + count <= RECORDS_MAX && waiting.data_bytes.saturating_add(data_bytes) <= DATA_BYTES_MAX;
        let kept = waiting.records.entry(partition).or_default();
        match room {
            true => {
                kept.extend(records);
                waiting.count += count;
                waiting.data_bytes += data_bytes;
            }
            false => waiting.full = true,
        }
        drop(waiting);
        self.grown.notify_one();
    }

    pub(super) async fn grown(&self) {
        self.grown.notified().await;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).records.is_empty()
    }

    /// Everything that waits, as hints for the node. What was dropped leaves a [`Event::Look`].
    pub(super) fn take(&self) -> Vec<Event> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut events = Vec::with_capacity(waiting.records.len());
        for (partition, records) in waiting.records {
            if !records.is_empty() {
                events.push(Event::Published { partition, records });
            }
            if waiting.full {
                events.push(Event::Look { partition });
            }
        }
        events
    }
}

fn data_bytes(record: &Record) -> usize {
    match record {
        Record::Event(event) => event.event.data().map_or(0, |data| data.bytes().len()),
        Record::Replayed { record, .. } => data_bytes(record),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use graph::{ChangeId, SubscriptionId};
    use notify::LifecycleEvent;
    use uuid::Uuid;

    use super::*;

    fn records(from: u64, count: u64) -> Vec<(Position, Arc<Record>)> {
        let record = Arc::new(Record::Lifecycle {
            id: ChangeId(Uuid::nil()),
            subscription: SubscriptionId(Uuid::nil()),
            event: LifecycleEvent::Missed,
            cause: None,
        });
        (from..from + count).map(|position| (Position(position), record.clone())).collect()
    }

    #[test]
    fn commits_of_one_partition_arrive_together_and_in_order() {
        let tail = Tail::default();
        tail.publish(Partition(3), records(1, 2));
        tail.publish(Partition(3), records(3, 1));
        let events = tail.take();
        let [Event::Published { partition: Partition(3), records }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(records.iter().map(|(position, _)| position.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(tail.take().is_empty());
    }

    #[test]
    fn data_of_events_waits_up_to_a_limit() {
        let event = |id: u64| {
            let data = "x".repeat(1_000_000);
            let json = serde_json::json!({"specversion": "1.0", "id": id.to_string(), "source": "/s", "type": "t",
                                          "data": data});
            let event = notify::topic::CloudEvent::from_json(json.to_string().as_bytes()).unwrap();
            let (topic, published) = (graph::TopicId(Uuid::nil()), graph::Timestamp::from_seconds(0));
            Arc::new(Record::Event(Arc::new(notify::TopicEvent::new(topic, published, event))))
        };
        let tail = Tail::default();
        for position in 1..=40 {
            tail.publish(Partition(0), vec![(Position(position), event(position))]);
        }
        let events = tail.take();
        let [Event::Published { records, .. }, Event::Look { .. }] = &events[..] else { panic!("{}", events.len()) };
        assert!((30..35).contains(&records.len()), "{}", records.len());
        tail.publish(Partition(0), vec![(Position(41), event(41))]);
        assert_eq!(tail.take().len(), 1, "there is room again");
    }

    #[test]
    fn a_flood_is_dropped_and_leaves_a_hint_to_look() {
        let tail = Tail::default();
        for batch in 0..20 {
            tail.publish(Partition(0), records(1 + batch * 1_000, 1_000));
        }
        tail.publish(Partition(9), records(1, 1_000));
        let events = tail.take();
        let looks = events.iter().filter(|event| matches!(event, Event::Look { .. })).count();
        let kept: usize = events
            .iter()
            .map(|event| if let Event::Published { records, .. } = event { records.len() } else { 0 })
            .sum();
        assert_eq!(looks, 2);
        assert!(kept <= RECORDS_MAX, "{kept}");
    }
}
