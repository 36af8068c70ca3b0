//! What this process has used so far: processor time of all its threads, and calls of its allocator.

use std::{fs, io, time::Duration};

use crate::ALLOCATOR;

#[derive(Clone, Copy)]
pub struct Usage {
    cpu: Duration,
    allocations: usize,
}

impl Usage {
    pub fn now() -> io::Result<Self> {
        let mut cpu = Duration::ZERO;
        for task in fs::read_dir("/proc/self/task")? {
            // A thread that has just ended is not there any more.
            let ran = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            cpu += Duration::from_nanos(ran.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0));
        }
        let stats = ALLOCATOR.stats();
        Ok(Self { cpu, allocations: stats.allocations + stats.reallocations })
    }

    /// Microseconds of processor time, and allocations, since `self` for each of `count`.
    pub fn each(self, count: u64) -> io::Result<(f64, f64)> {
        let now = Self::now()?;
        let cpu = (now.cpu.saturating_sub(self.cpu)).as_secs_f64() * 1e6 / count as f64;
        Ok((cpu, (now.allocations - self.allocations) as f64 / count as f64))
    }
}

/// Bytes of memory that this process holds.
pub fn resident_bytes() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(pages * 4_096)
}
