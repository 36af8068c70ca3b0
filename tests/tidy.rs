//! House rules as a test: what a reviewer would otherwise have to remember.
//!
//! Each rule is a pure function over file texts, so that `rules_bite` can show it something broken; the tests here
//! feed it the real tree. A rule that does not fit one place is bent in the rule, with the reason, not silenced there.

#![allow(clippy::unwrap_used)]

#[path = "tidy/budgets.rs"]
mod budgets;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rules_bite.rs"]
mod rules_bite;
#[path = "tidy/source.rs"]
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of ours: its path from the root of the repository, and what it says.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the root whose name ends with `ending`, build output and hidden folders left out.
fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no file ends with {ending}: the walk is broken");
    found
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "twinfold-data" {
            walk(&path, ending, found);
        } else if path.is_file() && name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.push(File { path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text });
        }
    }
}

fn demand(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} broken house rules:\n  {}\n", broken.len(), broken.join("\n  "));
}

#[test]
fn a_crate_knows_only_the_rooms_below_it() {
    demand(files("Cargo.toml").iter().flat_map(layers::broken).collect());
}

#[test]
fn versions_stand_only_in_the_root_manifest() {
    demand(files("Cargo.toml").iter().flat_map(layers::versions).collect());
}

#[test]
fn every_file_says_why_it_exists() {
    demand(files(".rs").iter().flat_map(source::header).collect());
}

#[test]
fn no_file_grows_past_its_room() {
    demand(files(".rs").iter().flat_map(source::length).collect());
}

#[test]
fn the_list_of_long_files_only_shrinks() {
    demand(source::ratchet_slack(&files(".rs")));
}

#[test]
fn nothing_is_left_unfinished_ignored_or_sleeping() {
    demand(files(".rs").iter().flat_map(source::unfinished).collect());
}

#[test]
fn nothing_unwraps_outside_tests() {
    demand(files(".rs").iter().flat_map(source::unwraps).collect());
}

#[test]
fn every_metric_that_the_documents_name_is_reported() {
    let sources: Vec<File> = files(".rs").into_iter().filter(|file| !file.path.starts_with("tests/")).collect();
    demand(files(".md").iter().flat_map(|document| metrics::unknown(document, &sources)).collect());
}

#[test]
fn what_the_documents_point_at_exists() {
    let documents = files(".md");
    for must in ["README.md", "docs/ARCHITECTURE.md", "docs/TESTING.md"] {
        assert!(documents.iter().any(|d| d.path == must), "{must} is missing");
    }
    demand(documents.iter().flat_map(|d| paths::missing(d, &|path| root().join(path).exists())).collect());
}

#[test]
fn budgets_only_fall() {
    let now = files(".rs").into_iter().find(|file| file.path == budgets::TABLE).unwrap();
    demand(budgets::raised(&now, &budgets::history()));
}
