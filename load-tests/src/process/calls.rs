//! System calls of one process, counted by the kernel's tracepoints: exact, of all its threads, readable at any moment.
//!
//! A tracepoint makes every system call of the machine dearer, so this runs in a pass of its own (`--trace`), never beside a
//! figure of time. `strace -c` would count the same at a hundred times the price and so change what is counted.

use std::{fs, sync::Mutex};

use perf_event::{Builder, Counter, events::Tracepoint};

use super::Usage;
use crate::Result;

/// Where tracepoints are listed; the first is today's place.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];
const EVERY_CALL: &[&str] = &["raw_syscalls/sys_enter"];
const SYNCS: &[&str] = &["syscalls/sys_enter_fsync", "syscalls/sys_enter_fdatasync"];

pub struct Calls {
    /// A counter a thread and tracepoint.
    every: Mutex<Vec<Counter>>,
    syncs: Mutex<Vec<Counter>>,
}

impl Calls {
    /// Counts from now on what the threads of a process, and those they start, call.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { every: Mutex::new(counters(pid, EVERY_CALL)?), syncs: Mutex::new(counters(pid, SYNCS)?) })
    }

    pub fn add_to(&self, usage: &mut Usage) -> Result<()> {
        usage.syscalls = Some(sum(&self.every)?);
        usage.syncs = Some(sum(&self.syncs)?);
        Ok(())
    }
}

fn counters(pid: u32, tracepoints: &[&str]) -> Result<Vec<Counter>> {
    let mut counters = Vec::new();
    for tracepoint in tracepoints {
        let event = Tracepoint::with_id(id(tracepoint)?);
        for tid in super::threads(pid)? {
            let mut builder = Builder::new(event);
            builder.observe_pid(i32::try_from(tid)?).inherit(true).include_kernel().enabled(true);
            counters.push(builder.build().map_err(|e| format!("cannot count {tracepoint} of process {pid}: {e}; root may"))?);
        }
    }
    Ok(counters)
}

fn id(tracepoint: &str) -> Result<u64> {
    let found = TRACEFS.iter().find_map(|folder| fs::read_to_string(format!("{folder}/{tracepoint}/id")).ok());
    let text = found.ok_or("tracepoints cannot be read: `mount -t tracefs none /sys/kernel/tracing` as root")?;
    Ok(text.trim().parse()?)
}

fn sum(counters: &Mutex<Vec<Counter>>) -> Result<u64> {
    let mut counters = counters.lock().map_err(|e| e.to_string())?;
    let mut sum = 0;
    for counter in counters.iter_mut() {
        sum += counter.read()?;
    }
    Ok(sum)
}
