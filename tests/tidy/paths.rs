//! Paths that the documents mention: a map that points at nothing is worse than none.

use super::File;

/// First steps of a path of this repository; anything else in backticks is a topic, a URL or a command.
const ROOMS: [&str; 12] =
    ["actors", "api", "docs", "examples", "gateway", "hierarchy-models", "load-tests", "persistence", "src", "tests", ".ci", ".github"];

pub fn missing(document: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let here = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let linked = links(&document.text).map(|link| resolve(here, link));
    let quoted = document.text.split('`').skip(1).step_by(2).filter(|t| looks_like_a_path(t)).map(str::to_owned);
    let clean = |path: String| path.split(['#', ':']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    linked
        .chain(quoted)
        .map(clean)
        .filter(|p| !p.is_empty() && !exists(p))
        .map(|p| format!("{}: {p} does not exist", document.path))
        .collect()
}

/// Targets of Markdown links that stay inside the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|l| !l.contains("://") && !l.starts_with(['#', '/', '<']))
}

fn resolve(folder: &str, link: &str) -> String {
    let mut steps: Vec<&str> = folder.split('/').filter(|s| !s.is_empty()).collect();
    for step in link.split('/') {
        match step {
            ".." => drop(steps.pop()),
            "." => {}
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn looks_like_a_path(text: &str) -> bool {
    let plain = !text.contains(|c: char| c.is_whitespace() || "{}*<>$…|,()".contains(c));
    plain && text.split_once('/').is_some_and(|(first, _)| ROOMS.contains(&first))
}
