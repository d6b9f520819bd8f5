//! Where events go that no webhook takes: a bridge to NATS JetStream, and a store of dead letters. A server that has none
//! of them answers for it as a receiver does that is not available, so that what is to go there waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use notify::node::Outcome;
use notify::push_policy::Undelivered;
use notify::topic::{DeadLetterDestination, NatsJetStream};
use notify::{EventSubscription, TopicEvent};

/// Publishes events into streams of NATS JetStream.
#[async_trait]
pub trait Bridge: Send + Sync + 'static {
    /// Publishes events of a topic in this order, whole. They count as acknowledged when JetStream has taken each; what of
    /// them is published again, it knows by their ids.
    async fn publish(&self, to: &NatsJetStream, of: &EventSubscription, events: &[Arc<TopicEvent>]) -> Outcome;
}

/// Keeps events that are not pushed any more.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps these, each once however often it is called. They count as acknowledged when all are durable.
    async fn keep(&self, to: &DeadLetterDestination, of: &EventSubscription, letters: &[Letter]) -> Outcome;
}

/// An event that is not pushed any more, whole, and why.
#[derive(Clone, Debug)]
pub struct Letter {
    pub event: Arc<TopicEvent>,
    pub given_up: Undelivered,
}

/// Those that this server has.
#[derive(Clone, Default)]
pub struct Sinks {
    pub bridge: Option<Arc<dyn Bridge>>,
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    pub(super) told: Arc<Told>,
}

/// Of which it was said that it is missing.
#[derive(Default)]
pub(super) struct Told {
    bridge: AtomicBool,
    dead_letters: AtomicBool,
}

/// What is not there is as a receiver that is not available.
const NOT_CONFIGURED: Outcome = Outcome::refused(503);

impl Sinks {
    pub(super) async fn publish(
        &self,
        to: &NatsJetStream,
        of: &EventSubscription,
        events: &[Arc<TopicEvent>],
    ) -> Outcome {
        match &self.bridge {
            Some(bridge) => bridge.publish(to, of, events).await,
            None => {
                if !self.told.bridge.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        event_subscription = of.name,
                        stream = to.stream,
                        "events are to be published into NATS JetStream, and this server has no connection to one; \
                         configure it: they wait until then, as long as their event subscriptions let them live"
                    );
                }
                NOT_CONFIGURED
            }
        }
    }

    pub(super) async fn keep(&self, to: &DeadLetterDestination, of: &EventSubscription, letters: &[Letter]) -> Outcome {
        match &self.dead_letters {
            Some(dead_letters) => dead_letters.keep(to, of, letters).await,
            None => {
                if !self.told.dead_letters.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        event_subscription = of.name,
                        container = to.container,
                        "dead letters are to be kept, and this server has no place for them; configure one: they wait \
                         until then"
                    );
                }
                NOT_CONFIGURED
            }
        }
    }
}
