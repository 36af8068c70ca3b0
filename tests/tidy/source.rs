//! Rules over Rust files: headers, lengths, unfinished code, unwraps.

use super::File;

const LINES_MAX: usize = 400;

/// Files longer than that, with the length they may not pass. Lower a number when a file shrinks; never raise one.
const LONGER: [(&str, usize); 0] = [];

pub fn header(file: &File) -> Vec<String> {
    let ok = file.text.lines().next().is_some_and(|first| first.starts_with("//! ") && first.len() > 12);
    if ok { Vec::new() } else { vec![format!("{}: the first line is not a `//!` that says why the file exists", file.path)] }
}

pub fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let max = LONGER.iter().find(|(path, _)| *path == file.path).map_or(LINES_MAX, |(_, max)| *max);
    if lines <= max { Vec::new() } else { vec![format!("{}: {lines} lines, at most {max}: do two things live in one room?", file.path)] }
}

/// Entries of [`LONGER`] that are higher than they need to be.
pub fn ratchet_slack(files: &[File]) -> Vec<String> {
    let slack = |(path, max): &(&str, usize)| {
        let lines = files.iter().find(|f| f.path == *path).map_or(0, |f| f.text.lines().count());
        (lines < *max).then(|| format!("{path} has {lines} lines now: lower its entry ({max}) in tests/tidy/source.rs"))
    };
    LONGER.iter().filter_map(slack).collect()
}

pub fn unfinished(file: &File) -> Vec<String> {
    let banned: &[&str] = if is_test_file(&file.path) {
        &["todo!(", "unimplemented!(", "#[ignore"]
    } else {
        &["todo!(", "unimplemented!(", "#[ignore", "dbg!(", "thread::sleep"]
    };
    // The command line's client is a process of its own, without a runtime or a twin on its thread.
    let banned: &[&str] = if file.path.starts_with("src/client") { &banned[..banned.len().min(4)] } else { banned };
    // The rules themselves spell these words.
    if file.path.starts_with("tests/tidy/") {
        return Vec::new();
    }
    find(file, file.text.lines().count(), banned)
}

/// A test that only writes a fixture when a person asks for it may be ignored; no other may.
fn writes_a_fixture(line: &str) -> bool {
    line.contains("#[ignore = \"writes the fixture")
}

pub fn unwraps(file: &File) -> Vec<String> {
    if is_test_file(&file.path) {
        return Vec::new();
    }
    find(file, product_lines(&file.text), &[".unwrap()"])
}

fn find(file: &File, lines: usize, banned: &[&str]) -> Vec<String> {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let hits = file.text.lines().take(lines).enumerate().filter(|(_, line)| !writes_a_fixture(line)).flat_map(|(n, line)| {
        let code = code(line);
        banned.iter().filter(move |word| code.contains(**word)).map(move |word| (n + 1, *word))
    });
    hits.map(|(n, word)| format!("{}:{n}: {word}", file.path)).collect()
}

/// Lines before the tests of a file, which stand last in it.
fn product_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(is_tests).unwrap_or(lines.len())
}

/// Whole files of tests: integration tests, `tests.rs` beside the code, benches, fuzz targets, the store contract suite.
fn is_test_file(path: &str) -> bool {
    let in_folder = |name: &str| path.starts_with(&format!("{name}/")) || path.contains(&format!("/{name}/"));
    ["tests", "benches", "fuzz", "contract"].into_iter().any(in_folder)
        || ["/tests.rs", "_tests.rs", "/contract.rs"].iter().any(|end| path.ends_with(end))
}
