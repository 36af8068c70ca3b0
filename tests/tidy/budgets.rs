//! Budgets only fall: none in the table may stand above what it once was, whoever raised it and in how many commits.

use std::{collections::BTreeMap, process::Command};

use super::{File, root};

pub const TABLE: &str = "tests/budgets/table.rs";

/// Budgets in `now` that stand above the lowest that any former state of the table had.
pub fn raised(now: &File, former: &[File]) -> Vec<String> {
    let mut lowest: BTreeMap<String, (f64, &str)> = BTreeMap::new();
    for table in former {
        for (of, at_most) in budgets(&table.text) {
            let least = lowest.entry(of).or_insert((at_most, &table.path));
            if at_most < least.0 {
                *least = (at_most, &table.path);
            }
        }
    }
    let above = |(of, at_most): (String, f64)| {
        let (least, commit) = *lowest.get(&of)?;
        (at_most > least).then(|| format!("{TABLE}: {of} may come to {at_most}, but was {least} in {commit}: budgets are not raised"))
    };
    budgets(&now.text).filter_map(above).collect()
}

/// `budget(OF, UNIT, at most, …)`, a line each: the first two as one name.
fn budgets(text: &str) -> impl Iterator<Item = (String, f64)> {
    text.lines().filter_map(|line| {
        let mut parts = line.trim().strip_prefix("budget(")?.split(',').map(str::trim);
        let of = format!("{} {}", parts.next()?, parts.next()?);
        Some((of, parts.next()?.parse().ok()?))
    })
}

/// The table as each commit left it that `HEAD` knows of; nothing where there is no repository, as in a tarball.
pub fn history() -> Vec<File> {
    let commits = git(&["log", "--format=%h", "--", TABLE]).unwrap_or_default();
    let table = |commit: &str| Some(File::new(commit, &git(&["show", &format!("{commit}:{TABLE}")])?));
    commits.lines().filter_map(table).collect()
}

fn git(arguments: &[&str]) -> Option<String> {
    let done = Command::new("git").arg("-C").arg(root()).args(arguments).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}
