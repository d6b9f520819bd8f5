//! The receivers and the way to them.

use notify::node::{Lack, Outcome, Purpose};
use notify::retry::RetryAfter;
use rand::rngs::StdRng;
use rand::{RngExt, seq::IndexedRandom};

use crate::catalogue::{Fault, Strikes};

/// From here on an answer is late: the least of the documented thresholds is 2.9 s.
const LATE_MICROS: u64 = 2_500_000;
/// What a request can meet, whatever it carries.
const FAULTS: [Fault; 23] = [
    Fault::ConnectionRefused,
    Fault::ResetConnecting,
    Fault::ResetInTls,
    Fault::ResetInRequestHead,
    Fault::ResetInRequestBody,
    Fault::ResetBeforeAnswer,
    Fault::ResetInResponseHead,
    Fault::ResetInResponseBody,
    Fault::Malformed,
    Fault::Hanging,
    Fault::SlowLoris,
    Fault::ByteASecond,
    Fault::RequestNotRead,
    Fault::EndlessBody,
    Fault::EndlessHead,
    Fault::HeaderFlood,
    Fault::Redirects,
    Fault::TlsExpired,
    Fault::TlsWrongName,
    Fault::TlsProtocol,
    Fault::DnsFails,
    Fault::DnsHangs,
    Fault::DnsFlips,
];

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Healthy,
    /// It answers after so many microseconds.
    Slow(u64),
    /// It takes at most so many notifications at once.
    TooLarge(usize),
    /// Each request finds it healthy or slow.
    Wavering,
    /// Each request meets the fault.
    Faulty(Fault),
    /// Each request finds it healthy or meets the fault.
    Flapping(Fault),
}

impl Mood {
    pub fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..16) {
            0 | 1 => Mood::Healthy,
            2 => Mood::Slow(rng.random_range(100_000..LATE_MICROS)),
            3 => Mood::Slow(rng.random_range(LATE_MICROS..12_000_000)),
            4 | 5 => Mood::Faulty(Fault::Refused),
            6 => Mood::TooLarge(rng.random_range(1..=4)),
            7 => Mood::Faulty(Fault::Hanging),
            8 => Mood::Flapping(Fault::Refused),
            9 | 10 => Mood::Wavering,
            11 => Mood::Faulty(Fault::ConnectionRefused),
            12 => Mood::Faulty(Fault::Forbidden),
            13 => Mood::Flapping(a_fault(rng)),
            _ => Mood::Faulty(a_fault(rng)),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mood::Healthy => "healthy",
            Mood::Slow(_) => "slow",
            Mood::TooLarge(_) => "too large",
            Mood::Wavering => "wavering",
            Mood::Faulty(fault) => fault.name(),
            Mood::Flapping(_) => "flapping",
        }
    }

    /// What a request with so many notifications meets, and how long its receiver thinks about it.
    fn meets(self, notifications: usize, rng: &mut StdRng, strikes: &mut Strikes) -> (Option<Fault>, u64) {
        let quick = rng.random_range(500..50_000);
        let slow = |micros| ((micros >= LATE_MICROS).then_some(Fault::LateAnswer), micros);
        match self {
            Mood::TooLarge(most) if notifications > most => (Some(Fault::TooLarge), quick),
            Mood::Healthy | Mood::TooLarge(_) => (None, quick),
            Mood::Slow(micros) => slow(micros),
            Mood::Wavering if rng.random_bool(0.5) => slow(rng.random_range(2_000_000..9_000_000)),
            Mood::Flapping(fault) if rng.random_bool(0.5) => {
                strikes.count(Fault::Flapping);
                (Some(fault), quick)
            }
            Mood::Wavering | Mood::Flapping(_) => (None, quick),
            Mood::Faulty(Fault::DnsFlips) if rng.random_bool(0.5) => (None, quick),
            Mood::Faulty(fault) => (Some(fault), quick),
        }
    }
}

fn a_fault(rng: &mut StdRng) -> Fault {
    FAULTS.choose(rng).copied().unwrap_or(Fault::Hanging)
}

/// An attempt that is on its way to its receiver.
#[derive(Clone, Debug)]
pub struct Flight {
    pub attempt: u64,
    pub purpose: Purpose,
    pub endpoint: usize,
    /// Those that are in the request.
    pub notifications: usize,
    /// What of the attempt is not told whole.
    pub lacks: Vec<(usize, Lack)>,
    /// The performer gives up at this time of the world.
    pub deadline: u64,
}

/// What the performer sees of an attempt that reached its receiver at `arrived`, and when.
pub fn outcome(
    flight: &Flight,
    mood: Mood,
    answer_lost: f64,
    arrived: u64,
    (rng, strikes): (&mut StdRng, &mut Strikes),
) -> (Outcome, u64) {
    let (mut fault, thinks) = mood.meets(flight.notifications, rng, strikes);
    let answers = matches!(fault, None | Some(Fault::LateAnswer));
    if answers && answer_lost > 0.0 && rng.random_bool(answer_lost) {
        fault = Some(if rng.random_bool(0.5) { Fault::AnswerLost } else { Fault::ResetBeforeAnswer });
    }
    let seen = seen(fault, thinks, rng);
    match seen.map(|(outcome, micros)| (outcome, arrived + micros)) {
        Some((_, at)) if at > flight.deadline => {
            strikes.count(Fault::AnswerTooLate);
            (Outcome::TimedOut, flight.deadline)
        }
        seen => {
            if let Some(fault) = fault {
                strikes.count(fault);
            }
            seen.unwrap_or((Outcome::TimedOut, flight.deadline))
        }
    }
}

/// What a real call comes to that meets a fault, and after how many microseconds; `None`: no answer ever comes.
fn seen(fault: Option<Fault>, thinks: u64, rng: &mut StdRng) -> Option<(Outcome, u64)> {
    // There and back.
    let way = rng.random_range(100..20_000);
    let answered = thinks + way;
    Some(match fault {
        None | Some(Fault::LateAnswer) => (Outcome::Acknowledged, answered),
        Some(fault) => match fault {
            Fault::Hanging
            | Fault::AnswerLost
            | Fault::SlowLoris
            | Fault::ByteASecond
            | Fault::RequestNotRead
            | Fault::DnsHangs => return None,
            Fault::DnsFails => (Outcome::Unresolved, rng.random_range(50..5_000)),
            Fault::ConnectionRefused | Fault::ResetConnecting => (Outcome::Unreachable, way),
            Fault::ResetInTls | Fault::TlsExpired | Fault::TlsWrongName | Fault::TlsProtocol => {
                (Outcome::Unreachable, 2 * way)
            }
            Fault::ResetInRequestHead => (Outcome::Unreachable, 3 * way),
            Fault::ResetInRequestBody => (Outcome::Unreachable, 3 * way + rng.random_range(0..200_000)),
            Fault::ResetInResponseBody => (Outcome::Unreachable, answered + rng.random_range(0..3_000_000)),
            Fault::EndlessHead | Fault::HeaderFlood => {
                (Outcome::Unreachable, answered + rng.random_range(1_000..500_000))
            }
            Fault::EndlessBody => (Outcome::Acknowledged, answered + rng.random_range(1_000..500_000)),
            Fault::Redirects => (refused(&[301, 302, 303, 307, 308], rng), answered),
            Fault::Refused => (refused(&[500, 503, 404, 429], rng), answered),
            Fault::TooLarge => (refused(&[413], rng), answered),
            Fault::Forbidden | Fault::DnsFlips => (Outcome::Forbidden, 0),
            // Those that end a connection before there is an answer, or in it.
            _ => (Outcome::Unreachable, answered),
        },
    })
}

/// One of some statuses. Every other receiver that has too much to do says when it may be asked again.
fn refused(some: &[u16], rng: &mut StdRng) -> Outcome {
    let status = some.choose(rng).copied().unwrap_or(500);
    let says = matches!(status, 429 | 503) && rng.random_bool(0.5);
    Outcome::Refused { status, retry_after: says.then(|| RetryAfter::from_seconds(rng.random_range(0..90))) }
}
