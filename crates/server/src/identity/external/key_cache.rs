//! Which of an issuer's keys verifies a token, and when they are read again. A state machine without I/O: it
//! is told what was asked for and what was read, with the time, and says what to do.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use notify::Monotonic;

use super::key_set::{KeySet, PublicKey};

const SECOND: u64 = 1_000_000;
/// Keys older than this are read again, while they are used.
const REFRESH_AFTER: u64 = 3_600 * SECOND;
/// An unknown key makes the keys be read again, but not more often than this.
const UNKNOWN_PAUSE: u64 = 60 * SECOND;
/// After a failure it is tried again after 1 s, 2 s, 4 s and so on, but no later than this.
const RETRY_PAUSE_MAX: u64 = 60 * SECOND;
/// Keys that could not be read again for so long verify nothing any more.
const STALE_MAX: u64 = 7 * 24 * 3_600 * SECOND;

/// What is known of an issuer's keys.
#[derive(Debug, Default)]
pub struct KeyCache {
    read: Option<(Arc<KeySet>, Monotonic)>,
    /// How often keys were read: what was verified with those of before may hold no more.
    generation: u64,
    reading: bool,
    /// When an unknown key may make them be read again.
    unknown_from: Monotonic,
    /// When they may be read again after failures.
    retry_from: Monotonic,
    failures: u32,
}

/// Where a key is.
#[derive(Clone, Debug)]
pub enum Found {
    Key {
        key: Arc<PublicKey>,
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
    pub found: Found,
    pub read_now: bool,
}

impl KeyCache {
    /// Looks for the key of this name that verifies signatures of this kind.
    pub fn find(&mut self, kid: &str, algorithm: Algorithm, now: Monotonic) -> Answer {
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
            self.unknown_from = now.plus_micros(UNKNOWN_PAUSE);
            return Answer { found: Found::Reading, read_now: true };
        }
        Answer { found: Found::Unknown, read_now: false }
    }

    /// Whether the keys, which are being used, are to be read again now.
    pub fn refresh(&mut self, now: Monotonic) -> bool {
        let due = self.read.as_ref().is_none_or(|(_, read)| now.since(*read) >= REFRESH_AFTER);
        due && self.begin(now)
    }

    /// What came of reading the keys. `None`: they could not be read; those of before stay.
    pub fn done(&mut self, keys: Option<KeySet>, now: Monotonic) {
        self.reading = false;
        match keys {
            Some(keys) => {
                self.read = Some((Arc::new(keys), now));
                self.generation += 1;
                self.failures = 0;
                self.retry_from = now;
            }
            None => {
                let pause = SECOND << self.failures.min(6);
                self.retry_from = now.plus_micros(pause.min(RETRY_PAUSE_MAX));
                self.failures += 1;
            }
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn usable(&self, now: Monotonic) -> Option<Arc<KeySet>> {
        self.read.as_ref().filter(|(_, read)| now.since(*read) < STALE_MAX).map(|(keys, _)| keys.clone())
    }

    /// Begins to read, if nobody does and the last failure is long enough ago.
    fn begin(&mut self, now: Monotonic) -> bool {
        let begins = !self.reading && now >= self.retry_from;
        self.reading |= begins;
        begins
    }
}

#[cfg(test)]
mod tests {
    use graph::Timestamp;

    use super::*;
    use crate::identity::{Key, KeyRing};

    const MINUTE: u64 = 60 * SECOND;
    const WALL: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// An issuer that publishes one key, a cache, and the time.
    struct Story {
        cache: KeyCache,
        now: Monotonic,
        keys: KeySet,
        kid: String,
    }

    impl Story {
        fn new() -> Self {
            let ring = KeyRing::of(Key::generate(WALL).unwrap());
            let keys = KeySet::read(ring.jwks(None, WALL).to_string().as_bytes()).unwrap();
            let kid = ring.signing().kid().to_owned();
            Self { cache: KeyCache::default(), now: Monotonic(7 * SECOND), keys, kid }
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

        fn after(&mut self, micros: u64) -> &mut Self {
            self.now = self.now.plus_micros(micros);
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
    fn a_flood_of_unknown_keys_makes_the_keys_be_read_once_a_minute() {
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
        let next = Story::new();
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
        assert_eq!(story.after(REFRESH_AFTER - 1).asks_known(), "key");
        assert_eq!(story.after(1).asks_known(), "key, read now");
        assert_eq!(story.asks_known(), "key");
        let before = story.cache.generation();
        story.succeeds();
        assert_eq!(story.cache.generation(), before + 1);
        assert_eq!(story.after(REFRESH_AFTER - 1).asks_known(), "key");
    }

    #[test]
    fn keys_serve_while_the_issuer_is_down_but_not_for_ever() {
        let mut story = Story::read();
        story.after(REFRESH_AFTER);
        while story.now.since(Monotonic(7 * SECOND)) < STALE_MAX {
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
