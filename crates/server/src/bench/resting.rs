//! What a server holds and does that has many subscriptions: while nothing happens, while all of them have something
//! unfinished, and when it starts with a log that nobody has read.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::process::{Activity, resident_bytes};
use super::receiver::{Manner, OnBody};
use super::told::await_count;
use super::{Filled, Population, Receiver, Server, Told};

/// Subscriptions to each mailbox of those that are many.
const SUBSCRIPTIONS_EACH: u64 = 10;
/// Mailboxes that an unread log is spread over.
const MAILBOXES: u64 = 1_000;
/// Where nobody is called: no change is made in these mailboxes.
const NOWHERE: &str = "https://hooks.example.net/notifications/of/an/app/of/usual/length";

fn many(subscriptions: u64) -> Population {
    let mailboxes = subscriptions.div_ceil(SUBSCRIPTIONS_EACH);
    Population { mailboxes, subscriptions_each: SUBSCRIPTIONS_EACH, rich: false }
}

/// A server with idle subscriptions.
#[derive(Clone, Debug)]
pub struct Idle {
    pub subscriptions: u64,
    /// Resident once it has come to rest.
    pub bytes: u64,
    /// From the start of the process to rest.
    pub starting: Duration,
    /// What it did in `watched` of rest.
    pub activity: Activity,
    pub watched: Duration,
}

impl Idle {
    /// The part of one core that it used.
    pub fn cpu_share(&self) -> f64 {
        self.activity.cpu.as_secs_f64() / self.watched.as_secs_f64()
    }

    pub fn wake_ups_per_second(&self) -> f64 {
        self.activity.wake_ups() as f64 / self.watched.as_secs_f64()
    }
}

/// Starts a server that has so many subscriptions, and watches it for `watched` once it has come to rest.
pub async fn idle(subscriptions: u64, watched: Duration) -> Result<Idle> {
    let population = many(subscriptions);
    let filled = Filled::new(population, |n| format!("{NOWHERE}/{n}")).await?;
    let server = Server::serve(&filled)?;
    let bytes = server.at_rest().await?;
    let starting = server.started.elapsed();
    let (before, from) = (server.activity()?, Instant::now());
    tokio::time::sleep(watched).await;
    let (activity, watched) = (server.activity()?.since(&before), from.elapsed());
    Ok(Idle { subscriptions: population.subscriptions(), bytes, starting, activity, watched })
}

/// A server all of whose subscriptions have something unfinished.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    pub lanes: u64,
    /// Resident with the same subscriptions at rest, and once each has been told and has refused.
    pub idle_bytes: u64,
    pub bytes: u64,
    /// From the start of the process until the last was told.
    pub telling: Duration,
}

impl Lanes {
    pub fn bytes_each(&self) -> f64 {
        self.bytes.saturating_sub(self.idle_bytes) as f64 / self.lanes as f64
    }
}

/// Gives each of so many subscriptions, at an endpoint of its own, a notification that its receiver refuses.
pub async fn lanes(lanes: u64) -> Result<Lanes> {
    let population = many(lanes);
    let told = Subscriptions::default();
    let receiver = Receiver::of(Manner::Refuses, 1, Some(told.noting()))?;
    let filled = Filled::new(population, |n| receiver.url(&format!("/{n}"))).await?;
    let idle_bytes = Server::start_on(&filled)?.at_rest().await?;
    filled.commit(population, population.mailboxes).await?;
    let server = Server::start_on(&filled)?;
    await_count(population.subscriptions(), || told.count()).await?;
    let telling = server.started.elapsed();
    let bytes = resident_bytes(server.process()).context("the kernel does not tell how much memory a process has")?;
    Ok(Lanes { lanes: population.subscriptions(), idle_bytes, bytes, telling })
}

/// Which subscriptions a receiver was told of.
#[derive(Clone, Debug, Default)]
struct Subscriptions(Arc<Mutex<HashSet<String>>>);

impl Subscriptions {
    fn noting(&self) -> OnBody {
        let known = Arc::clone(&self.0);
        Arc::new(move |body| {
            let collection: Value = serde_json::from_slice(body).unwrap_or_default();
            let told = collection["value"].as_array().into_iter().flatten();
            let ids = told.filter_map(|told| told["subscriptionId"].as_str().map(str::to_owned));
            known.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
        })
    }

    fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

/// A server that starts with a log that nobody has read.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    pub changes: u64,
    /// From the start of the process until it serves, until the first notification has arrived, and the last.
    pub ready: Duration,
    pub first: Duration,
    pub last: Duration,
    /// Resident when the last had arrived.
    pub bytes: u64,
}

/// Starts a server with so many changes behind its checkpoint, each of which one subscription hears of.
pub async fn recovery(changes: u64) -> Result<Recovery> {
    let population = Population { mailboxes: MAILBOXES.min(changes), subscriptions_each: 1, rich: false };
    let told = Told::default();
    let receiver = Receiver::start(1, Some(told.counter(false)))?;
    let filled = Filled::new(population, |_| receiver.url("/recovery")).await?;
    filled.commit(population, changes).await?;
    let server = Server::start_on(&filled)?;
    let ready = server.started.elapsed();
    told.await_count(changes).await?;
    let last = server.started.elapsed();
    let bytes = resident_bytes(server.process()).context("the kernel does not tell how much memory a process has")?;
    let first = told.first().context("nothing has arrived")?.saturating_duration_since(server.started);
    Ok(Recovery { changes, ready, first, last, bytes })
}
