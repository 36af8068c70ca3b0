//! The plots of a report: what each shows. How bars and lines are drawn stands beside it.

mod bars;
mod canvas;
mod lines;

use std::{collections::BTreeSet, path::Path};

use clap::ValueEnum;

use self::{
    bars::Bars,
    lines::{Line, Lines},
};
use super::{
    Report,
    figures::{Of, has_parts},
};
use crate::{Result, peer::Kind};

/// A picture that was drawn: its file, beside the report.
pub struct Plot {
    pub scenario: &'static str,
    pub title: &'static str,
    pub file: &'static str,
}

/// What is written behind an acknowledgement belongs to what the message cost.
const SETTLED: &str = "cpu_us_per_message_settled";
const CPU: &str = "cpu_us_per_message";
/// Loads of `ingest` that everybody understands, and how they are called below the bars.
const INGEST: [(&str, &str); 3] = [
    ("QoS 0, window 16, JSON 108 B, 100 connections", "QoS 0, window 16"),
    ("QoS 1, window 1, JSON 108 B, 100 connections", "QoS 1, window 1"),
    ("QoS 1, window 16, JSON 108 B, 100 connections", "QoS 1, window 16"),
];
/// What memory is asked for, of which load, and how it is called.
const MEMORY: [(&str, &str, &str, &str); 3] = [
    ("idle", "", "bytes_per_connection", "idle connection (ours: and its twin)"),
    ("fleet", "100000 twins, ten values each", "bytes_per_twin", "twin of 100,000"),
    ("fleet", "1000000 twins, ten values each", "bytes_per_twin", "twin of 1,000,000"),
];
/// Percentiles and how strong the colour of each is.
const PERCENTILES: [(&str, &str, f64); 3] = [("p50_ms", "p50", 0.3), ("p99_ms", "p99", 0.6), ("p999_ms", "p99.9", 1.0)];
/// How messages are spread over a fleet, and how strong the colour of each is.
const SPREADS: [(&str, &str, f64); 2] = [("uniform", "spread evenly", 1.0), ("Zipf", "spread by Zipf's law", 0.45)];
/// Bytes.
const KIB: f64 = 1024.0;

/// Draws what there are figures for.
pub fn draw(report: &Report, folder: &Path) -> Result<Vec<Plot>> {
    let mut drawn = Vec::new();
    let ingest = Plot { scenario: "ingest", title: "Server CPU time a message", file: "cpu-per-message.png" };
    let groups = INGEST.map(|(load, name)| (name.to_owned(), bars(report, "ingest", load, SETTLED, 1.0)));
    drawn.extend(bar_plot(folder, ingest, "µs a message", groups.into())?);
    let memory = Plot { scenario: "idle", title: "Resident memory", file: "memory.png" };
    let groups = MEMORY.map(|(scenario, load, figure, name)| (name.to_owned(), bars(report, scenario, load, figure, KIB)));
    drawn.extend(bar_plot(folder, memory, "KiB", groups.into())?);
    drawn.extend(latency(report, folder)?);
    drawn.extend(fleet(report, folder)?);
    Ok(drawn)
}

fn latency(report: &Report, folder: &Path) -> Result<Option<Plot>> {
    let plot = Plot { scenario: "latency", title: "Latency, from the intended time of sending", file: "latency.png" };
    let mut lines = Vec::new();
    for peer in [Kind::Twinfold, Kind::MosquittoNodelay] {
        for (figure, name, strength) in PERCENTILES {
            let points = points(report, Axes { scenario: plot.scenario, load: "", peer, x: "offered_per_second", y: figure });
            lines.push(Line { name: format!("{}, {name}", peer.label()), peer, strength, points });
        }
    }
    let lines = Lines { title: plot.title, x: "messages/s offered", y: "ms", log_x: false, log_y: true, lines };
    line_plot(folder, plot, lines)
}

fn fleet(report: &Report, folder: &Path) -> Result<Option<Plot>> {
    let plot = Plot { scenario: "fleet", title: "Server CPU time a message, by the size of the fleet", file: "fleet.png" };
    let peer = Kind::Twinfold;
    let lines = SPREADS.map(|(load, name, strength)| {
        let points = points(report, Axes { scenario: plot.scenario, load, peer, x: "twins", y: CPU });
        Line { name: format!("{}, {name}", peer.label()), peer, strength, points }
    });
    let lines = Lines { title: plot.title, x: "twins", y: "µs a message", log_x: true, log_y: false, lines: lines.into() };
    line_plot(folder, plot, lines)
}

fn line_plot(folder: &Path, plot: Plot, mut lines: Lines) -> Result<Option<Plot>> {
    lines.lines.retain(|line| line.points.len() > 1);
    if lines.lines.is_empty() {
        return Ok(None);
    }
    lines.draw(&folder.join(plot.file))?;
    Ok(Some(plot))
}

/// Two figures of the loads whose name has a part, or of all.
struct Axes<'a> {
    scenario: &'a str,
    load: &'a str,
    peer: Kind,
    x: &'a str,
    y: &'a str,
}

/// Their medians, in the order of the first.
fn points(report: &Report, axes: Axes) -> Vec<(f64, f64)> {
    let Axes { scenario, peer, x, y, .. } = axes;
    let rows = report.rows().filter(|row| row.scenario == scenario && has_parts(&row.load, axes.load));
    let loads: BTreeSet<&str> = rows.map(|row| row.load.as_str()).collect();
    let median = |load, figure| Some(report.spread(Of { scenario, load, peer, figure })?.median);
    let mut points: Vec<(f64, f64)> = loads.into_iter().filter_map(|load| Some((median(load, x)?, median(load, y)?))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn bar_plot(folder: &Path, plot: Plot, unit: &'static str, groups: Vec<(String, Vec<(Kind, f64)>)>) -> Result<Option<Plot>> {
    let groups: Vec<_> = groups.into_iter().filter(|(_, bars)| !bars.is_empty()).collect();
    if groups.is_empty() {
        return Ok(None);
    }
    Bars { title: plot.title, unit, groups }.draw(&folder.join(plot.file))?;
    Ok(Some(plot))
}

/// Everybody's median of one figure, over a divisor.
fn bars(report: &Report, scenario: &str, load: &str, figure: &str, over: f64) -> Vec<(Kind, f64)> {
    let of = |peer| Of { scenario, load, peer, figure };
    Kind::value_variants().iter().filter_map(|peer| Some((*peer, report.spread(of(*peer))?.median / over))).collect()
}
