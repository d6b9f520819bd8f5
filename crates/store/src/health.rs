//! Whether a store keeps what it is given, as its last operations showed, and what is said of it in the log: one
//! line when something goes wrong, one when it is over.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::StoreError;

/// Where something went wrong that has been said, it is not said again for this long, however often it comes and
/// goes meanwhile.
const SILENCE: Duration = Duration::from_secs(60);

/// Whether a store keeps what it is given. It costs nothing to ask ([`crate::Store::health`]).
///
/// A store learns of trouble by what fails, and that it is over by a write that succeeds; a node that holds leases
/// writes every few seconds, so this is never old in a running server. All but [`StoreHealth::Writable`] is a reason
/// to send requests elsewhere; what it reads is still right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StoreHealth {
    /// The last write was kept, or there was none yet.
    #[default]
    Writable,
    /// The disk, or a limit set for the data, is full. It goes on by itself when there is space.
    Full,
    /// The files may not be written: their file system is read-only, or they are another user's. It goes on by
    /// itself when they may.
    ReadOnly,
    /// Writing fails for another reason, mostly the disk's. It is tried again with each write.
    Failing,
    /// Part of the database is damaged, and stays so until the store is opened again. What lies elsewhere is read
    /// and written.
    Damaged,
}

impl StoreHealth {
    /// What an operator should do about it; empty if all is well.
    pub fn advice(self) -> &'static str {
        match self {
            StoreHealth::Writable => "",
            StoreHealth::Full => {
                "free space on the disk of the data directory, or give it more; writes go on by themselves then"
            }
            StoreHealth::ReadOnly => {
                "make the data directory writable for this user again; writes go on by themselves then"
            }
            StoreHealth::Failing => "look for the disk's errors in the log of the operating system",
            StoreHealth::Damaged => {
                "stop the server, see with `tidings doctor data` what is damaged, and restore a backup"
            }
        }
    }

    /// What a failure shows.
    fn of(failure: &StoreError) -> Self {
        match failure {
            StoreError::Full(_) => StoreHealth::Full,
            StoreError::ReadOnly(_) => StoreHealth::ReadOnly,
            StoreError::Damaged(_) => StoreHealth::Damaged,
            StoreError::Unavailable(_) | StoreError::Unknown(_) => StoreHealth::Failing,
            StoreError::Corrupt(_) | StoreError::LogTooLong => StoreHealth::Writable,
        }
    }
}

impl fmt::Display for StoreHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreHealth::Writable => "writable",
            StoreHealth::Full => "full",
            StoreHealth::ReadOnly => "read-only",
            StoreHealth::Failing => "failing",
            StoreHealth::Damaged => "damaged",
        })
    }
}

/// The health of one store, noted by those who write and read, and asked by anybody.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Course>);

impl Watch {
    pub fn health(&self) -> StoreHealth {
        self.course().health
    }

    /// A write was kept.
    pub fn kept(&self) {
        let mut course = self.course();
        if let Some(over) = course.note(StoreHealth::Writable, Instant::now()) {
            tracing::warn!(after = %over, "the store keeps what it is given again");
        }
    }

    /// Something failed for a reason that is the store's own.
    pub fn failed(&self, failure: &StoreError) {
        let seen = StoreHealth::of(failure);
        if seen != StoreHealth::Writable && self.course().note(seen, Instant::now()).is_some() {
            tracing::error!(error = %failure, todo = seen.advice(), "the store is {seen}");
        }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the health went.
#[derive(Debug, Default)]
struct Course {
    health: StoreHealth,
    /// What went wrong last, when that was said, and whether it was said since that it is over.
    said: Option<(StoreHealth, Instant, bool)>,
}

impl Course {
    /// Takes in what was seen. Returns what there is to say: the trouble that has begun, or the one that is over.
    fn note(&mut self, seen: StoreHealth, now: Instant) -> Option<StoreHealth> {
        if seen == self.health || self.health == StoreHealth::Damaged {
            return None;
        }
        self.health = seen;
        match (&mut self.said, seen) {
            (Some((_, _, over)), StoreHealth::Writable) if *over => None,
            (Some((trouble, _, over)), StoreHealth::Writable) => {
                *over = true;
                Some(*trouble)
            }
            (None, StoreHealth::Writable) => None,
            (Some((trouble, at, _)), seen) if *trouble == seen && now.duration_since(*at) < SILENCE => None,
            (said, seen) => {
                *said = Some((seen, now, false));
                Some(seen)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_episode_is_said_once_and_its_end_once() {
        let (mut course, begin) = (Course::default(), Instant::now());
        let mut note = |seen, second| course.note(seen, begin + Duration::from_secs(second));
        assert_eq!(note(StoreHealth::Writable, 0), None);
        assert_eq!(note(StoreHealth::Full, 1), Some(StoreHealth::Full));
        assert_eq!(note(StoreHealth::Full, 2), None);
        assert_eq!(note(StoreHealth::Writable, 3), Some(StoreHealth::Full));
        assert_eq!(note(StoreHealth::Full, 4), None, "it comes and goes");
        assert_eq!(note(StoreHealth::Writable, 5), None);
        assert_eq!(note(StoreHealth::Failing, 6), Some(StoreHealth::Failing), "something else");
        assert_eq!(note(StoreHealth::Writable, 7), Some(StoreHealth::Failing));
        assert_eq!(note(StoreHealth::Failing, 66), Some(StoreHealth::Failing), "it is long ago");
    }

    #[test]
    fn damage_stays() {
        let (mut course, now) = (Course::default(), Instant::now());
        assert_eq!(course.note(StoreHealth::Damaged, now), Some(StoreHealth::Damaged));
        assert_eq!(course.note(StoreHealth::Writable, now), None);
        assert_eq!(course.health, StoreHealth::Damaged);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_no_trouble_of_the_store() {
        let row = crate::CorruptRow { table: "log", column: "record", row: "1".into(), cause: "it ends early".into() };
        let watch = Watch::default();
        watch.failed(&StoreError::Corrupt(row));
        assert_eq!(watch.health(), StoreHealth::Writable);
    }
}
