//! What is stored of the health of endpoints: with each partition in which a subscription names one that is slow or
//! dropping, and by that partition's checkpoints alone. Whoever takes a partition over begins with it.

use std::collections::BTreeMap;

use graph::Partition;

use super::machine::Node;
use super::owned::{Owned, Phase};
use super::pulses::Pulses;
use crate::{EndpointId, Now, Record, StoredHealth, SubscriptionEvent};

impl Node {
    /// What endpoints have become is to be recorded, as soon as other outcomes are.
    pub(super) fn record_health(&mut self, now: Now) {
        for endpoint in self.sending.pulses.take_changed() {
            let is_well = self.sending.pulses.lasting(endpoint, now.mono).is_none();
            let concerned = self.partitions.values_mut().filter(|owned| owned.phase == Phase::Active);
            let concerned = concerned.filter(|owned| match is_well {
                true => owned.kept.contains_key(&endpoint),
                false => owned.spans.name(&endpoint),
            });
            let concerned = concerned.map(|owned| {
                owned.ailing.insert(endpoint);
                owned.touch(now.mono);
                owned.partition
            });
            for partition in concerned.collect::<Vec<Partition>>() {
                self.schedule(partition, now);
            }
        }
    }
}

impl Owned {
    /// Takes in what the owner before has stored. What of it is not true any more is put right by the first checkpoint, as is
    /// what this node knows and nobody has stored here.
    pub(super) fn restore_health(
        &mut self,
        stored: &BTreeMap<EndpointId, StoredHealth>,
        pulses: &mut Pulses,
        now: Now,
    ) {
        for (endpoint, stored) in stored {
            self.kept.insert(*endpoint, pulses.restore(*endpoint, *stored, now));
            self.touch(now.mono);
        }
        self.ailing.extend(pulses.endpoints());
    }

    /// A subscription may have begun to name an endpoint that is not well.
    pub(super) fn note_endpoint(&mut self, record: &Record, pulses: &Pulses) {
        let Record::Subscription { event, .. } = record else { return };
        if let SubscriptionEvent::Began(subscription) | SubscriptionEvent::Patched(subscription) = event
            && !pulses.is_empty()
        {
            self.ailing.insert(EndpointId::of(subscription.app, &subscription.notification_url));
        }
    }

    /// What a checkpoint at `now` says of endpoints: where the store has something else than it should.
    pub(super) fn health(&mut self, now: Now, pulses: &Pulses) -> BTreeMap<EndpointId, Option<StoredHealth>> {
        let mut looked_at = std::mem::take(&mut self.ailing);
        looked_at.extend(self.kept.keys());
        let mut said = BTreeMap::new();
        for endpoint in looked_at {
            let lasting = pulses.lasting(endpoint, now.mono).filter(|_| self.spans.name(&endpoint));
            match (self.kept.get(&endpoint), lasting) {
                (None, None) => {}
                (Some(Some(kept)), Some(lasting)) if *kept == lasting => {}
                (_, Some(lasting)) => {
                    self.kept.insert(endpoint, Some(lasting));
                    said.insert(endpoint, Some(lasting.stored(now)));
                }
                (Some(_), None) => {
                    self.kept.remove(&endpoint);
                    said.insert(endpoint, None);
                }
            }
        }
        said
    }
}
