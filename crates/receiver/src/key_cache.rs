//! Which of an issuer's keys verifies a token, and when they are read again. A state machine without I/O: it
//! is told what was asked for and what was read, with the time, and says what to do.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::key_set::{KeySet, PublicKey};

const SECOND: Duration = Duration::from_secs(1);
/// Keys older than this are read again, while they are used.
const REFRESH_AFTER: Duration = Duration::from_secs(3_600);
/// An unknown key makes the keys be read again, but not more often than this.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(60);
/// After a failure it is tried again after 1 s, 2 s, 4 s and so on, but no later than this.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Keys that could not be read again for so long verify nothing any more.
const STALE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is known of an issuer's keys. Its times are the time since any fixed moment, on a clock that does not run
/// backwards.
#[derive(Debug, Default)]
pub struct KeyCache {
    read: Option<(Arc<KeySet>, Duration)>,
    generation: u64,
    reading: bool,
    /// When an unknown key may make them be read again.
    unknown_from: Duration,
    /// When they may be read again after failures.
    retry_from: Duration,
    failures: u32,
}

/// Where a key is.
#[derive(Clone, Debug)]
pub enum Found {
    /// Here it is.
    Key {
        /// The key.
        key: Arc<PublicKey>,
        /// Which reading of the keys it is of.
        generation: u64,
    },
    /// The keys are being read; then ask again.
    Reading,
    /// The issuer publishes no such key.
    Unknown,
    /// The issuer's keys could not be read.
    Unavailable,
}

/// The answer to a question, and whether the keys are to be read now. Whoever is told so reads them, and says
/// by [`KeyCache::done`] what came of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where the key is.
    pub found: Found,
    /// Whether the keys are to be read now.
    pub read_now: bool,
}

impl KeyCache {
    /// Looks for the key of this name that verifies signatures of this kind.
    pub fn find(&mut self, kid: &str, algorithm: Algorithm, now: Duration) -> Answer {
        let Some(keys) = self.usable(now) else {
            let read_now = self.begin(now);
            let found = if self.reading { Found::Reading } else { Found::Unavailable };
            return Answer { found, read_now };
        };
        if let Some(key) = keys.find(kid, algorithm) {
            let found = Found::Key { key: key.clone(), generation: self.generation };
            return Answer { found, read_now: self.refresh(now) };
        }
        if self.reading {
            return Answer { found: Found::Reading, read_now: false };
        }
        if now >= self.unknown_from && self.begin(now) {
            self.unknown_from = now.saturating_add(UNKNOWN_PAUSE);
            return Answer { found: Found::Reading, read_now: true };
        }
        Answer { found: Found::Unknown, read_now: false }
    }

    /// Whether the keys, which are being used, are to be read again now.
    pub fn refresh(&mut self, now: Duration) -> bool {
        let due = self.read.as_ref().is_none_or(|(_, read)| now.saturating_sub(*read) >= REFRESH_AFTER);
        due && self.begin(now)
    }

    /// What came of reading the keys. `None`: they could not be read; those of before stay.
    pub fn done(&mut self, keys: Option<KeySet>, now: Duration) {
        self.reading = false;
        match keys {
            Some(keys) => {
                self.read = Some((Arc::new(keys), now));
                self.generation += 1;
                self.failures = 0;
                self.retry_from = now;
            }
            None => {
                let pause = SECOND * (1 << self.failures.min(6));
                self.retry_from = now.saturating_add(pause.min(RETRY_PAUSE_MAX));
                self.failures += 1;
            }
        }
    }

    /// How often keys were read: what was verified with those of before may hold no more.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn usable(&self, now: Duration) -> Option<Arc<KeySet>> {
        self.read.as_ref().filter(|(_, read)| now.saturating_sub(*read) < STALE_MAX).map(|(keys, _)| keys.clone())
    }

    /// Begins to read, if nobody does and the last failure is long enough ago.
    fn begin(&mut self, now: Duration) -> bool {
        let begins = !self.reading && now >= self.retry_from;
        self.reading |= begins;
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::Issuer;

    const MINUTE: Duration = Duration::from_secs(60);

    /// An issuer that publishes one key, a cache, and the time.
    struct Story {
        cache: KeyCache,
        now: Duration,
        keys: KeySet,
        kid: String,
    }

    impl Story {
        fn new() -> Self {
            Self::of(Issuer::first())
        }

        fn of(issuer: &Issuer) -> Self {
            let (keys, kid) = (issuer.keys(), issuer.kid.clone());
            Self { cache: KeyCache::default(), now: SECOND * 7, keys, kid }
        }

        /// After its keys were read.
        fn read() -> Self {
            let mut story = Self::new();
            assert_eq!(story.asks_known(), "reading, read now");
            story.succeeds();
            story
        }

        fn asks(&mut self, kid: &str) -> String {
            let answer = self.cache.find(kid, Algorithm::RS256, self.now);
            let found = match answer.found {
                Found::Key { .. } => "key",
                Found::Reading => "reading",
                Found::Unknown => "unknown",
                Found::Unavailable => "unavailable",
            };
            format!("{found}{}", if answer.read_now { ", read now" } else { "" })
        }

        fn asks_known(&mut self) -> String {
            self.asks(&self.kid.clone())
        }

        fn succeeds(&mut self) {
            self.cache.done(Some(self.keys.clone()), self.now);
        }

        fn fails(&mut self) {
            self.cache.done(None, self.now);
        }

        fn after(&mut self, passed: Duration) -> &mut Self {
            self.now += passed;
            self
        }
    }

    #[test]
    fn the_first_token_makes_the_keys_be_read_once_and_others_wait() {
        let mut story = Story::new();
        assert_eq!(story.asks_known(), "reading, read now");
        assert_eq!((story.asks_known(), story.asks("other")), ("reading".into(), "reading".into()));
        story.succeeds();
        assert_eq!(story.asks_known(), "key");
    }

    #[test]
    fn flood_of_unknown_keys_makes_the_keys_be_read_once_a_minute() {
        let mut story = Story::read();
        assert_eq!(story.asks("new"), "reading, read now");
        let mut reads = 1;
        for second in 0..600 {
            for _ in 0..10 {
                let answer = story.asks(&format!("unknown {second}"));
                reads += usize::from(answer.ends_with("read now"));
                assert_eq!(story.asks_known(), "key", "nobody else waits");
            }
            story.succeeds();
            story.after(SECOND);
        }
        assert_eq!(reads, 10);
    }

    #[test]
    fn a_key_that_the_issuer_begins_to_use_is_found_at_once() {
        let mut story = Story::read();
        let first = std::mem::take(&mut story.kid);
        let next = Story::of(Issuer::second());
        story.keys = next.keys;
        story.after(SECOND);
        assert_eq!(story.asks(&next.kid), "reading, read now");
        story.succeeds();
        assert_eq!(story.asks(&next.kid), "key");
        assert_eq!(story.asks(&first), "unknown", "what is not published any more verifies nothing");
    }

    #[test]
    fn keys_are_read_again_after_an_hour_and_serve_meanwhile() {
        let mut story = Story::read();
        assert_eq!(story.after(REFRESH_AFTER - Duration::from_nanos(1)).asks_known(), "key");
        assert_eq!(story.after(Duration::from_nanos(1)).asks_known(), "key, read now");
        assert_eq!(story.asks_known(), "key");
        let before = story.cache.generation();
        story.succeeds();
        assert_eq!(story.cache.generation(), before + 1);
        assert_eq!(story.after(REFRESH_AFTER - Duration::from_nanos(1)).asks_known(), "key");
    }

    #[test]
    fn keys_serve_while_the_issuer_is_down_but_not_for_ever() {
        let mut story = Story::read();
        story.after(REFRESH_AFTER);
        while story.now.saturating_sub(SECOND * 7) < STALE_MAX {
            assert!(story.asks_known().starts_with("key"));
            story.fails();
            story.after(REFRESH_AFTER);
        }
        assert_eq!(story.asks_known(), "reading, read now");
        story.fails();
        assert_eq!(story.asks_known(), "unavailable");
    }

    #[test]
    fn an_issuer_that_is_down_is_asked_less_and_less() {
        let mut story = Story::new();
        let mut asked = Vec::new();
        for second in 0..300 {
            if story.asks_known().ends_with("read now") {
                asked.push(second);
                story.fails();
                assert_eq!(story.asks_known(), "unavailable");
            }
            story.after(SECOND);
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        story.after(MINUTE);
        assert_eq!(story.asks_known(), "reading, read now");
        story.succeeds();
        assert_eq!(story.asks_known(), "key");
    }
}
