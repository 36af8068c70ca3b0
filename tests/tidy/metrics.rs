//! Metrics that the documents name: an alert on a figure that nobody reports never fires.

use super::File;

/// What each of ours begins with.
const PREFIX: &str = "twinfold_";
/// What Prometheus adds to the name of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Names in backticks that no product file spells as a text.
pub fn unknown(document: &File, sources: &[File]) -> Vec<String> {
    let is_reported = |name: &str| sources.iter().any(|file| file.text.contains(&format!("\"{name}\"")));
    let unknown = |name: &&str| {
        let bare = OF_HISTOGRAMS.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        !is_reported(name) && !is_reported(bare)
    };
    names(&document.text).filter(unknown).map(|name| format!("{}: nobody reports {name}", document.path)).collect()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.flat_map(|quoted| {
        let starts = quoted.match_indices(PREFIX).map(|(at, _)| at);
        starts.map(move |at| quoted[at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
    })
}
