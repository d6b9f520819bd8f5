//! Where events go besides webhooks, as far as the operator has named a place: the bridge, and the store of dead letters.

use std::sync::Arc;
use std::time::Duration;

use notify::node::Outcome;
use notify::push_policy::Undelivered;
use notify::topic::{DeadLetterDestination, Destination, Endpoint, EventSubscription, InvalidBridge, NatsJetStream};
use notify::{Topic, TopicEvent};
use protocol::event_grid::dead_letter::is_container_name;
use store::Store;
use tokio::task::JoinSet;

use crate::bridge::{Bridge, NatsConfig};
use crate::clock::Clock;
use crate::dead_letters::{DeadLetters, DeadLettersConfig, NoContainer, Shelf, letter};

/// Dead letters that are written at a time.
const KEPT_AT_A_TIME: usize = 16;
/// What is not there, or does not work, is as a receiver that is not available: it is tried again.
const UNAVAILABLE: Outcome = Outcome::refused(503);
/// As the attempt log tells it. More is for the server's own log.
const NO_TOPIC: &str = "its topic was removed, or cannot be read";

/// What an operator has named.
#[derive(Clone, Debug, Default)]
pub struct SinksConfig {
    /// `None`: events are bridged nowhere.
    pub nats: Option<NatsConfig>,
    /// `None`: no dead letter is kept.
    pub dead_letters: Option<DeadLettersConfig>,
}

/// Why something was not taken where nobody answers in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub outcome: Outcome,
    /// As the attempt log tells it, to apps as well.
    pub cause: &'static str,
}

#[derive(Debug, Default)]
pub struct Sinks {
    pub bridge: Option<Bridge>,
    pub dead_letters: Option<Arc<DeadLetters>>,
}

/// Why an event subscription cannot be made that leads there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSink {
    #[error("this server has no NATS server to publish to; its operator names one as nats.url in the configuration")]
    NoBridge,
    #[error(
        "this server keeps no dead letters; its operator names a place in the section dead_letters of the configuration, or \
         leave deadLetterDestination out"
    )]
    NoDeadLetters,
    #[error(transparent)]
    Bridge(#[from] InvalidBridge),
    #[error(transparent)]
    Container(#[from] NoContainer),
}

impl Sinks {
    /// Reads what the configuration names. Nothing is asked yet.
    pub fn new(config: SinksConfig, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self {
            bridge: config.nats.map(Bridge::new).transpose()?,
            dead_letters: config
                .dead_letters
                .map(|config| DeadLetters::new(config, clock).map(Arc::new))
                .transpose()?,
        })
    }

    /// Publishes events of a topic for one of its event subscriptions, in their order. Answers which are too large for that,
    /// by their places: the others are acknowledged.
    pub async fn publish(
        &self,
        store: &dyn Store,
        (to, of): (&NatsJetStream, &EventSubscription),
        events: &[Arc<TopicEvent>],
        limit: Duration,
    ) -> Result<Vec<usize>, Refused> {
        let bridge = self.bridge.as_ref().ok_or_else(|| missing(of, NoSink::NoBridge))?;
        let topic = topic(store, of).await?;
        let events: Vec<_> = events.iter().map(|event| &event.event).collect();
        let published = bridge.publish(to, topic.tenant, &events, limit).await;
        if let Some(cause) = published.cause {
            tracing::warn!(event_subscription = of.name, stream = to.stream, cause, "events were not bridged");
        }
        match published.outcome {
            Outcome::Acknowledged => Ok(published.too_large),
            outcome => Err(Refused { outcome, cause: "the NATS server did not take it" }),
        }
    }

    /// Keeps dead letters of an event subscription: all of them, or they are to be kept again.
    pub async fn keep(
        &self,
        store: &dyn Store,
        (to, of): (&DeadLetterDestination, &EventSubscription),
        letters: &[(Arc<TopicEvent>, Undelivered)],
    ) -> Result<(), Refused> {
        let not_kept = Refused { outcome: UNAVAILABLE, cause: "the dead letter could not be kept" };
        let dead_letters = self.dead_letters.as_ref().ok_or_else(|| missing(of, NoSink::NoDeadLetters))?;
        let topic = topic(store, of).await?;
        let shelf = Shelf::new(&to.container, &topic, &of.name).map_err(|_| not_kept)?;
        for chunk in letters.chunks(KEPT_AT_A_TIME) {
            let mut tasks = JoinSet::new();
            for (event, undelivered) in chunk {
                let letter = letter(event, undelivered);
                let (dead_letters, shelf) = (Arc::clone(dead_letters), shelf.clone());
                tasks.spawn(async move { dead_letters.keep(&shelf, &letter).await });
            }
            while let Some(kept) = tasks.join_next().await {
                match kept {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(event_subscription = of.name, %error, "a dead letter could not be kept");
                        return Err(not_kept);
                    }
                    Err(_) => return Err(not_kept),
                }
            }
        }
        Ok(())
    }

    /// Whether events can be brought there.
    pub fn check(&self, destination: &Destination) -> Result<(), NoSink> {
        let Destination::Push(push) = destination else { return Ok(()) };
        if let Endpoint::NatsJetStream(to) = &push.to {
            self.bridge.as_ref().ok_or(NoSink::NoBridge)?.check(to)?;
        }
        match (&push.dead_letters, &self.dead_letters) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(NoSink::NoDeadLetters),
            (Some(to), Some(_)) if is_container_name(&to.container) => Ok(()),
            (Some(_), Some(_)) => Err(NoContainer.into()),
        }
    }
}

/// It was there when the event subscription was made: what is to go there waits.
fn missing(of: &EventSubscription, why: NoSink) -> Refused {
    tracing::error!(event_subscription = of.name, %why, "events wait");
    Refused { outcome: UNAVAILABLE, cause: "the server has no such place any more" }
}

/// The topic of an event subscription.
async fn topic(store: &dyn Store, of: &EventSubscription) -> Result<Arc<Topic>, Refused> {
    let found = store.topic(of.topic).await;
    let found = found.inspect_err(|error| tracing::warn!(%error, "a topic could not be read")).ok().flatten();
    found.ok_or(Refused { outcome: UNAVAILABLE, cause: NO_TOPIC })
}
