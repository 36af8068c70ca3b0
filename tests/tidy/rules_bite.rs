//! Shows each rule something broken: a rule that cannot fail is no rule.

use super::{File, budgets, layers, metrics, paths, source};

fn manifest(name: &str, dependencies: &str) -> File {
    File::new("x/Cargo.toml", &format!("[package]\nname = \"{name}\"\n{dependencies}"))
}

#[test]
fn a_wrong_dependency_is_found() {
    let wrong = [
        ("hierarchy-models", "[dependencies]\npersistence.workspace = true"),
        ("hierarchy-models", "[dependencies]\ntokio.workspace = true"),
        ("gateway", "[dependencies]\napi.workspace = true"),
        ("api", "[dev-dependencies]\ngateway.workspace = true"),
        ("api", "[dependencies]\npersistence-embedded.workspace = true"),
        ("actors", "[dependencies]\nrusqlite.workspace = true"),
        ("load-tests", "[dependencies]\nhierarchy-models.workspace = true"),
        ("newcomer", ""),
    ];
    for (name, dependencies) in wrong {
        assert_eq!(layers::broken(&manifest(name, dependencies)).len(), 1, "{name} {dependencies}");
    }
    assert!(layers::broken(&manifest("actors", "[dependencies]\npersistence.workspace = true")).is_empty());
}

#[test]
fn a_version_of_its_own_is_found() {
    assert_eq!(layers::versions(&manifest("api", "[dependencies]\nserde = \"1\"")).len(), 1);
    assert_eq!(layers::versions(&manifest("api", "[dependencies]\nserde = { path = \"../serde\" }")).len(), 1);
    assert!(layers::versions(&manifest("api", "[dependencies]\nserde = { workspace = true, features = [\"rc\"] }")).is_empty());
}

#[test]
fn a_file_without_a_reason_is_found() {
    assert_eq!(source::header(&File::new("src/a.rs", "use std::fs;\n")).len(), 1);
    assert_eq!(source::header(&File::new("src/a.rs", "")).len(), 1);
    assert!(source::header(&File::new("src/a.rs", "//! Reads the settings.\n")).is_empty());
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(source::length(&File::new("src/a.rs", &"//\n".repeat(401))).len(), 1);
    assert!(source::length(&File::new("src/a.rs", &"//\n".repeat(400))).is_empty());
}

#[test]
fn unfinished_code_is_found() {
    for code in ["todo!()", "unimplemented!(\"x\")", "#[ignore]", "std::thread::sleep(d)"] {
        assert_eq!(source::unfinished(&File::new("api/src/a.rs", &format!("//! x\n  {code};\n"))).len(), 1, "{code}");
    }
    assert!(source::unfinished(&File::new("api/src/a.rs", "// todo!() was here\n")).is_empty());
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    let product = "fn a() { b().unwrap(); }\n";
    let test = "#[cfg(test)]\nmod tests {\n    b().unwrap();\n}\n";
    assert_eq!(source::unwraps(&File::new("api/src/a.rs", product)).len(), 1);
    assert_eq!(source::unwraps(&File::new("api/src/a.rs", &format!("{product}{test}"))).len(), 1);
    assert!(source::unwraps(&File::new("api/src/a.rs", test)).is_empty());
    assert!(source::unwraps(&File::new("tests/a.rs", product)).is_empty());
}

#[test]
fn a_path_to_nowhere_is_found() {
    let document = File::new("docs/A.md", "See `src/main.rs`, `src/gone.rs`, [there](../tests/gone.rs) and `devices/x/get`.");
    let missing = paths::missing(&document, &|path| path == "src/main.rs");
    assert_eq!(missing, ["docs/A.md: tests/gone.rs does not exist", "docs/A.md: src/gone.rs does not exist"]);
    let map = File::new("docs/A.md", "| `api/` | `src/access.rs`, `src/gone.rs` |\n`src/access.rs`");
    let there = ["api/Cargo.toml", "api", "api/src/access.rs"];
    let missing = paths::missing(&map, &|path| there.contains(&path));
    assert_eq!(missing, ["docs/A.md: src/gone.rs does not exist", "docs/A.md: src/access.rs does not exist"]);
}

#[test]
fn a_raised_budget_is_found_whichever_commit_was_lower() {
    let table = |name: &str, at_most: &str| File::new(name, &format!("    budget(TWIN,  HELD,  {at_most},  1.0, \"2026-11-21\"),\n"));
    let former = [table("c3", "1480.0"), table("c2", "1400.0"), table("c1", "1530.0")];
    let broken = budgets::raised(&table("now", "1480.0"), &former);
    assert_eq!(broken.len(), 1);
    assert!(broken[0].contains("TWIN HELD") && broken[0].contains("c2"), "{broken:?}");
    assert!(budgets::raised(&table("now", "1400.0"), &former).is_empty());
    assert!(budgets::raised(&table("now", "9.0"), &[]).is_empty());
}

#[test]
fn a_metric_that_nobody_reports_is_found() {
    let sources = [File::new("src/a.rs", "counter!(\"twinfold_a_total\"); histogram!(\"twinfold_b_seconds\")")];
    let unknown = |text: &str| metrics::unknown(&File::new("docs/a.md", text), &sources).len();
    assert_eq!(unknown("watch `twinfold_a_total{kind=\"x\"}` and `rate(twinfold_b_seconds_count[5m])`"), 0);
    assert_eq!(unknown("watch `twinfold_c_total` and `sum(twinfold_a) / twinfold_b_seconds_sum`"), 2);
    assert_eq!(unknown("the keyspace twinfold_c"), 0);
}
