//! `serve`: its settings, its `ready` line, its exit codes.

use std::fs;

use crate::support::{Server, server::twinfold};

/// Standard error of a start that must fail with exit code 2, which is one clear line.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = twinfold(&[&["serve"], arguments].concat(), environment);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twinfold.toml");
    fs::write(&file, "[http]\nbnid = \"127.0.0.1:0\"\n").unwrap();
    let said = refused(&["--config", file.to_str().unwrap()], &[]);
    assert!(said.contains("http.bnid") && said.contains("http.bind"), "{said}");
    let said = refused(&[], &[("TWINFOLD_MQTT__BNID", "127.0.0.1:0")]);
    assert!(said.contains("TWINFOLD_MQTT__BNID") && said.to_lowercase().contains("bind"), "{said}");
}

#[test]
fn bad_values_are_named_with_their_key() {
    for (name, value, key) in [
        ("TWINFOLD_HTTP__BIND", "nowhere", "http.bind"),
        ("TWINFOLD_STORE", "paper", "store"),
        ("TWINFOLD_ROLLUP__TICK", "soon", "rollup.tick"),
        ("TWINFOLD_TWINS__MAILBOX_MAX", "-1", "twins.mailbox_max"),
    ] {
        let said = refused(&[], &[(name, value)]);
        assert!(said.contains(key) && said.contains(value), "{said}");
    }
}

#[test]
fn a_missing_or_broken_file_is_one_line() {
    let said = refused(&["--config", "/nowhere/twinfold.toml"], &[]);
    assert!(said.contains("/nowhere/twinfold.toml"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    fs::write(&file, "http = {").unwrap();
    assert!(refused(&["--config", file.to_str().unwrap()], &[]).contains("broken.toml"));
}

#[test]
fn half_a_certificate_is_refused() {
    let said = refused(&[], &[("TWINFOLD_MQTT__TLS__BIND", "127.0.0.1:0"), ("TWINFOLD_MQTT__TLS__CERT", "/nowhere/cert.pem")]);
    assert!(said.contains("mqtt.tls"), "{said}");
}

#[test]
fn a_file_sets_what_the_environment_leaves_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twinfold.toml");
    fs::write(&file, "auth.admin_token = \"from-the-file-0123456789abcdef\"\n").unwrap();
    let server = Server::with(&[("CONFIG", file.to_str().unwrap())]);
    crate::support::Api::new(server.http, "from-the-file-0123456789abcdef").get("/twins").expect(200);
}

#[test]
fn the_ready_line_names_the_doors_that_are_open() {
    let server = Server::start();
    let words: Vec<&str> = server.ready.split_whitespace().collect();
    assert_eq!(words[0], "ready");
    assert_eq!(words[1], format!("http={}", server.http));
    assert_eq!(words[2], format!("mqtt={}", server.mqtt));
    let store = std::env::var("TWINFOLD_TEST_STORE").unwrap_or_else(|_| "embedded".into());
    assert!(words.contains(&format!("store={store}").as_str()), "{words:?}");
    assert!(server.http.port() != 0 && server.mqtt.port() != 0);
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let server = Server::start();
    let taken = server.http.to_string();
    let output = twinfold(&["serve", "--mqtt-bind", "127.0.0.1:0"], &[("TWINFOLD_HTTP__BIND", &taken)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&taken), "{said}");
}

#[test]
fn interrupt_stops_as_cleanly_as_terminate() {
    let server = Server::start();
    server.device("t");
    let (status, stopped) = server.stop_by("INT");
    assert!(status.success(), "{status}");
    assert_eq!(stopped.start().api().all("/twins").len(), 1);
}
