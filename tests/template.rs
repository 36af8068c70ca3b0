//! The template of a crate of one's own: it builds and passes its test, and `examples/new` makes it as `cargo generate` would.

#![allow(clippy::unwrap_used)]

/// The template's program itself, with its test: nothing in it waits to be filled in.
#[path = "../examples/template/src/main.rs"]
#[allow(dead_code)]
mod program;

use std::{fs, path::Path, process::Command};

use toml::Table;

fn template() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/template"))
}

#[test]
fn the_template_asks_for_nothing_that_it_does_not_explain() {
    let settings: Table = fs::read_to_string(template().join("cargo-generate.toml")).unwrap().parse().unwrap();
    let asked: Vec<&str> = settings["placeholders"].as_table().unwrap().keys().map(String::as_str).collect();
    for file in ["Cargo.toml.liquid", "README.md.liquid", "src/main.rs", "src/thing.rs"] {
        let text = fs::read_to_string(template().join(file)).unwrap();
        for placeholder in text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()) {
            assert!(placeholder == "project-name" || asked.contains(&placeholder), "{file}: nobody fills in {placeholder}");
        }
    }
}

#[test]
fn a_new_crate_is_the_template_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("My_Pump");
    let script = template().join("../new");
    let run = || Command::new(&script).arg(&made).output().unwrap();
    let output = run();
    assert!(output.status.success(), "{output:?}");

    let manifest: Table = fs::read_to_string(made.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-pump"));
    let twinfold = manifest["dependencies"]["twinfold"]["path"].as_str().unwrap();
    assert!(Path::new(twinfold).join("src/prelude.rs").exists(), "{twinfold}");
    let ours: Table = fs::read_to_string(template().join("../../Cargo.toml")).unwrap().parse().unwrap();
    for key in ["edition", "rust-version"] {
        assert_eq!(manifest["package"][key], ours["workspace"]["package"][key], "{key}");
    }
    let features = manifest["dependencies"]["serde"]["features"].as_array().unwrap();
    assert!(features.iter().any(|feature| feature.as_str() == Some("derive")), "the derives of the prelude need it");

    for file in ["src/main.rs", "src/thing.rs"] {
        assert_eq!(fs::read_to_string(made.join(file)).unwrap(), fs::read_to_string(template().join(file)).unwrap());
    }
    let files = fs::read_dir(&made).unwrap().count();
    assert_eq!(files, 3, "Cargo.toml, README.md and src");
    assert!(!run().status.success(), "what is there already is not written over");
}
