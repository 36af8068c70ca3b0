//! The report as Markdown.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    Report, Row,
    figures::{Of, heading, number},
    plots::Plot,
    sections, targets,
};
use crate::peer::Kind;

/// Figures of the kernel about the server, in a table of their own; the others are what a user sees.
const KERNEL: [&str; 8] = ["user_us_", "system_us_", "switches_", "voluntary_switches_", "io_calls_", "disk_bytes_", "syscalls_", "syncs_"];
/// Those that stand first in a table, in this order; the others follow by name.
const FIRST: [&str; 9] =
    ["cpu_us_", "generator_", "messages_per_second", "requests_per_second", "connects_per_second", "p50_", "p99_", "p999_", "max_"];
/// Those shown with their range, where there was more than one round, and against the others.
const COMPARED: [&str; 5] = ["cpu_us_per_", "bytes_per_", "p99_ms", "p999_ms", "_per_second"];

pub fn markdown(report: &Report, plots: &[Plot]) -> String {
    let mut out = String::from("# Performance\n\n");
    head(&mut out, report);
    target_table(&mut out, report);
    let mut scenarios: Vec<&str> = report.rows().map(|row| row.scenario.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    scenarios.sort_by_key(|scenario| sections::place(scenario));
    for scenario in scenarios {
        section(&mut out, report, scenario, plots);
    }
    out
}

fn head(out: &mut String, report: &Report) {
    *out += "Made by `load-tests/compare`. Server, peer and generator share the machine, so the CPU time of the server's process is the figure\n\
             to read, and to read against a peer's in the same round: on a busy machine all of them rise together. Rates and latencies are what\n\
             was left over. Where there was more than one round, figures are medians over them, the peers in turn, with the lowest and the\n\
             highest in brackets; ratios are of two figures of the same round. System calls and syncs are counted by the kernel's tracepoints\n\
             in a pass of its own (`--trace`), as counting slows a server; all else of that pass is left out. Every row is in the JSON file beside this one, and\n\
             `load-tests report FILE.json` makes this page from it.\n";
    for run in &report.runs {
        let scenarios: BTreeSet<&str> = run.rows.iter().map(|row| row.scenario.as_str()).collect();
        let rounds = run.rows.iter().map(|row| row.round).max().unwrap_or_default();
        let what = if run.traced { "system calls of " } else { "" };
        let names: Vec<&str> = scenarios.into_iter().collect();
        let _ = write!(out, "\n**{what}{}** ({rounds} rounds)\n\n", names.join(", "));
        let machine = run.machine.as_object().into_iter().flatten();
        for (name, value) in machine.filter(|(name, _)| *name != "peers") {
            let _ = writeln!(out, "- {}: {}", name.replace('_', " "), plain(value));
        }
        let versions = run.machine["peers"].as_object().into_iter().flatten();
        let versions: Vec<String> = versions.map(|(peer, version)| format!("{peer}: {}", plain(version))).collect();
        let _ = writeln!(out, "- versions: {}", versions.join("; "));
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn target_table(out: &mut String, report: &Report) {
    *out += "\n## Targets\n\n| target | measured | bound | reached |\n|---|---:|---|---|\n";
    for line in targets::lines(report) {
        let _ = writeln!(out, "| {} | {} | {} | {} |", line.target, line.measured, line.bound, line.verdict);
    }
}

fn section(out: &mut String, report: &Report, scenario: &str, plots: &[Plot]) {
    let rows: Vec<&Row> = report.rows().filter(|row| row.scenario == scenario).collect();
    let _ = write!(out, "\n## {scenario}\n\n");
    let about = sections::about(scenario);
    if !about.is_empty() {
        let _ = write!(out, "{about}\n\n");
    }
    for plot in plots.iter().filter(|plot| plot.scenario == scenario) {
        let _ = write!(out, "![{}]({})\n\n", plot.title, plot.file);
    }
    left_out(out, report, scenario);
    let seen = Seen::of(&rows);
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)).collect();
    let (kernel, mut users): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| starts(&KERNEL, name).is_some());
    users.sort_by_key(|name| starts(&FIRST, name).unwrap_or(FIRST.len()));
    for columns in [users.as_slice(), kernel.as_slice()] {
        table(out, report, scenario, &seen, columns);
    }
    let compared: Vec<&str> = users.into_iter().filter(|name| compared(name)).collect();
    ratios(out, report, scenario, &seen, &compared);
}

/// Who gave no figures, and why.
fn left_out(out: &mut String, report: &Report, scenario: &str) {
    let mut lines = BTreeSet::new();
    for run in &report.runs {
        let failed = run.rows.iter().filter(|row| row.scenario == scenario);
        lines.extend(failed.filter_map(|row| Some((run.traced, row.peer, row.load.as_str(), row.failed.as_deref()?))));
    }
    for (traced, peer, load, why) in lines {
        let what = if traced { "The count of system calls of " } else { "" };
        let _ = write!(
            out,
            "{what}{}{} is left out: {}\n\n",
            peer.label(),
            if load.is_empty() { String::new() } else { format!(" ({load})") },
            why.trim().replace('\n', " ")
        );
    }
}

/// Loads in the order they were measured in, and who took part in each.
struct Seen<'a>(Vec<(&'a str, BTreeSet<Kind>)>);

impl<'a> Seen<'a> {
    fn of(rows: &[&'a Row]) -> Self {
        let mut loads: Vec<(&str, BTreeSet<Kind>)> = Vec::new();
        for row in rows.iter().filter(|row| row.failed.is_none()) {
            match loads.iter_mut().find(|(load, _)| *load == row.load) {
                Some((_, peers)) => drop(peers.insert(row.peer)),
                None => loads.push((&row.load, BTreeSet::from([row.peer]))),
            }
        }
        Self(loads)
    }
}

/// A row a load and peer, a column a figure.
fn table(out: &mut String, report: &Report, scenario: &str, seen: &Seen, columns: &[&str]) {
    if columns.is_empty() {
        return;
    }
    let headings: Vec<String> = columns.iter().map(|name| heading(name)).collect();
    let _ = writeln!(out, "| load | who | {} |\n|---|---|{}", headings.join(" | "), "---:|".repeat(columns.len()));
    for (load, peers) in &seen.0 {
        for peer in peers {
            let of = |figure| Of { scenario, load, peer: *peer, figure };
            let spreads: Vec<_> = columns.iter().map(|name| (name, report.spread(of(name)))).collect();
            if spreads.iter().all(|(_, spread)| spread.is_none()) {
                continue;
            }
            let cells = spreads.into_iter().map(|(name, spread)| match spread {
                None => String::new(),
                Some(spread) if compared(name) => spread.text(),
                Some(spread) => number(spread.median),
            });
            let _ = writeln!(out, "| {load} | {} | {} |", peer.label(), cells.collect::<Vec<_>>().join(" | "));
        }
    }
    *out += "\n";
}

/// Twinfold's figures over those of each other under the same load.
fn ratios(out: &mut String, report: &Report, scenario: &str, seen: &Seen, figures: &[&str]) {
    let others: BTreeSet<Kind> = seen.0.iter().flat_map(|(_, peers)| peers).copied().filter(|peer| *peer != Kind::Twinfold).collect();
    let mut lines = String::new();
    for (load, _) in &seen.0 {
        for figure in figures {
            let of = |peer| Of { scenario, load, peer, figure };
            let cells: Vec<String> = others
                .iter()
                .map(|other| report.paired(of(Kind::Twinfold), of(*other), |ours, theirs| ours / theirs))
                .map(|ratio| ratio.map_or(String::new(), |ratio| ratio.text()))
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let _ = writeln!(lines, "| {load} | {} | {} |", heading(figure), cells.join(" | "));
            }
        }
    }
    if !lines.is_empty() {
        let names: Vec<&str> = others.iter().map(|peer| peer.label()).collect();
        let _ = write!(
            out,
            "Twinfold, in multiples of …\n\n| load | figure | {} |\n|---|---|{}\n",
            names.join(" | "),
            "---:|".repeat(names.len())
        );
        *out += &lines;
        *out += "\n";
    }
}

fn compared(figure: &str) -> bool {
    COMPARED.iter().any(|part| figure.contains(part))
}

/// Which of these a name begins with.
fn starts(beginnings: &[&str], name: &str) -> Option<usize> {
    beginnings.iter().position(|beginning| name.starts_with(beginning))
}
