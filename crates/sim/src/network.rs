//! The receivers and the way to them.

use notify::node::{Lack, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, seq::IndexedRandom};

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Healthy,
    /// It answers after so many microseconds.
    Slow(u64),
    Failing(u16),
    /// It takes at most so many notifications at once.
    TooLarge(usize),
    Hanging,
    /// Each request finds it healthy or failing.
    Flapping,
    /// Each request finds it healthy or slow.
    Wavering,
    /// Nothing listens.
    Dead,
    Forbidden,
}

impl Mood {
    pub fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..14) {
            0 | 1 => Mood::Healthy,
            2 => Mood::Slow(rng.random_range(100_000..2_500_000)),
            3 => Mood::Slow(rng.random_range(2_500_000..12_000_000)),
            4 | 5 => Mood::Failing([500, 503, 404, 302].choose(rng).copied().unwrap_or(500)),
            6 => Mood::TooLarge(rng.random_range(1..=4)),
            7 => Mood::Hanging,
            8 | 9 => Mood::Flapping,
            10 => Mood::Dead,
            11 | 12 => Mood::Wavering,
            _ => Mood::Forbidden,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mood::Healthy => "healthy",
            Mood::Slow(_) => "slow",
            Mood::Failing(_) => "failing",
            Mood::TooLarge(_) => "too large",
            Mood::Hanging => "hanging",
            Mood::Flapping => "flapping",
            Mood::Wavering => "wavering",
            Mood::Dead => "dead",
            Mood::Forbidden => "forbidden",
        }
    }

    /// What a request with so many notifications comes to, and after how many microseconds; `None`: no
    /// answer ever comes.
    pub fn answer(self, notifications: usize, rng: &mut StdRng) -> Option<(Outcome, u64)> {
        let quick = rng.random_range(500..50_000);
        match self {
            Mood::Healthy => Some((Outcome::Acknowledged, quick)),
            Mood::Slow(micros) => Some((Outcome::Acknowledged, micros)),
            Mood::Failing(status) => Some((Outcome::Refused { status }, quick)),
            Mood::TooLarge(most) if notifications > most => Some((Outcome::Refused { status: 413 }, quick)),
            Mood::TooLarge(_) => Some((Outcome::Acknowledged, quick)),
            Mood::Hanging => None,
            Mood::Flapping if rng.random_bool(0.5) => Some((Outcome::Refused { status: 500 }, quick)),
            Mood::Flapping => Some((Outcome::Acknowledged, quick)),
            Mood::Wavering if rng.random_bool(0.5) => {
                Some((Outcome::Acknowledged, rng.random_range(2_000_000..9_000_000)))
            }
            Mood::Wavering => Some((Outcome::Acknowledged, quick)),
            Mood::Dead => Some((Outcome::Unreachable, quick)),
            Mood::Forbidden => Some((Outcome::Forbidden, 0)),
        }
    }
}

/// An attempt that is on its way to its receiver.
#[derive(Clone, Debug)]
pub struct Flight {
    pub attempt: u64,
    pub endpoint: usize,
    /// Those that are in the request.
    pub notifications: usize,
    /// What of the attempt is not told whole.
    pub lacks: Vec<(usize, Lack)>,
    /// The performer gives up at this time of the world.
    pub deadline: u64,
}

/// What the performer sees of an attempt that reached its receiver at `arrived`, and when.
pub fn outcome(flight: &Flight, mood: Mood, answer_lost: f64, arrived: u64, rng: &mut StdRng) -> (Outcome, u64) {
    let Some((outcome, micros)) = mood.answer(flight.notifications, rng) else {
        return (Outcome::TimedOut, flight.deadline);
    };
    let seen = arrived + micros + rng.random_range(100..20_000);
    if seen > flight.deadline {
        return (Outcome::TimedOut, flight.deadline);
    }
    if answer_lost > 0.0 && rng.random_bool(answer_lost) {
        return match rng.random_bool(0.5) {
            true => (Outcome::TimedOut, flight.deadline),
            false => (Outcome::Unreachable, seen),
        };
    }
    (outcome, seen)
}
