//! What a load took: time, the server's use of the machine, and the generator's own.

use std::time::{Duration, Instant};

use crate::{
    Result,
    peer::Running,
    process::{self, Usage},
    report::Row,
};

pub struct Meter {
    begun: Instant,
    server: Usage,
    generator: Usage,
}

/// Between the start of a meter and a reading of it.
pub struct Reading {
    pub took: Duration,
    pub server: Usage,
    generator: Usage,
}

impl Meter {
    pub fn start(server: &Running) -> Result<Self> {
        Ok(Self { server: server.usage()?, generator: process::usage(std::process::id())?, begun: Instant::now() })
    }

    pub fn read(&self, server: &Running) -> Result<Reading> {
        let took = self.begun.elapsed();
        let generator = process::usage(std::process::id())?.since(&self.generator);
        Ok(Reading { took, server: server.usage()?.since(&self.server), generator })
    }
}

impl Reading {
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }

    /// The server's use a unit, and the generator's CPU beside it: a reader sees that it is not the bottleneck.
    pub fn into_row(self, row: Row, unit: &'static str, count: u64) -> Row {
        let generator = self.generator.cpu.as_secs_f64() * 1e6 / count as f64;
        row.with_usage(unit, &self.server, count as f64)
            .with(format!("generator_cpu_us_per_{unit}"), generator)
            .with("rss_mib", mib(self.server.rss_bytes))
    }
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
