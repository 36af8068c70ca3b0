//! One measurement: who, under which load, in which round, and its figures by name.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{peer::Kind, process::Usage};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub scenario: String,
    pub peer: Kind,
    pub load: String,
    pub round: u32,
    pub figures: BTreeMap<String, f64>,
    /// Why there are no figures: the peer could not be had, or the scenario failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Row {
    pub fn new(scenario: &'static str, peer: Kind, load: String) -> Self {
        Self { scenario: scenario.into(), peer, load, round: 0, figures: BTreeMap::new(), failed: None }
    }

    pub fn failed(scenario: String, peer: Kind, why: &dyn std::error::Error) -> Self {
        eprintln!("{scenario} of {peer:?} gave no figures: {why}");
        Self { scenario, peer, load: String::new(), round: 0, figures: BTreeMap::new(), failed: Some(why.to_string()) }
    }

    pub fn with(mut self, name: impl Into<String>, figure: f64) -> Self {
        self.figures.insert(name.into(), figure);
        self
    }

    pub fn with_latency(self, latency: &Histogram<u64>) -> Self {
        if latency.is_empty() {
            return self;
        }
        let ms = |q: f64| latency.value_at_quantile(q) as f64 / 1e3;
        self.with("p50_ms", ms(0.5)).with("p99_ms", ms(0.99)).with("p999_ms", ms(0.999)).with("max_ms", latency.max() as f64 / 1e3)
    }

    /// What a unit cost the server: `usage` over `count` of them, as `cpu_us_per_message` and so on. A unit is one word, `message`.
    pub fn with_usage(self, unit: &'static str, usage: &Usage, count: f64) -> Self {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let known = [
            ("cpu_us", micros(usage.cpu)),
            ("user_us", micros(usage.user)),
            ("system_us", micros(usage.system)),
            ("switches", usage.switches as f64),
            ("voluntary_switches", usage.voluntary_switches as f64),
            ("io_calls", usage.io_calls as f64),
            ("disk_bytes", usage.disk_written_bytes as f64),
        ];
        let traced = [("syscalls", usage.syscalls), ("syncs", usage.syncs)];
        let traced = traced.into_iter().filter_map(|(name, counted)| Some((name, counted? as f64)));
        known.into_iter().chain(traced).fold(self, |row, (name, figure)| row.with(format!("{name}_per_{unit}"), figure / count))
    }
}
