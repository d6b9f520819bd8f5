//! What the kernel says of this process. Where it says nothing, nothing is told.

use std::fs;

use crate::bench::cpu::cpu_time_of;
use crate::bench::process::resident_bytes;

pub struct Process {
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<f64>,
    pub open_fds: Option<f64>,
    pub max_fds: Option<f64>,
}

impl Process {
    pub fn now() -> Self {
        Self {
            cpu_seconds: cpu_time_of(std::process::id()).map(|time| time.as_secs_f64()),
            resident_bytes: resident_bytes(std::process::id()).map(|bytes| bytes as f64),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
            max_fds: max_fds(),
        }
    }
}

/// The soft limit.
fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_of_this_process() {
        let Process { cpu_seconds, resident_bytes, open_fds, max_fds } = Process::now();
        assert!(cpu_seconds.is_some() && resident_bytes.unwrap() > 100_000.0);
        assert!(open_fds.unwrap() >= 3.0 && max_fds.unwrap() >= open_fds.unwrap());
    }
}
