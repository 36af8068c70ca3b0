//! A disk that is full: refusals with clear errors, nothing lost, and work that goes on by itself once there is room.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::support::{Connect, Server, json, mqtt::Publish, skip, until};

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
    let refused = server.api().post("/twins/t/commands", json!({"name": "open", "payload": "x".repeat(60_000), "ttl": 60}));
    if refused.status != 202 {
        let problem = refused.problem(503);
        assert!(problem["type"].as_str().unwrap().contains("store-full"), "{problem}");
        assert!(refused.header("retry-after").is_some());
    }
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
