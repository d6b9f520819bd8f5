//! What a server takes and delivers at full speed, over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::task::JoinSet;

use super::cpu::cpu_time_of;
use super::{Receiver, Server, Told};

/// Requests under way at a time.
const WRITERS: usize = 64;

/// What a run at full speed came to.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    pub accepted: u64,
    pub delivered: u64,
    /// From the first request to the last answer, and to the last notification.
    pub accepting: Duration,
    pub delivering: Duration,
    /// CPU time of the server's process.
    pub cpu: Option<Duration>,
    /// Rows of the log and of parked deliveries written.
    pub durable_rows: u64,
}

impl Throughput {
    pub fn accepted_per_second(&self) -> f64 {
        self.accepted as f64 / self.accepting.as_secs_f64()
    }

    pub fn delivered_per_second(&self) -> f64 {
        self.delivered as f64 / self.delivering.as_secs_f64()
    }
}

/// Posts messages as fast as they are accepted, for `span`, of each of which `fan_out` subscriptions hear, and waits
/// for the last notification.
pub async fn throughput(span: Duration, fan_out: u64) -> Result<Throughput> {
    let told = Told::default();
    let receiver = Receiver::start(1, Some(told.counter(false)))?;
    let server = Server::start()?;
    server.subscribe(&(0..fan_out).map(|n| receiver.url(&format!("/{n}"))).collect::<Vec<_>>()).await?;
    let (rows, cpu) = (server.durable_rows().await?, cpu_time_of(server.process()));
    let (started, accepted) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (mut line, accepted) = (server.writer()?.connect().await?, Arc::clone(&accepted));
        writers.spawn(async move {
            while started.elapsed() < span {
                line.post().await?;
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written.map_err(|error| anyhow!("a writer died: {error}"))??;
    }
    let (accepting, accepted) = (started.elapsed(), accepted.load(Ordering::Relaxed));
    told.await_count(accepted * fan_out).await?;
    let delivering = started.elapsed();
    let cpu = cpu_time_of(server.process()).zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let durable_rows = server.durable_rows().await? - rows;
    Ok(Throughput { accepted, delivered: accepted * fan_out, accepting, delivering, cpu, durable_rows })
}
