//! CPU time of this process, from the kernel's own books.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The unit of times under `/proc`: Linux shows all programs 100 ticks a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of this process, ended threads included, but without the live threads whose name
/// starts with `without`. To 10 ms. `None` where the kernel does not tell.
pub fn cpu_time(without: &str) -> Option<Duration> {
    let mut left_out = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        // A thread may end between the listing and the reading.
        let Some((name, ticks)) = thread.ok().and_then(|thread| ticks(&thread.path().join("stat"))) else { continue };
        if name.starts_with(without) {
            left_out += ticks;
        }
    }
    let (_, all) = ticks(Path::new("/proc/self/stat"))?;
    TICK.checked_mul(all.saturating_sub(left_out).try_into().ok()?)
}

/// User and system time of another process. To 10 ms. `None` where the kernel does not tell.
pub fn cpu_time_of(process: u32) -> Option<Duration> {
    let (_, all) = ticks(Path::new(&format!("/proc/{process}/stat")))?;
    TICK.checked_mul(all.try_into().ok()?)
}

/// The name and the user and system time in a `stat` file, proc(5).
fn ticks(stat: &Path) -> Option<(String, u64)> {
    let text = fs::read_to_string(stat).ok()?;
    let (name, fields) = text.split_once('(')?.1.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((name.to_owned(), times.next()?.ok()? + times.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn work_takes_time() {
        let before = cpu_time("no thread").unwrap();
        let mut rounds = 0;
        while cpu_time("no thread").unwrap() == before {
            rounds += 1;
            assert!(rounds < 10_000, "the clock stands still");
            std::hint::black_box((0..100_000u64).fold(0u64, |sum, n| std::hint::black_box(sum ^ n)));
        }
        assert!(cpu_time("no thread").unwrap() > before);
    }
}
