//! The bounds in force, as metrics, and the operating system's own: open files.
//!
//! Debian starts a program with 1,024 open files, which is fewer than the devices this one takes by default. The soft bound
//! is raised to the hard one; when even that is too small it is said at the start, by name, and not by refused connections.

use crate::config::{Config, StoreKind};

/// Files that the store, its readers and the runtime keep open beside the sockets.
const FILES_BESIDE_SOCKETS: u64 = 128;

/// Raises the bound on open files as far as it goes; says so when the settings ask for more.
pub fn raise_open_files(config: &Config) {
    let available = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the bound on open files cannot be raised");
        rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |(soft, _)| soft)
    });
    metrics::gauge!("twinfold_limit", "name" => "open_files").set(available as f64);
    let wanted = config.mqtt.connections_max as u64 + config.http.connections_max as u64 + FILES_BESIDE_SOCKETS;
    if available < wanted {
        tracing::warn!(
            available,
            wanted,
            "fewer open files are allowed than mqtt.connections_max and http.connections_max may need; raise LimitNOFILE or `ulimit -Hn`"
        );
    }
}

/// Every bound that a queue or a count can reach, so that a graph can show how near it is.
pub fn publish(config: &Config) {
    metrics::describe_gauge!("twinfold_limit", "the bounds in force, by the name of their setting");
    let twins = &config.twins;
    let limits = [
        ("mqtt.connections_max", config.mqtt.connections_max as f64),
        ("mqtt.connects_per_second", config.mqtt.connects_per_second as f64),
        ("mqtt.device_connects_per_minute", f64::from(config.mqtt.device_connects_per_minute)),
        ("mqtt.device_messages_per_second", config.mqtt.device_messages_per_second as f64),
        ("mqtt.device_bytes_per_second", config.mqtt.device_bytes_per_second as f64),
        ("mqtt.messages_per_second", config.mqtt.messages_per_second as f64),
        ("mqtt.bytes_per_second", config.mqtt.bytes_per_second as f64),
        ("http.connections_max", config.http.connections_max as f64),
        ("twins.memory_max_bytes", twins.memory_max_bytes as f64),
        ("twins.mailbox_max", twins.mailbox_max as f64),
        ("twins.dedupe_records_max", twins.dedupe_records_max as f64),
        ("journal.backlog_max_bytes", twins.backlog_max_bytes as f64),
        ("journal.max_bytes", twins.journal_max_bytes as f64),
        ("live.replay_events_max", twins.live_replay_events_max as f64),
        ("live.queue_events_max", twins.live_queue_events_max as f64),
        ("live.readers_max", twins.live_readers_max as f64),
        ("commands.waiters_max", twins.command_waiters_max as f64),
        ("webhooks.waiting_max", twins.webhooks_waiting_max as f64),
    ];
    let scylla = &config.scylla.options;
    let of_the_cluster = [
        ("scylla.queue_max_bytes", scylla.queue_bytes_max as f64),
        ("scylla.backlog_memory_max_bytes", scylla.backlog_memory_bytes_max as f64),
        ("scylla.segment_frames_max", scylla.segment_frames_max as f64),
        ("scylla.segment_max_bytes", scylla.segment_bytes_max as f64),
        ("scylla.in_flight_max", scylla.in_flight_max as f64),
        ("scylla.patience", scylla.append_patience.as_secs_f64()),
    ];
    let of_the_store = if config.store == StoreKind::Scylla { &of_the_cluster[..] } else { &[] };
    for (name, value) in limits.iter().chain(of_the_store).copied() {
        metrics::gauge!("twinfold_limit", "name" => name).set(value);
    }
}
