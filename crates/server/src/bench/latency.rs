//! How long it takes from a change to its notification.
//!
//! The moment at which a server has accepted a change, after its sync and before its answer, cannot be seen from
//! outside. It lies between the sending of the request and the reading of the answer, so both are measured: what is
//! counted from the request is at least the time from accepted to received, what is counted from the answer is at most
//! that. A notification that arrives before the answer was read counts 0 for the latter. The first second at a pace is not
//! measured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use tokio::task::JoinSet;

use super::receiver::{Manner, OnBody, Receiver};
use super::server::Server;

/// How long the last notification may take to arrive.
const ARRIVE_MAX: Duration = Duration::from_secs(60);
/// How long the server is posted to at the pace before anything is measured. The first requests open connections, a new one
/// for each that finds none free, and that takes longer than all the rest.
const WARM_UP: Duration = Duration::from_secs(1);

/// How fast messages are posted, for how long, and who hears of each.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub per_second: u32,
    pub span: Duration,
    /// Endpoints, each of its own origin, that hear of each message.
    pub endpoints: usize,
    /// So many of them never answer. What they are sent is not measured.
    pub hanging: usize,
}

/// What the notifications took at the endpoints that answer.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub samples: usize,
    pub from_request: Quantiles,
    pub from_answer: Quantiles,
    /// From the request to its answer.
    pub answering: Quantiles,
}

#[derive(Clone, Copy, Debug)]
pub struct Quantiles {
    pub p50: Duration,
    pub p99: Duration,
}

impl Quantiles {
    /// Of at least one.
    fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let at =
            |percent: usize| taken.get((taken.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }
}

/// When a message was asked for and when the answer was read.
#[derive(Clone, Copy, Debug)]
struct Written {
    sent: Instant,
    answered: Instant,
}

pub async fn latency(pace: Pace) -> Result<Latency> {
    let arrivals: Vec<Arrivals> = (pace.hanging..pace.endpoints).map(|_| Arrivals::default()).collect();
    let hang = (0..pace.hanging).map(|_| Receiver::of(Manner::Hangs, 1, None));
    let answer = arrivals.iter().map(|arrivals| Receiver::start(1, Some(arrivals.noting())));
    let receivers = hang.chain(answer).collect::<Result<Vec<_>, _>>()?;
    let server = Server::start()?;
    server.subscribe(&receivers.iter().map(|receiver| receiver.url("/n")).collect::<Vec<_>>()).await?;
    write(&server, (pace.per_second, WARM_UP)).await?;
    let written = write(&server, (pace.per_second, pace.span)).await?;
    let mut taken = Vec::new();
    for arrivals in &arrivals {
        taken.extend(arrivals.await_all(&written).await?);
    }
    let since = |from: fn(&Written) -> Instant| {
        Quantiles::of(taken.iter().map(|(written, at)| at.saturating_duration_since(from(written))).collect())
    };
    Ok(Latency {
        samples: taken.len(),
        from_request: since(|written| written.sent),
        from_answer: since(|written| written.answered),
        answering: Quantiles::of(written.values().map(|written| written.answered - written.sent).collect()),
    })
}

/// Posts so many messages a second for a while, whether those before have been answered or not. By their ids.
async fn write(server: &Server, (per_second, span): (u32, Duration)) -> Result<HashMap<String, Written>> {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut calls = JoinSet::new();
    for _ in 0..(span.as_secs_f64() * f64::from(per_second)).ceil() as u64 {
        beat.tick().await;
        let writer = server.writer()?;
        calls.spawn(async move {
            let sent = Instant::now();
            let id = writer.post().await?;
            anyhow::Ok((id, Written { sent, answered: Instant::now() }))
        });
    }
    let mut written = HashMap::new();
    while let Some(call) = calls.join_next().await {
        let (id, one) = call.map_err(|error| anyhow!("a writer died: {error}"))??;
        written.insert(id, one);
    }
    Ok(written)
}

/// When one receiver first heard of each item.
#[derive(Clone, Debug, Default)]
struct Arrivals(Arc<Mutex<HashMap<String, Instant>>>);

impl Arrivals {
    fn noting(&self) -> OnBody {
        let arrivals = self.clone();
        Arc::new(move |body| arrivals.note(body, Instant::now()))
    }

    fn note(&self, body: &[u8], at: Instant) {
        let collection: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in collection["value"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|told| told.pointer("/resourceData/id").and_then(Value::as_str))
        {
            arrivals.entry(id.to_owned()).or_insert(at);
        }
    }

    async fn await_all(&self, written: &HashMap<String, Written>) -> Result<Vec<(Written, Instant)>> {
        let deadline = Instant::now() + ARRIVE_MAX;
        let mut look = tokio::time::interval(Duration::from_millis(5));
        loop {
            let taken: Option<Vec<_>> = {
                let arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                written.iter().map(|(id, written)| Some((*written, *arrivals.get(id)?))).collect()
            };
            match taken {
                Some(taken) => return Ok(taken),
                None if Instant::now() > deadline => bail!("some notifications did not arrive within {ARRIVE_MAX:?}"),
                None => look.tick().await,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_arrival_of_an_item_counts() {
        let (arrivals, now) = (Arrivals::default(), Instant::now());
        let body = br#"{"value":[{"resourceData":{"id":"a"}},{"resourceData":{"id":"b"}}]}"#;
        arrivals.note(body, now);
        arrivals.note(body, now + Duration::from_secs(1));
        let noted = arrivals.0.lock().unwrap();
        assert_eq!((noted.len(), noted["a"], noted["b"]), (2, now, now));
    }

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let taken = (1..=100).rev().map(Duration::from_millis).collect();
        let Quantiles { p50, p99 } = Quantiles::of(taken);
        assert_eq!((p50, p99), (Duration::from_millis(50), Duration::from_millis(99)));
    }
}
