//! Figures as a table for people and as JSON for programs.

use std::{collections::BTreeMap, fs};

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Options, Result, machine, peer::Kind};

#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub scenario: &'static str,
    pub peer: Kind,
    pub load: String,
    pub round: u32,
    pub figures: BTreeMap<&'static str, f64>,
}

impl Row {
    pub fn new(scenario: &'static str, peer: Kind, load: String) -> Self {
        Self { scenario, peer, load, round: 0, figures: BTreeMap::new() }
    }

    pub fn with(mut self, name: &'static str, figure: f64) -> Self {
        self.figures.insert(name, figure);
        self
    }

    pub fn with_latency(self, latency: &Histogram<u64>) -> Self {
        if latency.is_empty() {
            return self;
        }
        let ms = |q: f64| latency.value_at_quantile(q) as f64 / 1e3;
        self.with("p50_ms", ms(0.5)).with("p99_ms", ms(0.99)).with("p999_ms", ms(0.999)).with("max_ms", latency.max() as f64 / 1e3)
    }
}

/// The columns of each scenario's table: figure, heading, digits behind the point.
const COLUMNS: [(&str, &str, usize); 14] = [
    ("messages_per_second", "messages/s", 0),
    ("cpu_us_per_message", "CPU µs/message", 2),
    ("cpu_us_per_message_settled", "… with what is written behind", 2),
    ("switches_per_message", "context switches/message", 3),
    ("bytes_per_connection", "bytes/connection", 0),
    ("connect_cpu_us", "CPU µs/connect", 1),
    ("bytes_per_twin", "bytes/twin", 0),
    ("sessions_per_second", "sessions/s", 0),
    ("rss_mib_without_twins", "RSS MiB without twins", 1),
    ("rss_mib", "RSS MiB", 1),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("p999_ms", "p99.9 ms", 2),
    ("max_ms", "max ms", 1),
];

pub fn write(options: &Options, rows: &[Row]) -> Result<()> {
    let machine = machine::describe(&options.server);
    let markdown = markdown(options, &machine, rows);
    println!("{markdown}");
    if let Some(out) = &options.out {
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(out.with_extension("md"), markdown)?;
        fs::write(out.with_extension("json"), serde_json::to_string_pretty(&json!({"machine": machine, "rows": rows}))? + "\n")?;
    }
    Ok(())
}

fn markdown(options: &Options, machine: &Value, rows: &[Row]) -> String {
    let mut out = format!(
        "# First measurement\n\nMade by `load-tests/compare` (which runs `{}`); medians of {} rounds (of an even number, the upper one), the peers in\n\
         turn; all rounds are in the JSON file beside this one. Server, peer and generator share the machine, so CPU time of the server's\n\
         process is the figure to read, and to read against the peer's in the same run: on a busy machine all of them rise together. Rates\n\
         and latencies are what was left over.\n\n",
        machine["command"].as_str().unwrap_or_default(),
        options.rounds
    );
    for name in ["cpu", "cores", "memory", "load_average", "kernel", "rustc", "twinfold", "commit", "mosquitto", "date"] {
        out += &format!("- {}: {}\n", name.replace('_', " "), machine[name].to_string().trim_matches('"'));
    }
    for (scenario, about) in SCENARIOS {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.scenario == scenario).collect();
        if !rows.is_empty() {
            out += &format!("\n## {scenario}\n\n{about}\n\n{}", table(&rows));
        }
    }
    out
}

const SCENARIOS: [(&str, &str); 4] = [
    (
        "ingest",
        "Every device keeps its window of JSON messages full. Twinfold acknowledges when a record is durable (one fsync a group);\n\
         Mosquitto, without subscribers and persistence, parses and drops. Latencies here are those of a saturated, closed loop.",
    ),
    ("latency", "Messages leave on a schedule, and latency counts from the intended time of sending."),
    ("idle", "Resident memory that an idle connection adds, after a restart, its twin included where there is one."),
    ("fleet", "Resident memory that a twin with ten values adds, after a restart, its device having come and gone."),
];

fn table(rows: &[&Row]) -> String {
    let columns: Vec<_> = COLUMNS.iter().filter(|(figure, ..)| rows.iter().any(|r| r.figures.contains_key(figure))).collect();
    let headings: Vec<&str> = columns.iter().map(|(_, heading, _)| *heading).collect();
    let mut out = format!("| load | who | {} |\n|---|---|{}\n", headings.join(" | "), "---:|".repeat(columns.len()));
    let mut seen: Vec<(&str, Kind)> = Vec::new();
    for row in rows {
        if seen.contains(&(&row.load, row.peer)) {
            continue;
        }
        seen.push((&row.load, row.peer));
        let cells: Vec<String> = columns.iter().map(|(figure, _, digits)| cell(rows, row, figure, *digits)).collect();
        out += &format!("| {} | {:?} | {} |\n", row.load, row.peer, cells.join(" | "));
    }
    out
}

fn cell(rows: &[&Row], like: &Row, figure: &str, digits: usize) -> String {
    let same = rows.iter().filter(|r| r.load == like.load && r.peer == like.peer);
    let mut figures: Vec<f64> = same.filter_map(|r| r.figures.get(figure).copied()).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).map_or(String::new(), |median| format!("{median:.digits$}"))
}
