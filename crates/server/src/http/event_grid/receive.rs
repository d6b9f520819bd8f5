//! `POST …/eventsubscriptions/{name}:receive?maxEvents=&maxWaitTime=`: as many events as there are, up to `maxEvents`, at
//! once if there are any, else when the first comes; without one in time an empty list. Nobody else receives them until
//! they are settled or their locks expire. 429 when too many wait.

use std::time::Duration;

use graph::Timestamp;
use notify::Topic;
use protocol::event_grid::pull::{BrokerProperties, Events, LockedEvent, Receive};
use store::{EventSubscriptionKey, Received};

use super::refusal::Refusal;
use super::{Call, Done};

/// However the clocks stand: so long passes at least before the store is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(20);

pub(super) async fn receive(call: &Call<'_>, topic: &Topic, name: &str) -> Result<Done, Refusal> {
    let asked = Receive::parse(call.option("maxEvents"), call.option("maxWaitTime"))?;
    let key = EventSubscriptionKey::new(topic.id, name);
    let received = wait(call, &key, &asked).await?;
    let value = received.events.iter().map(|locked| LockedEvent {
        broker_properties: BrokerProperties {
            lock_token: locked.lock_token.clone(),
            delivery_count: locked.delivery_count,
        },
        event: &locked.event.event,
    });
    Ok(Done::ok(&Events { value: value.collect() }))
}

/// What there is, or comes in time.
async fn wait(call: &Call<'_>, key: &EventSubscriptionKey, asked: &Receive) -> Result<Received, Refusal> {
    let (state, most) = (call.state, asked.events_max as usize);
    let Some(place) = state.arrivals.wait_for(key.topic) else {
        let received = state.store.receive(key.clone(), most, state.clock.wall()).await?;
        return if received.events.is_empty() { Err(Refusal::TooManyWait) } else { Ok(received) };
    };
    let wait = Duration::from_secs(u64::from(asked.wait_seconds));
    let (until, deadline) = (state.clock.elapsed() + wait, tokio::time::sleep(wait));
    tokio::pin!(deadline);
    loop {
        // Before the store is asked: what comes while it answers is heard, too.
        let (rung, moved) = (place.rung(), state.clock.moved());
        tokio::pin!(rung, moved);
        rung.as_mut().enable();
        moved.as_mut().enable();
        let now = state.clock.wall();
        let received = state.store.receive(key.clone(), most, now).await?;
        let is_over = state.clock.elapsed() >= until || state.arrivals.is_closed();
        if !received.events.is_empty() || is_over {
            return Ok(received);
        }
        if received.more {
            continue;
        }
        tokio::select! {
            () = rung => {}
            () = moved => {}
            () = comes_due(received.due, now) => {}
            () = state.arrivals.closed() => {}
            () = &mut deadline => {}
        }
    }
}

/// Ends when something that was received before is due again.
async fn comes_due(due: Option<Timestamp>, now: Timestamp) {
    match due {
        Some(due) => {
            let wait = Duration::from_micros(u64::try_from(due.since(now)).unwrap_or_default());
            tokio::time::sleep(wait.max(PAUSE_MIN)).await;
        }
        None => std::future::pending().await,
    }
}
