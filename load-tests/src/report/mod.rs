//! Figures as tables and plots for people and as JSON for programs; tables and plots can be made again from the JSON alone.

mod figures;
mod markdown;
mod merge;
mod plots;
mod row;
mod sections;
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use row::Row;

use crate::{Options, Result, machine};

/// The figures that a traced run is for; being slowed by it, the others would mislead.
const TRACED: [&str; 2] = ["syscalls_per_", "syncs_per_"];

/// One call of this program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub machine: Value,
    /// System calls were counted, and nothing else of it is kept.
    #[serde(default)]
    pub traced: bool,
    pub rows: Vec<Row>,
}

/// What a report is made of: for each scenario the latest run that has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub runs: Vec<Run>,
}

impl Report {
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.runs.iter().flat_map(|run| &run.rows)
    }

    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?)
    }

    /// Writes `stem.json`, `stem.md` and the plots beside them.
    fn write(&self, stem: &Path) -> Result<()> {
        let folder = stem.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        fs::write(stem.with_extension("json"), serde_json::to_string_pretty(self)? + "\n")?;
        // Without a font there are no plots; the tables are worth having all the same.
        let plots = plots::draw(self, folder).inspect_err(|why| eprintln!("no plots: {why}")).unwrap_or_default();
        fs::write(stem.with_extension("md"), markdown::markdown(self, &plots))?;
        Ok(())
    }
}

pub fn write(options: &Options, rows: &[Row]) -> Result<()> {
    let mut rows = rows.to_vec();
    if options.trace {
        rows.iter_mut().for_each(|row| row.figures.retain(|name, _| TRACED.iter().any(|kept| name.starts_with(kept))));
    }
    let run = Run { machine: machine::describe(&options.server), traced: options.trace, rows };
    let report = Report { runs: vec![run] };
    println!("{}", markdown::markdown(&report, &[]));
    match &options.out {
        Some(out) => report.write(out),
        None => Ok(()),
    }
}

/// Makes tables and plots out of what was measured before; where several files hold a scenario, the latest run wins.
#[derive(Debug, Parser)]
#[command(name = "load-tests report")]
struct Show {
    /// JSON files of earlier runs.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the report goes, without the ending; beside the first file when left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Does what `load-tests report FILE.json…` asks for; None when this program was called for something else.
pub fn show_files() -> Option<Result<()>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != "report" {
        return None;
    }
    Some(show(&Show::parse_from(std::iter::once("load-tests report".into()).chain(arguments))))
}

fn show(call: &Show) -> Result<()> {
    let reports = call.files.iter().map(|file| Report::read(file)).collect::<Result<Vec<_>>>()?;
    let report = merge::merged(reports);
    println!("{}", markdown::markdown(&report, &[]));
    let first = call.files.first().cloned().unwrap_or_default();
    report.write(call.out.as_ref().unwrap_or(&first))
}
