//! A disk that is full: refusals with clear errors, nothing lost, and work that goes on by itself once there is room.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::support::{Connect, Server, api::Answer, json, mqtt::Publish, skip, until};

/// A small file system of its own, gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "twinfold-test"]).arg(at).output().ok()?;
        output.status.success().then(|| Self(at.to_owned()))
    }

    /// Takes all the room there is, but for about `left` bytes.
    fn fill(&self, left: u64) {
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().unwrap();
        let free: u64 = String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap();
        fs::write(self.ballast(), vec![1; usize::try_from(free.saturating_sub(left)).unwrap()]).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Record n, large enough to fill a disk.
fn record(n: u64) -> String {
    json!({"at": 1_767_225_600_000u64 + n, "id": format!("r{n}"), "values": {"n": n, "text": format!("{n:>4000}")}}).to_string()
}

/// Writes over HTTP until one is refused, as a full store refuses, and returns which: 0 for the first.
#[track_caller]
fn refused(mut write: impl FnMut(u64) -> Answer) -> u64 {
    let (n, answer) = (0..500).map(|n| (n, write(n))).find(|(_, answer)| answer.status >= 300).expect("the disk never filled for HTTP");
    let problem = answer.problem(503);
    assert!(problem["type"].as_str().unwrap().ends_with("store-full"), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("nothing was changed"), "{problem}");
    assert_eq!(answer.header("retry-after"), Some("5"), "{problem}");
    n
}

#[test]
fn a_full_disk_refuses_clearly_loses_nothing_and_resumes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("data"), 64) else {
        return skip("full_disk", "this user may not mount a tmpfs");
    };
    let server = Server::in_folder(folder.path(), &[]);
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", record(0));
    disk.fill(2 << 20);

    let mut acknowledged = vec![0];
    let mut next = 1;
    let (reason, text) = loop {
        let (reason, text) = device.publish("devices/t/telemetry", record(next));
        if reason != 0 {
            break (reason, text);
        }
        acknowledged.push(next);
        next += 1;
        assert!(next < 100_000, "the disk never filled");
    };
    assert_eq!(reason, 0x97, "{text}");
    assert!(text.contains("full"), "{text}");

    // Still full: writes are refused, reads and the session live.
    // What fits into the last pages is still taken, so each kind of write goes on until it is refused.
    let api = server.api();
    let refused_desired = refused(|n| api.patch("/twins/t", json!({"desired": {"text": format!("{n:>30000}")}})));
    let desired = api.twin("t")["desired"]["text"].as_str().map(|text| text.trim().parse::<u64>().unwrap());
    assert_eq!(desired, refused_desired.checked_sub(1), "what was taken last is there, and what was refused is not");
    let register = |n| json!({"id": format!("u{n}"), "model": "Device", "metadata": {"text": "x".repeat(30_000)}});
    let refused_twin = refused(|n| api.post("/twins", register(n)));
    api.get(&format!("/twins/u{refused_twin}")).problem(404);
    let open = json!({"name": "open", "payload": "x".repeat(60_000), "ttl": 600});
    let taken = refused(|_| api.post("/twins/t/commands", open.clone()));
    assert_eq!(api.all("/twins/t/commands").len() as u64, taken, "commands that were refused are not there");
    assert_eq!(server.api().twin("t")["id"], "t");
    device.ping();
    // QoS 0 has nobody to tell; it must not end the session either.
    device.send(Publish::new("devices/t/telemetry", 0, record(next)));
    device.ping();

    disk.make_room();
    until("it takes records again, without a restart", || device.publish("devices/t/telemetry", record(next)).0 == 0);
    acknowledged.push(next);
    let there = |server: &Server| -> Vec<u64> {
        server.api().all("/twins/t/history?name=n&limit=1000").iter().map(|i| i["value"].as_u64().unwrap()).collect()
    };
    assert_eq!(there(&server), acknowledged);
    let server = server.restart_after_kill_9();
    assert_eq!(there(&server), acknowledged, "after a crash too");
    drop(server);
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("data"), 64) else {
        return skip("crash_on_a_full_disk", "this user may not mount a tmpfs");
    };
    let server = Server::in_folder(folder.path(), &[]);
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", record(0));
    disk.fill(1 << 20);
    let mut next = 1;
    while device.publish("devices/t/telemetry", record(next)).0 == 0 {
        next += 1;
    }
    let stopped = server.kill_9();
    disk.make_room();
    let server = stopped.start();
    let values: Vec<u64> = server.api().all("/twins/t/history?name=n&limit=1000").iter().map(|i| i["value"].as_u64().unwrap()).collect();
    assert_eq!(values, (0..next).collect::<Vec<_>>());
    drop(server);
}
