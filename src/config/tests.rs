//! Facts about the settings as a whole.

use std::{collections::HashSet, time::Duration};

use super::*;

fn layers(file: Option<&str>, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> (Layers, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("twinfold.toml");
    let file = file.map(|text| {
        std::fs::write(&path, text).unwrap();
        path
    });
    let environment = env.iter().map(|(n, v)| ((*n).to_owned(), v.into())).collect();
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    (Layers { file, environment, flags }, dir)
}

fn load(file: Option<&str>, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<(Config, Vec<InForce>), ConfigError> {
    let (layers, _dir) = layers(file, env, flags);
    layers.load()
}

fn in_force(all: &[InForce], key: &str) -> InForce {
    all.iter().find(|v| v.setting.key == key).unwrap().clone()
}

/// A value other than the default that the setting takes together with all the others' defaults.
fn another_value(setting: &Setting) -> &'static str {
    use super::setting::Kind::*;
    match setting.kind {
        Address(_) | AddressOrNone(_) => "127.0.0.1:4242",
        Path(_) | PathOrNone(_) => "/tmp/elsewhere",
        Duration(_) | DurationOrNone(_) => "77s",
        Size(_) | SizeOrNone(_) => "77KiB",
        Count(_) | CountOrAuto(_) | CountOrNone(_) => "77",
        TextOrNone(_) | SecretOrNone(_) => "something else entirely",
        Parsed { what: "text or none", .. } => "2",
        Parsed { what: "count or none", .. } => "77",
        Parsed { what: "off, warn or strict", .. } => "strict",
        Parsed { what: "refuse or allow", .. } => "allow",
        Parsed { what: "true or false", .. } => "true",
        Parsed { .. } => "embedded",
    }
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let key = "http.bind";
    let file = Some("http.bind = \"127.0.0.1:1\"");
    let env = [("TWINFOLD_HTTP__BIND", "127.0.0.1:2")];
    let flags = [(key, "127.0.0.1:3")];
    let port = |file, env: &[_], flags: &[_]| load(file, env, flags).unwrap().0.http.bind.port();
    assert_eq!(port(None, &[], &[]), 8080);
    assert_eq!(port(file, &[], &[]), 1);
    assert_eq!(port(file, &env, &[]), 2);
    assert_eq!(port(file, &env, &flags), 3);
    let (_, all) = load(file, &env, &flags).unwrap();
    assert_eq!(in_force(&all, key).source, Source::Flag("http-bind".into()));
}

#[test]
fn every_setting_can_be_given_in_each_of_its_places() {
    for setting in SETTINGS {
        let value = another_value(setting);
        let env_name = setting.env();
        let from_file = format!("{} = {value:?}", setting.key);
        for (file, env, flags) in [
            (Some(from_file.as_str()), vec![], vec![]),
            (None, vec![(env_name.as_str(), value)], vec![]),
            (None, vec![], vec![(setting.key, value)]),
        ] {
            let (layers, _dir) = layers(file, &env, &flags);
            match layers.load() {
                Ok((_, all)) => {
                    let found = in_force(&all, setting.key);
                    assert_eq!(found.text, value, "{}", setting.key);
                    assert_ne!(found.source, Source::Default, "{}", setting.key);
                }
                // Half of a pair, such as a certificate without its key, arrives and is then refused as such.
                Err(ConfigError::Conflict(text)) => assert!(text.contains(setting.key), "{text}"),
                Err(other) => panic!("{}: {other}", setting.key),
            }
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let error = load(Some("\n[http]\nbnid = \"127.0.0.1:1\""), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("unknown setting http.bnid") && error.contains("line 3") && error.ends_with("http.bind"), "{error}");
    let error = load(None, &[("TWINFOLD_HTTP_BIND", "x")], &[]).unwrap_err().to_string();
    assert!(error.contains("TWINFOLD_HTTP_BIND") && error.ends_with("TWINFOLD_HTTP__BIND"), "{error}");
}

#[test]
fn what_the_client_commands_read_is_no_unknown_setting() {
    for name in OTHER_ENV {
        assert!(load(None, &[(name, "x")], &[]).is_ok(), "{name}");
    }
}

#[test]
fn a_value_that_does_not_fit_names_its_setting_and_its_place() {
    let error = load(Some("rollup.tick = 5"), &[], &[]).unwrap_err().to_string();
    assert!(error.starts_with("rollup.tick (") && error.contains("line 1") && error.contains("\"5\" is not a duration"), "{error}");
}

#[test]
fn what_is_said_about_the_cluster_reaches_the_store() {
    let env = [
        ("TWINFOLD_STORE", "scylla"),
        ("TWINFOLD_SCYLLA__NODES", "a:9042, b"),
        ("TWINFOLD_SCYLLA__USERNAME", "u"),
        ("TWINFOLD_SCYLLA__PASSWORD", "p"),
        ("TWINFOLD_SCYLLA__REPLICATION", "dc1:3"),
        ("TWINFOLD_HISTORY__RETENTION", "30d"),
    ];
    let (config, _) = load(None, &env, &[]).unwrap();
    let options = config.scylla.options;
    assert_eq!(config.store, StoreKind::Scylla);
    assert_eq!((options.nodes, options.credentials), (vec!["a:9042".into(), "b".into()], Some(("u".into(), "p".into()))));
    assert_eq!(options.replication, persistence_scylla::Replication::DataCentres(vec![("dc1".into(), 3)]));
    assert_eq!(options.history_ttl, Some(std::time::Duration::from_secs(30 * 24 * 3_600)));
}

#[test]
fn what_a_cluster_cannot_have_is_refused() {
    for (name, value, why) in [
        ("TWINFOLD_SCYLLA__NODES", " , ", "names no node"),
        ("TWINFOLD_SCYLLA__KEYSPACE", "a-b", "not a keyspace name"),
        ("TWINFOLD_SCYLLA__REPLICATION", "0", "not a replication"),
        ("TWINFOLD_SCYLLA__LOGS", "257", "1 to 256"),
        ("TWINFOLD_SCYLLA__USERNAME", "u", "scylla.password is not"),
        ("TWINFOLD_SCYLLA__TLS__CERT", "c", "scylla.tls.key is not"),
        ("TWINFOLD_SCYLLA__TLS__NAME", "n", "scylla.tls.ca is not"),
    ] {
        let error = load(None, &[(name, value)], &[]).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_count_beyond_its_field_is_refused() {
    let error = load(None, &[("TWINFOLD_MQTT__SEND_MAX", "70000")], &[]).unwrap_err().to_string();
    assert!(error.starts_with("mqtt.send_max (") && error.contains("70000 is too large"), "{error}");
}

#[test]
fn tls_files_reach_their_listeners() {
    let env = [
        ("TWINFOLD_MQTT__TLS__BIND", "[::]:8883"),
        ("TWINFOLD_MQTT__TLS__CERT", "c"),
        ("TWINFOLD_MQTT__TLS__KEY", "k"),
        ("TWINFOLD_HTTP__TLS__CERT", "hc"),
        ("TWINFOLD_HTTP__TLS__KEY", "hk"),
    ];
    let (config, _) = load(None, &env, &[]).unwrap();
    assert_eq!(config.mqtt.tls.unwrap().bind.port(), 8883);
    assert_eq!(config.http.tls.unwrap().key, PathBuf::from("hk"));
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let error = load(Some("http.tls.cert = \"a.pem\""), &[], &[]).unwrap_err().to_string();
    assert_eq!(error, "http.tls.cert is set, but http.tls.key is not");
}

#[test]
fn secrets_are_never_printed() {
    let (config, all) = load(None, &[("TWINFOLD_AUTH__ADMIN_TOKEN", "correct horse battery")], &[]).unwrap();
    assert!(!print(&all).contains("horse") && !format!("{config:?}").contains("horse"));
    assert!(print(&all).contains("environment TWINFOLD_AUTH__ADMIN_TOKEN"));
}

#[test]
fn the_tables_defaults_are_those_of_the_parts() {
    let table = Config::default();
    assert_eq!(format!("{:?}", table.twins), format!("{:?}", actors::Settings::default()));
    assert_eq!(format!("{:?}", table.http), format!("{:?}", api::Settings::default()));
    assert_eq!(format!("{:?}", table.mqtt), format!("{:?}", gateway::Settings::default()));
    assert_eq!(table.twins.idle_after, Duration::from_secs(600));
}

#[test]
fn every_default_parses_and_every_name_is_unique() {
    let mut names = HashSet::new();
    for setting in SETTINGS {
        setting.apply(&mut Config::blank(), setting.default).unwrap_or_else(|e| panic!("{}: {e}", setting.key));
        assert!(names.insert(setting.key), "{} twice", setting.key);
        if let Some(flag) = setting.flag {
            assert_eq!(flag, setting.key.replace(['.', '_'], "-"), "a flag is named as its key");
        }
    }
}

#[test]
fn no_key_is_also_a_table_of_others() {
    for a in SETTINGS {
        for b in SETTINGS {
            assert!(!b.key.starts_with(&format!("{}.", a.key)), "TOML cannot hold both {} and {}", a.key, b.key);
        }
    }
}

#[test]
fn the_manual_lists_exactly_these_settings() {
    let manual = include_str!("../../docs/OPERATIONS.md");
    let table = manual_table();
    assert!(manual.contains(&table), "docs/OPERATIONS.md should hold exactly this table:\n{table}");
}
