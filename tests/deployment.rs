//! What is shipped beside the program, held against the program: the settings that `compose.yaml` and `Dockerfile` name exist and are
//! taken, and the doors they open are those that the server listens on.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use yaml_rust2::{Yaml, YamlLoader};

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The one document of `compose.yaml`.
fn compose() -> Yaml {
    let mut documents = YamlLoader::load_from_str(&text("compose.yaml")).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Variables of the image, then those of the service over them.
fn environment(compose: &Yaml) -> BTreeMap<String, String> {
    let dockerfile = text("Dockerfile");
    let of_image = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let mut all: BTreeMap<_, _> = of_image.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in compose["services"]["twinfold"]["environment"].as_hash().unwrap() {
        all.insert(name.as_str().unwrap().to_owned(), value.as_str().expect("a value is quoted when it is no text").to_owned());
    }
    all
}

#[test]
fn the_program_takes_every_setting_of_the_composition() {
    let environment = environment(&compose());
    let settings = |environment: &BTreeMap<String, String>| {
        Command::new(env!("CARGO_BIN_EXE_twinfold")).arg("settings").env_clear().envs(environment).output().unwrap()
    };
    let output = settings(&environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    for name in environment.keys() {
        assert!(shown.contains(name.as_str()), "{name} does not reach a setting:\n{shown}");
    }
    // A setting that does not exist is found.
    let mut wrong = environment;
    wrong.insert("TWINFOLD_SCYLLA__NODE".into(), "scylla".into());
    assert!(!settings(&wrong).status.success());
}

#[test]
fn the_composition_opens_the_doors_that_the_server_listens_on() {
    let (compose, dockerfile) = (compose(), text("Dockerfile"));
    let environment = environment(&compose);
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let ports = texts(&compose["services"]["twinfold"]["ports"]);
    for setting in ["TWINFOLD_HTTP__BIND", "TWINFOLD_MQTT__BIND"] {
        let (host, port) = environment[setting].rsplit_once(':').unwrap();
        assert_eq!(host, "0.0.0.0", "{setting}: nobody reaches the loopback interface of a container");
        assert!(exposed.split(' ').any(|exposed| exposed == port), "EXPOSE {port}");
        assert!(ports.iter().any(|mapped| mapped.rsplit(':').next() == Some(port)), "a port for {setting}");
    }
    assert!(ports.iter().all(|mapped| mapped.starts_with("127.0.0.1:")), "to this machine alone: nothing is encrypted");
}

#[test]
fn every_service_and_volume_that_is_named_is_there() {
    let compose = compose();
    let services = compose["services"].as_hash().unwrap();
    let is_service = |name: &str| services.contains_key(&Yaml::String(name.into()));
    let is_volume = |name: &str| compose["volumes"].as_hash().unwrap().contains_key(&Yaml::String(name.into()));
    for (name, service) in services {
        for (needed, how) in service["depends_on"].as_hash().into_iter().flatten() {
            let needed = needed.as_str().unwrap();
            assert!(is_service(needed), "{name:?} needs {needed}");
            let tells_its_health = !compose["services"][needed]["healthcheck"].is_badvalue();
            assert!(how["condition"].as_str() == Some("service_healthy") && tells_its_health, "{name:?} waits for {needed}");
        }
        for volume in service["volumes"].as_vec().into_iter().flatten() {
            let (volume, at) = volume.as_str().unwrap().split_once(':').unwrap();
            assert!(is_volume(volume) && at.starts_with('/'), "{name:?} keeps {volume} at {at}");
        }
    }
    let environment = environment(&compose);
    let kept = texts(&compose["services"]["twinfold"]["volumes"])[0].split_once(':').unwrap().1;
    assert!(environment["TWINFOLD_DATA_DIR"].starts_with(kept), "secrets outlive the container");
    for address in [&environment["TWINFOLD_SCYLLA__NODES"], environment["TWINFOLD_REDIS__URL"].trim_start_matches("redis://")] {
        assert!(is_service(address.split_once(':').unwrap().0), "{address}");
    }
}
