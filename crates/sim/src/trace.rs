//! What happened in a world, in order: the last lines to read, and a hash of all of them to compare runs by.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};

/// How many lines a report shows.
const KEPT: usize = 60;

/// One thing that happened. Subscriptions, endpoints and processes are numbers in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    Started { process: usize, life: u32 },
    Crashed { process: usize, life: u32 },
    Paused { process: usize },
    Resumed { process: usize },
    WallJumped { process: usize, seconds: i64 },
    Draining { process: usize },
    Drained { process: usize },
    Appended { partition: u16, position: u64, what: &'static str, subscription: Option<usize> },
    Receiver { endpoint: usize, mood: &'static str },
    Handed { process: usize, what: &'static str, partition: Option<u16>, from: u64, to: u64 },
    Leases { process: usize, renewal: bool, partitions: usize, epoch: u64 },
    Asked { process: usize, what: &'static str, partition: Option<u16>, number: u64, fate: &'static str },
    Attempt { process: usize, id: u64, endpoint: usize, notifications: usize },
    Tells { subscription: usize, position: u64, failures: u32 },
    Arrived { process: usize, id: u64 },
    Outcome { process: usize, id: u64, what: &'static str, status: u16, lacking: usize },
    Checkpoint { process: usize, partition: u16, epoch: u64, number: u64, cursor: u64, unpark: usize, park: usize },
    Parks { subscription: usize, first: u64, last: u64, attempts: u32, due_micros: i64 },
    Recorded { process: usize, partition: u16, number: u64, answer: &'static str },
    Retained { partition: u16, what: &'static str, floor: u64 },
    Quiet,
    AtRest,
}

/// The lines of one run.
pub struct Trace {
    lines: VecDeque<(u64, Line)>,
    hash: Fnv,
    print: bool,
}

impl Trace {
    /// With `print`, each line goes to standard output as it comes.
    pub fn new(print: bool) -> Self {
        Self { lines: VecDeque::with_capacity(KEPT), hash: Fnv::default(), print }
    }

    pub fn note(&mut self, at: u64, line: Line) {
        if self.print {
            println!("{}", Shown(at, line));
        }
        (at, line).hash(&mut self.hash);
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((at, line));
    }

    /// Equal for two runs in which the same things happened at the same times.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The last lines, to be read.
    pub fn tail(&self) -> Vec<String> {
        self.lines.iter().map(|(at, line)| Shown(*at, *line).to_string()).collect()
    }
}

struct Shown(u64, Line);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11.6} {:?}", self.0 as f64 / 1e6, self.1)
    }
}

/// FNV-1a: the same on every machine and in every release, unlike the standard library's hasher.
struct Fnv(u64);

const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// Powers of the prime: what so many zero bytes multiply a hash by.
const FNV_ZEROS: [u64; 9] = {
    let mut powers = [1; 9];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = FNV_PRIME.wrapping_mul(powers[place - 1]);
        place += 1;
    }
    powers
};

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }

    /// As its eight bytes, least first; most numbers are small, and so most of these are zero.
    fn write_u64(&mut self, number: u64) {
        let zeros = number.leading_zeros() as usize / 8;
        self.write(&number.to_le_bytes()[..8 - zeros]);
        self.0 = self.0.wrapping_mul(FNV_ZEROS[zeros]);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_hashes_as_its_bytes() {
        for number in [0, 1, 0xff, 0x100, 0x1_0000, u64::MAX >> 8, u64::MAX] {
            let (mut at_once, mut by_bytes) = (Fnv::default(), Fnv::default());
            number.hash(&mut at_once);
            by_bytes.write(&number.to_le_bytes());
            assert_eq!(at_once.finish(), by_bytes.finish(), "{number:x}");
        }
    }
}
