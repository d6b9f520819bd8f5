//! What the kernel's books say of a process: its memory, its CPU time and how often its threads have slept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::cpu::cpu_time_of;

/// Resident memory in bytes, where the kernel tells.
pub fn resident_bytes(process: u32) -> Option<u64> {
    Some(field(Path::new(&format!("/proc/{process}/status")), "VmRSS:")? * 1_024)
}

/// What a process has done in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    pub cpu: Duration,
    /// How often its threads went to sleep, and so woke up again, by their names.
    pub sleeps: BTreeMap<String, u64>,
}

impl Activity {
    pub fn since(&self, before: &Self) -> Self {
        let slept = |(name, sleeps): (&String, &u64)| {
            let earlier = before.sleeps.get(name).copied().unwrap_or_default();
            (name.clone(), sleeps.saturating_sub(earlier))
        };
        Self { cpu: self.cpu.saturating_sub(before.cpu), sleeps: self.sleeps.iter().map(slept).collect() }
    }

    pub fn wake_ups(&self) -> u64 {
        self.sleeps.values().sum()
    }
}

/// `None` where the kernel does not tell. Threads that have ended count in the CPU time alone.
pub fn activity(process: u32) -> Option<Activity> {
    let (mut sleeps, mut nanos) = (BTreeMap::new(), 0);
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end between the listing and the reading.
        let Ok(thread) = thread.map(|thread| thread.path()) else { continue };
        let name = fs::read_to_string(thread.join("comm")).unwrap_or_default().trim().to_owned();
        *sleeps.entry(name).or_default() += field(&thread.join("status"), "voluntary_ctxt_switches:").unwrap_or(0);
        let spent = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        nanos += spent.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    }
    // The books of the whole process are to 10 ms, and have the threads that have ended.
    Some(Activity { cpu: cpu_time_of(process)?.max(Duration::from_nanos(nanos)), sleeps })
}

/// A number of a `status` file, proc(5).
fn field(status: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_sleeps() {
        let before = activity(std::process::id()).unwrap();
        std::thread::yield_now();
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
        let after = activity(std::process::id()).unwrap();
        assert!(!after.sleeps.is_empty() && after.cpu >= before.cpu);
    }

    #[test]
    fn what_was_done_since_is_the_difference() {
        let activity = |millis, sleeps| Activity {
            cpu: Duration::from_millis(millis),
            sleeps: [("engine".to_owned(), sleeps)].into(),
        };
        let since = activity(7, 9).since(&activity(5, 2));
        assert_eq!((since.clone(), since.wake_ups()), (activity(2, 7), 7));
    }
}
