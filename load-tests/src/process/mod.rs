//! What the kernel says about one process: CPU time, memory, switches, bytes written, calls. Linux only.

pub mod calls;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use crate::Result;

/// `USER_HZ`, in which /proc counts CPU time: 100 on every Linux this runs on.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used since it began, or, out of [`Usage::since`], between two moments.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// User and system time together, of all threads, those that ended too.
    pub cpu: Duration,
    pub user: Duration,
    pub system: Duration,
    /// Resident memory at that moment; a level, so `since` keeps the later one.
    pub rss_bytes: u64,
    /// The highest resident memory since the start, or since [`reset_peak`]; a level too.
    pub peak_rss_bytes: u64,
    /// Voluntary and involuntary together, of the threads that live.
    pub switches: u64,
    pub voluntary_switches: u64,
    /// What was sent to a block device: nothing for a server on /dev/shm.
    pub disk_written_bytes: u64,
    /// Calls of the read and write families, sockets and files alike.
    pub io_calls: u64,
    /// All system calls, and those among them that sync a file; known in a traced run only.
    pub syscalls: Option<u64>,
    pub syncs: Option<u64>,
    /// Each thread's switches (all, voluntary), for `since`: a thread that ended takes its count along.
    threads: BTreeMap<u32, [u64; 2]>,
}

impl Usage {
    pub fn since(&self, before: &Self) -> Self {
        let gone = |tid: &u32| before.threads.get(tid).copied().unwrap_or_default();
        let switched = |n: usize| self.threads.iter().map(|(tid, now)| now[n].saturating_sub(gone(tid)[n])).sum();
        let counted = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            rss_bytes: self.rss_bytes,
            peak_rss_bytes: self.peak_rss_bytes,
            switches: switched(0),
            voluntary_switches: switched(1),
            disk_written_bytes: self.disk_written_bytes.saturating_sub(before.disk_written_bytes),
            io_calls: self.io_calls.saturating_sub(before.io_calls),
            syscalls: counted(self.syscalls, before.syscalls),
            syncs: counted(self.syncs, before.syncs),
            threads: self.threads.clone(),
        }
    }
}

pub fn usage(pid: u32) -> Result<Usage> {
    let proc = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(proc.join("stat"))?;
    // The command's name, in parentheses, may hold anything; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no command in /proc/PID/stat")?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u32>().ok()).ok_or("no CPU time in /proc/PID/stat");
    let (user, system) = (TICK * ticks(11)?, TICK * ticks(12)?);
    let (status, io) = (Fields::read(&proc.join("status"))?, Fields::read(&proc.join("io"))?);
    let threads: BTreeMap<u32, [u64; 2]> = threads(pid)?.into_iter().filter_map(|tid| Some((tid, switches(&proc, tid)?))).collect();
    Ok(Usage {
        cpu: user + system,
        user,
        system,
        rss_bytes: status.number("VmRSS:")? * 1024,
        peak_rss_bytes: status.number("VmHWM:")? * 1024,
        switches: threads.values().map(|[all, _]| all).sum(),
        voluntary_switches: threads.values().map(|[_, voluntary]| voluntary).sum(),
        disk_written_bytes: io.number("write_bytes:")?,
        io_calls: io.number("syscr:")? + io.number("syscw:")?,
        syscalls: None,
        syncs: None,
        threads,
    })
}

/// From now on `peak_rss_bytes` counts anew.
pub fn reset_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

pub fn threads(pid: u32) -> Result<Vec<u32>> {
    let names = fs::read_dir(format!("/proc/{pid}/task"))?.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// None for a thread that ended since it was listed.
fn switches(proc: &Path, tid: u32) -> Option<[u64; 2]> {
    let status = Fields::read(&proc.join("task").join(tid.to_string()).join("status")).ok()?;
    let voluntary = status.number("voluntary_ctxt_switches:").ok()?;
    Some([voluntary + status.number("nonvoluntary_ctxt_switches:").ok()?, voluntary])
}

/// A file of /proc with a name and a number on each line.
struct Fields(String);

impl Fields {
    fn read(file: &Path) -> Result<Self> {
        Ok(Self(fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?))
    }

    fn number(&self, name: &str) -> Result<u64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} in /proc"))?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_takes_its_switches_along_and_nothing_goes_negative() {
        let at = |threads: &[(u32, u64)]| Usage {
            threads: threads.iter().map(|(tid, switches)| (*tid, [*switches, 0])).collect(),
            ..Usage::default()
        };
        assert_eq!(at(&[(1, 15), (3, 2)]).since(&at(&[(1, 10), (2, 900)])).switches, 7);
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.rss_bytes > 0 && usage.peak_rss_bytes >= usage.rss_bytes && usage.io_calls > 0);
    }
}
