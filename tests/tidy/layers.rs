//! Which crate may know which, as DESIGN and docs/ARCHITECTURE.md draw it, and which outside crate belongs to which room.

use toml::{Table, Value};

use super::File;

/// A crate and those of ours it may depend on.
const MAY_KNOW: [(&str, &[&str]); 16] = [
    ("hierarchy-models", &[]),
    ("persistence", &["hierarchy-models"]),
    ("persistence-embedded", &["persistence", "hierarchy-models"]),
    ("persistence-scylla", &["persistence", "hierarchy-models"]),
    ("actors", &["persistence", "hierarchy-models"]),
    ("gateway", &["actors", "hierarchy-models"]),
    ("api", &["actors", "hierarchy-models"]),
    ("twinfold", &["hierarchy-models", "persistence", "persistence-embedded", "persistence-scylla", "actors", "gateway", "api"]),
    ("load-tests", &[]),
    ("load-floors", &[]),
    ("gateway-fuzz", &["gateway", "hierarchy-models"]),
    // What a solution developer writes stands on the whole.
    ("door-lock", &["twinfold"]),
    ("freezer", &["twinfold"]),
    ("pump", &["twinfold"]),
    ("thermostat", &["twinfold"]),
    ("vehicle", &["twinfold"]),
];

/// What a test of a crate may use beside that: a store to run against, never the other edge.
const TESTS_MAY_KNOW: [(&str, &[&str]); 2] = [("gateway", &["persistence"]), ("api", &["persistence"])];

/// Outside crates with one home each: nobody else may know the engine behind a door.
const HOMES: [(&str, &[&str]); 6] = [
    ("rusqlite", &["persistence-embedded"]),
    ("scylla", &["persistence-scylla"]),
    ("ntex-mqtt", &["gateway", "twinfold", "load-floors"]),
    ("actix-web", &["api", "twinfold", "load-floors"]),
    ("actix", &["actors"]),
    ("redis", &["actors", "twinfold"]),
];

/// The domain is pure: no IO, no async, no wire format.
const NOT_IN_THE_DOMAIN: [&str; 8] = ["tokio", "futures-util", "prost", "serde_json", "ciborium", "tracing", "metrics", "parking_lot"];

pub fn broken(manifest: &File) -> Vec<String> {
    let table: Table = manifest.text.parse().unwrap();
    let Some(name) = table.get("package").and_then(|p| p.get("name")).and_then(Value::as_str) else { return Vec::new() };
    let Some((_, may_know)) = MAY_KNOW.iter().find(|(n, _)| *n == name) else {
        return vec![format!("{}: crate {name} has no place in the layers; give it one in tests/tidy/layers.rs", manifest.path)];
    };
    let in_tests = TESTS_MAY_KNOW.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, crates)| crates);
    let mut broken = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for dependency in names(&table, section) {
            let allowed = may_know.contains(&dependency) || (section == "dev-dependencies" && in_tests.contains(&dependency));
            if is_ours(dependency) && !allowed {
                broken.push(format!("{}: {name} may not know {dependency}", manifest.path));
            }
            if HOMES.iter().any(|(outside, homes)| *outside == dependency && !homes.contains(&name)) {
                broken.push(format!("{}: {dependency} is not at home in {name}", manifest.path));
            }
            if name == "hierarchy-models" && section == "dependencies" && NOT_IN_THE_DOMAIN.contains(&dependency) {
                broken.push(format!("{}: the domain does no IO and knows no wire format, so not {dependency}", manifest.path));
            }
        }
    }
    broken
}

/// A member that names a version itself, where two could then differ. Fuzz targets are workspaces of their own, as
/// cargo-fuzz wants them, and take what they need by path.
pub fn versions(manifest: &File) -> Vec<String> {
    let table: Table = manifest.text.parse().unwrap();
    if manifest.path.ends_with("fuzz/Cargo.toml") {
        return Vec::new();
    }
    let sections = ["dependencies", "build-dependencies", "dev-dependencies"];
    let dependencies = sections.iter().filter_map(|s| table.get(*s)?.as_table()).flatten();
    dependencies
        .filter(|(_, wanted)| wanted.get("workspace").and_then(Value::as_bool) != Some(true))
        .map(|(name, _)| format!("{}: {name} does not take its version from the workspace", manifest.path))
        .collect()
}

fn names<'a>(table: &'a Table, section: &str) -> impl Iterator<Item = &'a str> {
    table.get(section).and_then(Value::as_table).into_iter().flatten().map(|(name, _)| name.as_str())
}

fn is_ours(name: &str) -> bool {
    MAY_KNOW.iter().any(|(ours, _)| *ours == name)
}
