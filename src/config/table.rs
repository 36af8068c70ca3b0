//! The one table of settings. The manual's table (docs/OPERATIONS.md), the flags, the environment's names and
//! `twinfold settings` are all read off it; a test holds the manual to it.

use actors::Validation;

use super::{
    StoreKind,
    setting::{
        Kind::{self, *},
        Setting,
    },
    undefined_extensions,
};

const fn setting(key: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, kind, default, flag: None, meaning }
}

const fn with_flag(flag: &'static str, setting: Setting) -> Setting {
    Setting { flag: Some(flag), ..setting }
}

// A table is read by its rows: one setting, one line.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = &[
    with_flag("data-dir", setting("data_dir", Path(|c, v| c.data_dir = v), "./twinfold-data", "the embedded store and the generated secrets")),
    with_flag("log", setting("log", TextOrNone(|c, v| c.log = v), "info,actix_server=warn", "what is logged to standard error, as `info` or `warn,gateway=debug`")),

    with_flag("http-bind", setting("http.bind", Address(|c, v| c.http.bind = v), "127.0.0.1:8080", "where HTTP listens; port 0 picks a free one")),
    with_flag("http-tls-cert", setting("http.tls.cert", PathOrNone(|c, v| c.tls.http_cert = v), "none", "certificate chain (PEM): HTTPS instead of HTTP")),
    with_flag("http-tls-key", setting("http.tls.key", PathOrNone(|c, v| c.tls.http_key = v), "none", "its private key (PEM)")),
    setting("http.workers", Count(|c, v| fit(v, &mut c.http.workers)), "2", "threads that serve requests; twins live on those of MQTT"),
    setting("http.connections_max", Count(|c, v| fit(v, &mut c.http.connections_max)), "10000", "open connections; one more waits in the kernel's queue"),
    setting("http.head_timeout", Duration(|c, v| c.http.head_timeout = v), "10s", "a request's head must have arrived after this long"),
    setting("http.keep_alive", Duration(|c, v| c.http.keep_alive = v), "30s", "how long an idle connection is kept"),
    setting("http.body_max_bytes", Size(|c, v| fit(v, &mut c.http.body_max_bytes)), "1MiB", "largest body of a request"),
    setting("http.import_max_bytes", Size(|c, v| fit(v, &mut c.http.import_max_bytes)), "1GiB", "largest body of `POST /twins/import`"),
    setting("http.models_body_max_bytes", Size(|c, v| fit(v, &mut c.http.models_body_max_bytes)), "8MiB", "largest body of `PUT /models/{dtmi}`, which may be a whole ontology"),
    setting("http.body_timeout", Duration(|c, v| c.http.body_timeout = v), "30s", "a request's body must have arrived after this long"),
    setting("http.request_timeout", Duration(|c, v| c.http.request_timeout = v), "30s", "an answer that takes longer is a 503; a command's `wait` comes on top"),
    setting("http.wait_max", Duration(|c, v| c.http.wait_max = v), "1m", "the longest `wait` of a command"),
    setting("http.stop_max", Duration(|c, v| c.http.stop_max = v), "5s", "how long a stop lets requests finish"),
    setting("http.tree_nodes_max", Count(|c, v| fit(v, &mut c.http.tree_nodes_max)), "2000", "twins in one answer of `tree`"),
    setting("http.replays_max", Count(|c, v| fit(v, &mut c.http.replays_max)), "10000", "answers kept for `Idempotency-Key`; the oldest goes first"),
    setting("http.replay_for", Duration(|c, v| c.http.replay_for = v), "10m", "how long such an answer is kept"),
    setting("http.live_heartbeat", Duration(|c, v| c.http.live_heartbeat = v), "15s", "a live reader hears a comment when there was nothing else for this long"),
    setting("http.live_slow_max", Duration(|c, v| c.http.live_slow_max = v), "30s", "a live reader that takes nothing for this long is let go"),
    setting("http.live_snapshot_twins_max", Count(|c, v| fit(v, &mut c.http.live_snapshot_twins_max)), "10000", "twins in one snapshot of the live stream"),

    with_flag("mqtt-bind", setting("mqtt.bind", AddressOrNone(|c, v| c.mqtt.bind = v), "127.0.0.1:1883", "where MQTT listens; port 0 picks a free one")),
    with_flag("mqtt-tls-bind", setting("mqtt.tls.bind", AddressOrNone(|c, v| c.tls.mqtt_bind = v), "none", "where MQTT over TLS listens")),
    with_flag("mqtt-tls-cert", setting("mqtt.tls.cert", PathOrNone(|c, v| c.tls.mqtt_cert = v), "none", "its certificate chain (PEM)")),
    with_flag("mqtt-tls-key", setting("mqtt.tls.key", PathOrNone(|c, v| c.tls.mqtt_key = v), "none", "its private key (PEM)")),
    with_flag("mqtt-tls-client-ca", setting("mqtt.tls.client_ca", PathOrNone(|c, v| c.tls.mqtt_client_ca = v), "none", "authorities (PEM) of devices that connect with X.509 certificates")),
    setting("mqtt.tls.client_crl", PathOrNone(|c, v| c.tls.mqtt_client_crl = v), "none", "certificates (PEM) that these authorities have revoked; read again when the file changes"),
    with_flag("mqtt-websocket-bind", setting("mqtt.websocket_bind", AddressOrNone(|c, v| c.mqtt.websocket_bind = v), "none", "where MQTT over WebSocket listens, at the path `/mqtt`")),
    setting("mqtt.workers", CountOrAuto(|c, v| fit(v, &mut c.mqtt.workers)), "auto", "threads that serve devices and where their twins live; `auto`: one a core"),
    setting("mqtt.connections_max", Count(|c, v| fit(v, &mut c.mqtt.connections_max)), "100000", "beyond it a CONNECT is refused"),
    setting("mqtt.connects_per_second", Count(|c, v| fit(v, &mut c.mqtt.connects_per_second)), "20000", "CONNECTs of all devices, and at once; beyond it they are refused"),
    setting("mqtt.device_connects_per_minute", Count(|c, v| fit(v, &mut c.mqtt.device_connects_per_minute)), "600", "connections of one device, and at once; beyond it they are refused"),
    setting("mqtt.device_messages_per_second", CountOrNone(|c, v| fit(v, &mut c.mqtt.device_messages_per_second)), "100000", "packets of one connection, and at once; beyond it nothing is read of it for a while"),
    setting("mqtt.device_bytes_per_second", SizeOrNone(|c, v| fit(v, &mut c.mqtt.device_bytes_per_second)), "64MiB", "the same for bytes of packets"),
    setting("mqtt.messages_per_second", CountOrNone(|c, v| fit(v, &mut c.mqtt.messages_per_second)), "none", "packets of all connections together; beyond it nothing is read of anybody for a while"),
    setting("mqtt.bytes_per_second", SizeOrNone(|c, v| fit(v, &mut c.mqtt.bytes_per_second)), "none", "the same for bytes of packets"),
    setting("mqtt.packet_max_bytes", Size(|c, v| fit(v, &mut c.mqtt.packet_max_bytes)), "256KiB", "largest packet taken; at least 1 KiB"),
    setting("mqtt.receive_max", Count(|c, v| fit(v, &mut c.mqtt.receive_max)), "64", "messages of one connection on their way to twins; at least 16"),
    setting("mqtt.send_max", Count(|c, v| fit(v, &mut c.mqtt.send_max)), "16", "messages sent to a device and not yet acknowledged"),
    setting("mqtt.handshake_timeout", Duration(|c, v| c.mqtt.handshake_timeout = v), "5s", "for TLS, for the WebSocket upgrade, for the CONNECT to come and to be decided"),
    setting("mqtt.keep_alive_max", Duration(|c, v| c.mqtt.keep_alive_max = v), "1h", "an MQTT 5 client that asks for longer is given this"),
    setting("mqtt.session_expiry_max", Duration(|c, v| c.mqtt.session_expiry_max = v), "7d", "how long a session outlives its connection at most"),
    setting("mqtt.topic_alias_max", Count(|c, v| fit(v, &mut c.mqtt.topic_alias_max)), "32", "topic aliases of one connection"),
    setting("mqtt.downlink_queue_max", Count(|c, v| fit(v, &mut c.mqtt.downlink_queue_max)), "32", "messages waiting for one device to read; beyond it they wait in their twins"),
    setting("mqtt.write_timeout", Duration(|c, v| c.mqtt.write_timeout = v), "30s", "how long a device may leave what was sent to it unread"),

    with_flag("store", setting("store", Parsed { what: "embedded or scylla", set: |c, v| StoreKind::parse(v).map(|kind| c.store = kind) }, "embedded", "where twins are kept: in `data_dir`, or in a ScyllaDB or Cassandra cluster")),
    with_flag("scylla-nodes", setting("scylla.nodes", Parsed { what: "text", set: |c, v| c.scylla.set_nodes(v) }, "127.0.0.1:9042", "CQL contact points of a ScyllaDB or Cassandra cluster, `host:port` joined by commas")),
    with_flag("scylla-keyspace", setting("scylla.keyspace", Parsed { what: "text", set: |c, v| c.scylla.set_keyspace(v) }, "twinfold", "keyspace; created when missing")),
    with_flag("scylla-username", setting("scylla.username", TextOrNone(|c, v| c.scylla.username = v), "none", "CQL user")),
    with_flag("scylla-password", setting("scylla.password", SecretOrNone(|c, v| c.scylla.password = v), "none", "CQL password")),
    with_flag("scylla-tls-ca", setting("scylla.tls.ca", PathOrNone(|c, v| c.scylla.tls_ca = v), "none", "authorities (PEM) of the nodes' certificates: TLS to the cluster")),
    with_flag("scylla-tls-cert", setting("scylla.tls.cert", PathOrNone(|c, v| c.scylla.tls_cert = v), "none", "certificate chain (PEM) shown to the nodes")),
    with_flag("scylla-tls-key", setting("scylla.tls.key", PathOrNone(|c, v| c.scylla.tls_key = v), "none", "its private key (PEM)")),
    setting("scylla.tls.name", TextOrNone(|c, v| c.scylla.tls_name = v), "none", "what the certificate of every node is for; `none`: the address of the node"),
    with_flag("scylla-replication", setting("scylla.replication", Parsed { what: "text or none", set: |c, v| c.scylla.set_replication(v) }, "none", "copies of each row in a keyspace that is created, as `3` or `dc1:3,dc2:3`; `none`: three, or as many as there are nodes")),
    setting("scylla.logs", Count(|c, v| c.scylla.set_logs(v)), "16", "logs of the journal in a keyspace that is created, for ever; a commit costs a lightweight transaction for each log it touches"),
    setting("scylla.patience", Duration(|c, v| c.scylla.options.append_patience = v), "60s", "how long a commit waits for a cluster in trouble before the devices hear of it"),
    setting("scylla.queue_max_bytes", Size(|c, v| fit(v, &mut c.scylla.options.queue_bytes_max)), "32MiB", "turns that wait for a commit; beyond it devices wait"),
    setting("scylla.backlog_memory_max_bytes", Size(|c, v| fit(v, &mut c.scylla.options.backlog_memory_bytes_max)), "64MiB", "journal not yet projected that stays in memory; what is older is read from the cluster again when it is needed"),
    setting("scylla.segment_frames_max", Count(|c, v| fit(v, &mut c.scylla.options.segment_frames_max)), "4096", "frames after which a log goes on in a new segment, one partition each"),
    setting("scylla.segment_max_bytes", Size(|c, v| fit(v, &mut c.scylla.options.segment_bytes_max)), "64MiB", "bytes of turns after which it does"),
    setting("scylla.in_flight_max", Count(|c, v| fit(v, &mut c.scylla.options.in_flight_max)), "128", "reads under way at once, and as many writes; those of the journal not counted"),
    with_flag("redis-url", setting("redis.url", SecretOrNone(|c, v| c.redis_url = v), "none", "routes between nodes when several run")),
    with_flag("auth-admin-token", setting("auth.admin_token", SecretOrNone(|c, v| c.admin_token = v), "none", "the first administrator's key; `none`: generated into `data_dir/admin-token`, mode 0600")),

    setting("auth.session_lifetime", Duration(|c, v| c.twins.session_lifetime = v), "12h", "a browser's session ends after this long; with its key it ends sooner"),
    setting("auth.oidc.issuer", TextOrNone(|c, v| c.oidc.issuer = v), "none", "the identity provider whose signed tokens (JWT) are believed, as it stands in `iss`"),
    setting("auth.oidc.audience", TextOrNone(|c, v| c.oidc.audience = v), "none", "what `aud` of such a token must name"),
    setting("auth.oidc.jwks_url", TextOrNone(|c, v| c.oidc.jwks_url = v), "none", "where the provider's keys are; `none`: found by its discovery document"),
    setting("auth.oidc.roles_claim", TextOrNone(|c, v| c.oidc.roles_claim = v), "none", "the claim whose words are roles (`viewer`, `operator@site-1`), such as `realm_access.roles`; `none`: what its people may is granted here"),

    setting("quotas.requests_per_principal", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.requests.per_principal = rate) }, "50000", "requests of one principal in a second; beyond it 429"),
    setting("quotas.requests", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.requests.whole = rate) }, "200000", "requests of all principals in a second; beyond it 429"),
    setting("quotas.commands_per_principal", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.commands.per_principal = rate) }, "5000", "commands of one principal in a second; beyond it 429"),
    setting("quotas.commands", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.commands.whole = rate) }, "20000", "commands of all principals in a second; beyond it 429"),
    setting("quotas.registrations_per_principal", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.registrations.per_principal = rate) }, "5000", "registrations of one principal in a second; beyond it 429"),
    setting("quotas.registrations", Parsed { what: "count or none", set: |c, v| rate(v).map(|rate| c.twins.quotas.registrations.whole = rate) }, "20000", "registrations of all principals in a second; beyond it 429"),

    setting("twins.memory_max_bytes", Size(|c, v| fit(v, &mut c.twins.memory_max_bytes)), "2GiB", "beyond it the twins idle longest leave memory first"),
    setting("twins.idle_after", Duration(|c, v| c.twins.idle_after = v), "10m", "a twin without connection and work leaves memory after this long"),
    setting("twins.mailbox_max", Count(|c, v| fit(v, &mut c.twins.mailbox_max)), "1024", "messages that wait for one twin while it is read back; one more is refused"),
    setting("twins.dedupe_records_max", Count(|c, v| fit(v, &mut c.twins.dedupe_records_max)), "1024", "record ids remembered, a twin"),
    setting("twins.turn_budget", Duration(|c, v| c.twins.turn_budget = v), "50ms", "a behaviour's turn that takes longer is counted and logged; one that is to blame for it restarts its twin, again and again it quarantines it"),
    setting("rollup.tick", Duration(|c, v| c.twins.rollup_tick = v), "100ms", "a twin passes its figures to its parent at most once in this time"),
    setting("rollup.stale_after", Duration(|c, v| c.twins.stale_after = v), "15m", "a device silent for longer is stale and its values are left out of roll-ups"),
    setting("models.validation", Parsed { what: "off, warn or strict", set: |c, v| Validation::parse(v).map(|how| c.twins.validation = how) }, "warn", "what becomes of a message or a call that does not fit its twin's model: `warn` counts it and takes it, `strict` refuses it"),
    setting("models.undefined_extensions", Parsed { what: "refuse or allow", set: |c, v| undefined_extensions(v).map(|how| c.twins.undefined_extensions = how) }, "refuse", "whether a model may name extensions of its language that are not known here"),
    setting("journal.commit_spacing", DurationOrNone(|c, v| c.embedded.commit_spacing = v.unwrap_or_default()), "none", "a commit does not begin sooner than this after the one before, so that more messages share its sync; an idle server commits at once; `none` keeps no distance"),
    setting("journal.flush_interval", Duration(|c, v| c.twins.flush_interval = v), "2s", "how often projections are written behind the journal"),
    setting("journal.backlog_max_bytes", Size(|c, v| fit(v, &mut c.twins.backlog_max_bytes)), "64MiB", "journal not yet projected; beyond it a flush starts at once"),
    setting("journal.max_bytes", Size(|c, v| fit(v, &mut c.twins.journal_max_bytes)), "1GiB", "journal not yet projected; beyond it devices wait until flushes have caught up"),
    setting("history.retention", DurationOrNone(|c, v| c.twins.history_retention = v), "none", "history received longer ago is forgotten; `none` keeps it for ever"),
    setting("live.replay_events_max", Count(|c, v| fit(v, &mut c.twins.live_replay_events_max)), "65536", "live events kept for readers that come back"),
    setting("live.queue_events_max", Count(|c, v| fit(v, &mut c.twins.live_queue_events_max)), "4096", "live events waiting for one slow reader; beyond it the reader starts again from a snapshot"),
    setting("live.readers_max", Count(|c, v| fit(v, &mut c.twins.live_readers_max)), "1000", "readers of the live stream at once"),
    setting("commands.waiters_max", Count(|c, v| fit(v, &mut c.twins.command_waiters_max)), "64", "callers waiting on one twin's commands"),
    setting("rules.late_max", Duration(|c, v| c.twins.rules_late_max = v), "5m", "a record older than the newest of its twin by more than this joins no window of a rule"),
    setting("webhooks.allow_private", Parsed { what: "true or false", set: |c, v| flag(v).map(|allow| c.twins.webhooks_allow_private = allow) }, "false", "whether rules may call addresses of loopback, private and link-local networks"),
    setting("webhooks.timeout", Duration(|c, v| c.twins.webhooks_timeout = v), "10s", "for one call of a webhook, from the look-up of its name to the head of the answer"),
    setting("webhooks.patience", Duration(|c, v| c.twins.webhooks_patience = v), "1d", "a call of a webhook that has failed for this long is given up"),
    setting("webhooks.waiting_max", Count(|c, v| fit(v, &mut c.twins.webhooks_waiting_max)), "10000", "calls of webhooks that wait; beyond it new ones are refused and counted"),
    setting("supervision.restarts_max", Count(|c, v| fit(v, &mut c.twins.restart.restarts_max)), "5", "restarts of a twin allowed within the window; one more quarantines it"),
    setting("supervision.window", Duration(|c, v| c.twins.restart.window = v), "1m", "the window in which restarts are counted"),
    setting("supervision.backoff", Duration(|c, v| c.twins.restart.backoff = v), "10ms", "pause before the first restart; doubled for each that follows"),
    setting("supervision.backoff_max", Duration(|c, v| c.twins.restart.backoff_max = v), "5s", "longest pause before a restart"),
];

/// A second's worth, or no bound.
fn rate(text: &str) -> Result<Option<std::num::NonZeroU32>, String> {
    if text.is_empty() || text == super::NONE {
        return Ok(None);
    }
    let count = super::value::count(text)?;
    let rate = u32::try_from(count).ok().and_then(std::num::NonZeroU32::new);
    rate.map(Some).ok_or_else(|| format!("{text:?} is not a count from 1 to {}, or none", u32::MAX))
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

/// Fills a field that may be narrower than what can be written.
fn fit<T: TryFrom<u64>>(value: u64, field: &mut T) -> Result<(), String> {
    *field = T::try_from(value).map_err(|_| format!("{value} is too large"))?;
    Ok(())
}
