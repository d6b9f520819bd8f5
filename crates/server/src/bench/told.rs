//! How many notifications a receiver was told, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::receiver::OnBody;

/// How long nothing may arrive while something is awaited.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Counts notifications of changes, by what arrives.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    notifications: AtomicU64,
    bytes: AtomicU64,
    first: OnceLock<Instant>,
}

impl Told {
    /// What counts for a receiver. `rich`: the notifications come with content.
    pub fn counter(&self, rich: bool) -> OnBody {
        let counts = Arc::clone(&self.0);
        Arc::new(move |body| {
            counts.first.get_or_init(Instant::now);
            counts.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            counts.notifications.fetch_add(notifications(body, rich), Ordering::Relaxed);
        })
    }

    pub fn notifications(&self) -> u64 {
        self.0.notifications.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// When the first arrived.
    pub fn first(&self) -> Option<Instant> {
        self.0.first.get().copied()
    }

    /// Waits until so many have arrived.
    pub async fn await_count(&self, count: u64) -> Result<()> {
        await_count(count, || self.notifications()).await
    }
}

/// Waits until `arrived` says so many.
pub(super) async fn await_count(count: u64, arrived: impl Fn() -> u64) -> Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(1));
    let (mut heard, mut at) = (arrived(), Instant::now());
    while heard < count {
        look.tick().await;
        let now = arrived();
        if now > heard {
            (heard, at) = (now, Instant::now());
        } else if at.elapsed() > SILENCE_MAX {
            bail!("only {heard} of {count} arrived, and then none for {SILENCE_MAX:?}");
        }
    }
    Ok(())
}

/// How many notifications a body has. To parse it would cost the receiver more than all else, so objects are counted:
/// the collection, and of each notification itself, its resource data and, if there is any, its content.
fn notifications(body: &[u8], rich: bool) -> u64 {
    let objects = body.iter().filter(|byte| **byte == b'{').count() as u64;
    objects.saturating_sub(1) / if rich { 3 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_counted_by_their_objects() {
        let basic = br#"{"value":[{"resourceData":{"id":"a"}},{"resourceData":{"id":"b"}}]}"#;
        let rich =
            br#"{"value":[{"resourceData":{"id":"a"},"encryptedContent":{"data":""}}],"validationTokens":["a"]}"#;
        assert_eq!((notifications(basic, false), notifications(rich, true)), (2, 1));
    }
}
