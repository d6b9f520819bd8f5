//! How the event subscriptions of a topic stand, as operators see it. Nothing of it is secret: of URLs, only whom they
//! lead to.

use std::collections::BTreeMap;

use graph::Timestamp;
use notify::Topic;
use notify::reauthorization::Standing;
use notify::topic::{Destination, Endpoint, EventCounts, EventSubscription};
use protocol::event_grid::management::ProvisioningState;
use serde::Serialize;
use store::{EventSubscriptionKey, StoreError};
use url::Url;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::directory::Directory;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct ShownEventSubscription {
    name: String,
    /// pull, webhook or nats.
    delivery: &'static str,
    /// To whom events are pushed: an URL without its path, or a stream of JetStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// delivering; awaitingConsent, while its endpoint may still say that it wants events; notConsented, if it did not in
    /// time; onProbation, while nothing is pushed after many failures; stopped, since its endpoint answered 410; expired.
    state: &'static str,
    /// Until when it awaits consent or is on probation; since when it is not consented or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// Events that were received and not settled, or tried in vain and parked, up to the last checkpoint.
    pending: u64,
}

/// All of a topic, by name. Who is on probation only a running server knows.
pub(in crate::admin) async fn shown(
    directory: &Directory,
    running: Option<&AppState>,
    topic: &Topic,
) -> Result<Vec<ShownEventSubscription>, StoreError> {
    let all = directory.store().event_subscriptions(topic.id).await?;
    let mut probations = BTreeMap::new();
    if let Some(running) = running.filter(|_| all.iter().any(|one| one.push().is_some())) {
        probations.extend(running.on_probation(topic.partition()).await);
    }
    let mut shown = Vec::with_capacity(all.len());
    for one in all {
        let counts = match directory.store().event_subscription(EventSubscriptionKey::new(topic.id, &one.name)).await? {
            Some((_, counts)) => counts,
            None => continue,
        };
        let pending = pending(directory, &one, counts).await?;
        let pushes = one.id.filter(|_| one.push().is_some());
        let standing = match pushes {
            Some(id) => directory.store().standing(id).await?,
            None => None,
        };
        let probation = pushes.and_then(|id| probations.get(&id).copied());
        let (state, time) = state(&one, standing.as_ref(), probation, directory.now());
        let (delivery, to) = delivery(&one);
        let time = time.map(|time| time.to_string());
        shown.push(ShownEventSubscription { name: one.name.clone(), delivery, to, state, time, pending });
    }
    Ok(shown)
}

async fn pending(directory: &Directory, of: &EventSubscription, counts: EventCounts) -> Result<u64, StoreError> {
    match of.id.filter(|_| of.push().is_some()) {
        None => Ok(counts.pending()),
        Some(id) => Ok(u64::try_from(directory.store().ledger(id).await?.parked).unwrap_or_default()),
    }
}

fn delivery(of: &EventSubscription) -> (&'static str, Option<String>) {
    let Destination::Push(push) = &of.destination else { return ("pull", None) };
    match &push.to {
        Endpoint::Webhook(webhook) => {
            let origin = Url::parse(&webhook.url).map(|url| url.origin().ascii_serialization());
            ("webhook", origin.ok())
        }
        Endpoint::NatsJetStream(bridge) => ("nats", Some(bridge.stream.clone())),
    }
}

/// How it stands, and until or since when.
fn state(
    of: &EventSubscription,
    standing: Option<&Standing>,
    probation: Option<Timestamp>,
    now: Timestamp,
) -> (&'static str, Option<Timestamp>) {
    let awaits = of.push().and_then(|push| push.webhook()?.awaits.as_ref()).map(|awaited| awaited.until);
    match of.state(now) {
        _ if of.is_over(now) => ("expired", of.expires),
        ProvisioningState::AwaitingManualAction => ("awaitingConsent", awaits),
        ProvisioningState::Failed => ("notConsented", awaits),
        ProvisioningState::Succeeded if standing.is_some_and(Standing::is_paused) => ("stopped", None),
        ProvisioningState::Succeeded if probation.is_some() => ("onProbation", probation),
        ProvisioningState::Succeeded => ("delivering", None),
    }
}
