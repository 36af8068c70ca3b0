//! Several reports as one: what was measured again replaces what was measured before.

use std::collections::BTreeMap;

use super::{Report, Run};

/// Keeps of each scenario the rows of the latest run that has it; counts of system calls come from runs of their own.
pub fn merged(reports: Vec<Report>) -> Report {
    let mut runs: Vec<Run> = reports.into_iter().flat_map(|report| report.runs).collect();
    runs.sort_by(|a, b| date(a).cmp(date(b)));
    let mut latest: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for (n, run) in runs.iter().enumerate() {
        latest.extend(run.rows.iter().map(|row| ((row.scenario.clone(), run.traced), n)));
    }
    for (n, run) in runs.iter_mut().enumerate() {
        run.rows.retain(|row| latest.get(&(row.scenario.clone(), run.traced)) == Some(&n));
    }
    runs.retain(|run| !run.rows.is_empty());
    Report { runs }
}

/// As text, which sorts as time does.
fn date(run: &Run) -> &str {
    run.machine["date"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{peer::Kind, report::Row};

    #[test]
    fn the_latest_run_of_a_scenario_wins_and_others_stay() {
        let run = |date: &str, traced, scenarios: &[&'static str]| Run {
            machine: json!({"date": date}),
            traced,
            rows: scenarios.iter().map(|scenario| Row::new(scenario, Kind::Twinfold, date.to_owned())).collect(),
        };
        let reports = [run("2026-02", false, &["ingest"]), run("2026-01", false, &["ingest", "idle"]), run("2026-01", true, &["ingest"])];
        let report = merged(reports.map(|run| Report { runs: vec![run] }).to_vec());
        let kept: Vec<_> = report.rows().map(|row| (row.scenario.as_str(), row.load.as_str())).collect();
        assert_eq!(kept, [("idle", "2026-01"), ("ingest", "2026-01"), ("ingest", "2026-02")]);
    }
}
