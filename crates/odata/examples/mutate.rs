//! Feeds mutated filters and options to the fuzz harnesses: `mutate <count> [seed]`. The same seed makes the
//! same inputs.

use std::io::Write as _;

use tidings_odata::fuzz::{fuzz_filter, fuzz_options};
use tidings_odata::sample::FILTERS;

const OPTIONS: [&str; 6] = [
    "receivedDateTime desc,from/emailAddress/address asc,subject",
    "subject, from/emailAddress,*",
    "attachments($select=name,size;$top=5),extensions",
    "singleValueExtendedProperties($filter=id eq 'x' or contains(id,'y');$select=id,value;$skip=1;$count=true)",
    "a($expand=b($expand=c($orderby=d desc;$filter=e/any(f:f in (1,2,'3')))))",
    "",
];

const PIECES: [&str; 24] = [
    "(",
    ")",
    "((((((((",
    "'",
    "''",
    " and ",
    " or ",
    "not ",
    " eq ",
    "/any(x:",
    "$filter=",
    ";",
    ",",
    "/",
    ":",
    "null",
    "-9223372036854775808",
    "1e309",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "é",
    "\u{0}",
    "\u{130}",
    "categories/any(c:c eq 'red')",
];

/// Numbers that look random; from a seed always the same.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

fn mutate(stream: &mut Stream, data: &mut Vec<u8>) {
    let at = stream.below(data.len() + 1);
    let end = (at + 1 + stream.below(12)).min(data.len());
    match stream.below(6) {
        0 if at < data.len() => data[at] ^= 1 << stream.below(8),
        1 => drop(data.drain(at..end.max(at))),
        2 => drop(data.splice(at..at, stream.pick(&PIECES).bytes())),
        3 => {
            let copy = data[at..end.max(at)].to_vec();
            let to = stream.below(data.len() + 1);
            drop(data.splice(to..to, copy));
        }
        4 => data.truncate(at),
        _ => {
            let other = stream.pick(&FILTERS).as_bytes();
            let from = stream.below(other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
    data.truncate(16 * 1024);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().ok_or("how many inputs?")?.parse()?;
    let seed: u64 = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let mut stream = Stream(seed);
    let mut out = std::io::stdout().lock();
    for number in 0..count {
        let corpus = if stream.below(3) == 0 { &OPTIONS[..] } else { &FILTERS[..] };
        let mut data = stream.pick(corpus).as_bytes().to_vec();
        for _ in 0..=stream.below(6) {
            mutate(&mut stream, &mut data);
        }
        fuzz_filter(&data);
        fuzz_options(&data);
        if number % 100_000 == 99_999 {
            writeln!(out, "{} inputs", number + 1)?;
        }
    }
    writeln!(out, "{count} inputs from seed {seed}: no finding")?;
    Ok(())
}
