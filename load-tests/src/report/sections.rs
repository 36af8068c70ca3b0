//! What a reader must know about each scenario to read its table.

/// In the order in which they stand in the report: name, and what is measured. One that is not listed comes last, without a word.
const SECTIONS: [(&str, &str); 17] = [
    (
        "ingest",
        "Every device keeps its window of messages full; one base line, and one thing changed at a time. Twinfold acknowledges QoS 1 and 2\n\
         when a record is durable, one sync for a group of messages. Mosquitto, rumqttd and NATS keep nothing here, as nobody subscribes and\n\
         all sessions are clean: they parse, route to nobody, and acknowledge. Mosquitto runs as it is installed, which lets answers wait for\n\
         the TCP of an earlier one, and again with `set_tcp_nodelay` (`nodelay`), which answers at once, as we do. Bare ntex-mqtt does not even route. `settled` counts what is\n\
         written behind the acknowledgements too. Latencies are those of a saturated, closed loop. Read and write calls are those of the\n\
         read and write families: a server that uses recv and send shows only its files there; system calls are counted whole.",
    ),
    (
        "latency",
        "Messages leave on a schedule, at a share of what that peer takes of messages one by one, and latency counts from the intended time of sending:\n\
         a server that stalls is not let off. Above 100 % the queue grows for as long as the load lasts. `lag` is how late the generator\n\
         itself was.",
    ),
    (
        "live",
        "From the intended time of publishing to the value at a reader: pushed on the live stream (`sse`), and read with GET (`http`).",
    ),
    (
        "reads",
        "Callers on kept-alive connections, each with one request on its way. Bare actix-web answers a constant each time: the bytes of one of these twins as Twinfold answered it.",
    ),
    ("history", "Pages of recorded values, and buckets of them."),
    ("commands", "From the intended time of a POST with `wait`, over MQTT to the device and back, to the answer over HTTP."),
    ("overload", "Twice the peak is offered, whatever is answered. Goodput is what is acknowledged in time."),
    ("connect", "A storm of new connections, from CONNECT to CONNACK; a bounded number of them at once."),
    ("tls", "The same over TLS, each with a full handshake, no session resumed. Bare rustls does the handshake and answers CONNECT."),
    (
        "revoke",
        "Access is taken away from live sessions that speak without a pause. Latency is from the answer of HTTP to the device's socket closed.",
    ),
    (
        "reconnect",
        "All connections of a fleet at once, none waiting for another; beside it one reader asks for one twin after the other (`api`).",
    ),
    ("idle", "Resident memory that an idle connection adds, after a restart, its twin included where there is one."),
    (
        "fleet",
        "Devices behind gateways: what registering one costs, what a twin with ten values weighs (after a restart, so that only twins are\n\
         counted), and what a message costs among so many, spread evenly and by Zipf's law.",
    ),
    (
        "recover",
        "`kill -9` under load, and a start on the same data. A twin's first answer is cold for the process; the kernel's page cache is warm.",
    ),
    ("rollup", "Devices at depth 4 beside the same devices without a parent: what the roll-up of a reading adds."),
    ("dashboard", "What a person feels who opens a large site, lists it, and changes what devices should do."),
    ("start", "From the start of the process on an empty store to its ready line, and the size of the binary."),
];

pub fn about(scenario: &str) -> &'static str {
    SECTIONS.iter().find(|(name, _)| *name == scenario).map_or("", |(_, about)| about)
}

/// Where a scenario stands: as listed, the others behind.
pub fn place(scenario: &str) -> usize {
    SECTIONS.iter().position(|(name, _)| *name == scenario).unwrap_or(SECTIONS.len())
}
