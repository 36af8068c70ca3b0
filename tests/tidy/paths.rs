//! Paths that the documents mention: a map that points at nothing is worse than none.

use super::File;

/// First steps of a path of this repository; anything else in backticks is a topic, a URL or a command.
const ROOMS: [&str; 12] =
    ["actors", "api", "docs", "examples", "gateway", "hierarchy-models", "load-tests", "persistence", "src", "tests", ".ci", ".github"];

pub fn missing(document: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let here = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let linked = links(&document.text).map(|link| resolve(here, link)).map(clean).filter(|path| !exists(path));
    let quoted = document.text.lines().flat_map(|line| missing_in_line(line, exists));
    linked.chain(quoted).filter(|path| !path.is_empty()).map(|path| format!("{}: {path} does not exist", document.path)).collect()
}

/// A line that begins with a room, such as a row of a map, may name what is in it from there.
fn missing_in_line(line: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let room = quoted.first().map(|first| first.trim_end_matches('/')).filter(|first| exists(&format!("{first}/Cargo.toml")));
    let in_room = |path: &str| room.is_some_and(|room| exists(&format!("{room}/{path}")));
    let paths = quoted.into_iter().filter(|text| looks_like_a_path(text)).map(|path| clean(path.to_owned()));
    paths.filter(|path| !exists(path) && !in_room(path)).collect()
}

/// The path alone, without an anchor or a line number.
fn clean(path: String) -> String {
    path.split(['#', ':']).next().unwrap_or_default().trim_end_matches('/').to_owned()
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
