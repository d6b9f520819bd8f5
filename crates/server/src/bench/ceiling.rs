//! How fast the outbound client can post the same bytes to the same receiver with nothing between:
//! what the server's own figures are compared with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use notify::subscription::TlsVersion;
use tokio::task::JoinSet;

use super::cpu::cpu_time;
use super::receiver::THREAD_NAME;
use crate::outbound::{Failure, Outbound};

const CONTENT_TYPE: &str = "application/json; charset=utf-8";
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    pub posts: u64,
    pub elapsed: Duration,
    /// CPU time of the process without the receiver's threads, where the system tells it.
    pub cpu: Option<Duration>,
}

impl Ceiling {
    pub fn posts_per_second(&self) -> f64 {
        self.posts as f64 / self.elapsed.as_secs_f64()
    }

    pub fn cpu_per_post(&self) -> Option<Duration> {
        let nanos = self.cpu?.as_nanos().checked_div(u128::from(self.posts))?;
        Some(Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX)))
    }
}

/// Posts `body` to `url` `posts` times, `concurrency` at a time. Ends at the first failure.
pub async fn ceiling(
    outbound: &Arc<Outbound>,
    url: &str,
    body: Bytes,
    posts: u64,
    concurrency: usize,
) -> Result<Ceiling, Failure> {
    let url: Arc<str> = url.into();
    let left = Arc::new(AtomicU64::new(posts));
    let (started, cpu) = (Instant::now(), cpu_time(THREAD_NAME));
    let mut senders = JoinSet::new();
    for _ in 0..concurrency.max(1) {
        senders.spawn(send(Arc::clone(outbound), Arc::clone(&url), body.clone(), Arc::clone(&left)));
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))?;
    }
    let cpu = cpu_time(THREAD_NAME).zip(cpu).map(|(after, before)| after.saturating_sub(before));
    Ok(Ceiling { posts, elapsed: started.elapsed(), cpu })
}

async fn send(outbound: Arc<Outbound>, url: Arc<str>, body: Bytes, left: Arc<AtomicU64>) -> Result<(), Failure> {
    while left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let answer = outbound.post((&url, TlsVersion::V1_2), CONTENT_TYPE, body.clone(), ATTEMPT_MAX).await?;
        if !(200..300).contains(&answer.status) {
            return Err(Failure::Broken(format!("the receiver answered {}", answer.status)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Receiver;
    use crate::outbound::{OutboundConfig, Policy};

    fn outbound() -> Arc<Outbound> {
        let policy = Policy { dev: true, ..Policy::default() };
        Arc::new(Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap())
    }

    #[tokio::test]
    async fn every_post_arrives_and_is_counted() {
        let receiver = Receiver::start(1, None).unwrap();
        let run = ceiling(&outbound(), &receiver.url("/"), Bytes::from_static(b"{}"), 100, 8).await.unwrap();
        assert_eq!((run.posts, receiver.posts()), (100, 100));
        assert!(run.posts_per_second() > 0.0);
    }

    #[tokio::test]
    async fn a_failure_ends_the_run() {
        let url = Receiver::start(1, None).unwrap().url("/");
        let run = ceiling(&outbound(), &url, Bytes::new(), 100, 8).await;
        assert!(matches!(run, Err(Failure::Connect(_))), "{run:?}");
    }
}
