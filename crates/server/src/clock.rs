//! The only clock: everything that needs the time asks here.
//!
//! That of `tidings dev` can be moved forward, and what the server decides by the time moves along: expiry, questions
//! to reauthorize, retries, throttling. What others hold against clocks of their own goes by the world's time all the
//! same (tokens, certificates), and so does what takes time (attempts, slow bodies, a drain).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graph::Timestamp;
use notify::{Monotonic, Now};
use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, MutexGuard, Notify};

/// How far a clock may be moved ahead of the world in all: ten years.
pub const AHEAD_MICROS_MAX: u64 = 3_650 * 24 * 3_600 * 1_000_000;

/// Is told how many microseconds ahead of the world a clock goes, to keep it for the next start.
pub type Keep = Box<dyn Fn(u64) -> anyhow::Result<()> + Send + Sync>;

/// Wall time from the system, monotonic time from when this was made; both with how far it was moved.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    lead: Arc<Lead>,
}

/// How far a clock goes ahead of the world.
struct Lead {
    micros: AtomicU64,
    moved: Notify,
    /// `None`: nobody moves it.
    keep: Option<Mutex<Keep>>,
}

/// One moment, here and in the rest of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub here: Timestamp,
    pub world: Timestamp,
}

/// Moves a clock; there is one at a time.
pub struct Hand<'a> {
    clock: &'a Clock,
    keep: MutexGuard<'a, Keep>,
}

impl Clock {
    /// The world's time, which nobody moves.
    pub fn new() -> Self {
        Self::ahead_by(0)
    }

    /// One that goes `ahead` of the world by so many microseconds, and is not moved on.
    pub fn ahead_by(ahead: u64) -> Self {
        Self::with(ahead, None)
    }

    /// One that goes `ahead` of the world by so many microseconds, and can be moved on.
    pub fn movable(ahead: u64, keep: Keep) -> Self {
        Self::with(ahead, Some(Mutex::new(keep)))
    }

    fn with(ahead: u64, keep: Option<Mutex<Keep>>) -> Self {
        let micros = AtomicU64::new(ahead.min(AHEAD_MICROS_MAX));
        let lead = Lead { micros, moved: Notify::new(), keep };
        Self { origin: Instant::now(), lead: Arc::new(lead) }
    }

    /// Both times are of one moment: whoever holds them against each other sees no step.
    pub fn now(&self) -> Now {
        let ahead = self.ahead();
        Now { wall: self.world().plus_micros(ahead as i64), mono: self.mono_ahead(ahead) }
    }

    pub fn wall(&self) -> Timestamp {
        self.times().here
    }

    pub fn mono(&self) -> Monotonic {
        self.mono_ahead(self.ahead())
    }

    fn mono_ahead(&self, ahead: u64) -> Monotonic {
        Monotonic(u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)).plus_micros(ahead)
    }

    pub fn times(&self) -> Times {
        let world = self.world();
        Times { here: world.plus_micros(self.ahead() as i64), world }
    }

    /// The time that the rest of the world has: for what others hold against their own clocks.
    pub fn world(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }

    /// How long it has run, whatever it was moved: for what takes time.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Microseconds that it goes ahead of the world.
    pub fn ahead(&self) -> u64 {
        self.lead.micros.load(Ordering::Relaxed)
    }

    /// Ends when it is moved after this was called. Whoever sleeps until a time of this clock wakes for it.
    pub fn moved(&self) -> Notified<'_> {
        self.lead.moved.notified()
    }

    /// What moves it; waits for who moves it already. `None`: it is a clock that nobody moves.
    pub async fn hand(&self) -> Option<Hand<'_>> {
        Some(Hand { clock: self, keep: self.lead.keep.as_ref()?.lock().await })
    }
}

impl Hand<'_> {
    /// Keeps for the next start how far ahead it goes, or is about to go.
    pub fn keep(&self, ahead: u64) -> anyhow::Result<()> {
        (self.keep)(ahead)
    }

    /// Moves it forward, by no more than is left to [`AHEAD_MICROS_MAX`], and wakes who sleeps.
    pub fn forward(&self, micros: u64) {
        let ahead = self.clock.ahead().saturating_add(micros).min(AHEAD_MICROS_MAX);
        self.clock.lead.micros.store(ahead, Ordering::Relaxed);
        self.clock.lead.moved.notify_waiters();
    }
}

impl Times {
    /// What this clock shows when the world has that time, if it is not moved in between.
    pub fn here_at(self, world: Timestamp) -> Timestamp {
        world.plus_micros(self.here.since(self.world))
    }
}

/// Of a clock that was not moved.
impl From<Timestamp> for Times {
    fn from(now: Timestamp) -> Self {
        Self { here: now, world: now }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lead").field(&self.micros).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    const DAY: u64 = 24 * 3_600 * 1_000_000;

    fn movable(ahead: u64) -> Clock {
        Clock::movable(ahead, Box::new(|_| Ok(())))
    }

    #[tokio::test]
    async fn both_times_move_and_the_worlds_stays() {
        let clock = movable(0);
        let (before, elapsed) = (clock.now(), clock.elapsed());
        clock.hand().await.unwrap().forward(3 * DAY);
        let (after, times) = (clock.clone().now(), clock.times());
        let minute = 60_000_000;
        assert!((3 * DAY..3 * DAY + minute).contains(&after.mono.since(before.mono)));
        assert!((3 * DAY..3 * DAY + minute).contains(&(after.wall.since(before.wall) as u64)));
        assert_eq!(times.here.since(times.world), 3 * DAY as i64);
        assert_eq!(times.here_at(times.world.plus_minutes(5)), times.here.plus_minutes(5));
        assert!(clock.elapsed() - elapsed < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn it_goes_on_where_it_was_left_and_ends_somewhere() {
        let clock = movable(7 * DAY);
        assert_eq!(clock.ahead(), 7 * DAY);
        clock.hand().await.unwrap().forward(u64::MAX);
        assert_eq!(clock.ahead(), AHEAD_MICROS_MAX);
        assert!(clock.wall().to_string().parse::<Timestamp>().is_ok(), "it can be written");
    }

    #[tokio::test]
    async fn who_sleeps_is_woken_even_if_it_is_moved_before_they_sleep() {
        let clock = movable(0);
        let moved = clock.moved();
        clock.hand().await.unwrap().forward(1);
        moved.await;
    }

    #[tokio::test]
    async fn the_clock_of_any_other_server_is_moved_by_nobody() {
        assert!(Clock::new().hand().await.is_none());
    }

    #[tokio::test]
    async fn what_is_kept_is_told() {
        let told = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&told);
        let keep = move |ahead| {
            tell.store(ahead == 5, Ordering::Relaxed);
            Ok(())
        };
        let clock = Clock::movable(0, Box::new(keep));
        clock.hand().await.unwrap().keep(5).unwrap();
        assert!(told.load(Ordering::Relaxed));
        assert_eq!(clock.ahead(), 0, "it is not moved yet");
    }
}
