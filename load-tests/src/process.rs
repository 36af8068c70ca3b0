//! What the kernel says about one process: CPU time, memory, context switches. Linux only.

use std::{fs, path::Path, time::Duration};

use crate::Result;

/// `USER_HZ`, in which /proc counts CPU time: 100 on every Linux this runs on.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all threads, those that ended too.
    pub cpu: Duration,
    pub rss_bytes: u64,
    /// Voluntary and involuntary, of the threads that live.
    pub switches: u64,
}

pub fn usage(pid: u32) -> Result<Usage> {
    let proc = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(proc.join("stat"))?;
    // The command's name, in parentheses, may hold anything; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no command in /proc/PID/stat")?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u32>().ok()).ok_or("no CPU time in /proc/PID/stat");
    let rss_kib = status_field(&proc.join("status"), "VmRSS:")?;
    let threads = fs::read_dir(proc.join("task"))?.flatten();
    let switches = threads.map(|t| t.path().join("status")).map(|status| {
        ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].iter().map(|f| status_field(&status, f).unwrap_or(0)).sum::<u64>()
    });
    Ok(Usage { cpu: TICK * (ticks(11)? + ticks(12)?), rss_bytes: rss_kib * 1024, switches: switches.sum() })
}

fn status_field(file: &Path, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|l| l.strip_prefix(name)).ok_or_else(|| format!("no {name} in {}", file.display()))?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}
