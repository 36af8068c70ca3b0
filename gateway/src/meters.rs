//! What the front door counts. Handles are made once: looking a metric up by its name for each message costs more than
//! reading the message's topic.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::codec::ErrorKind;

/// What became of a message, as its sender learns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Repeated,
    BadPayload,
    NotAuthorized,
    Quota,
    Unavailable,
    Poisoned,
    SessionEnded,
}

const OUTCOMES: [(Outcome, &str); 8] = [
    (Outcome::Accepted, "accepted"),
    (Outcome::Repeated, "repeated"),
    (Outcome::BadPayload, "bad_payload"),
    (Outcome::NotAuthorized, "not_authorized"),
    (Outcome::Quota, "quota"),
    (Outcome::Unavailable, "unavailable"),
    (Outcome::Poisoned, "poisoned"),
    (Outcome::SessionEnded, "session_ended"),
];

/// Kinds as [`hierarchy_models::DeviceMessage::kind`] names them; the last stands for a topic that has none.
const KINDS: [&str; 12] = [
    "telemetry",
    "reported",
    "reported_full",
    "event",
    "diagnostics",
    "metadata",
    "result",
    "attach",
    "detach",
    "get",
    "unreadable",
    "none",
];

pub(crate) struct Meters {
    pub(crate) connections: Gauge,
    pub(crate) bytes_in: Counter,
    pub(crate) packets_in: Counter,
    pub(crate) topics_refused: Counter,
    pub(crate) packets_too_large: Counter,
    pub(crate) downlink_queued: Gauge,
    pub(crate) downlink_full: Counter,
    pub(crate) downlink_too_large: Counter,
    pub(crate) downlink_sent: Counter,
    pub(crate) downlink_dropped: Counter,
    pub(crate) subscriptions_granted: Counter,
    pub(crate) subscriptions_refused: Counter,
    publishes: Vec<Counter>,
    payloads_rejected: Vec<Counter>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe();
        let publish = |kind, outcome| counter!("twinfold_mqtt_publishes_total", "kind" => kind, "outcome" => outcome);
        Self {
            connections: gauge!("twinfold_mqtt_connections"),
            bytes_in: counter!("twinfold_mqtt_bytes_in_total"),
            packets_in: counter!("twinfold_mqtt_packets_in_total"),
            topics_refused: counter!("twinfold_mqtt_topics_refused_total"),
            packets_too_large: counter!("twinfold_mqtt_packets_too_large_total"),
            downlink_queued: gauge!("twinfold_mqtt_downlink_queued"),
            downlink_full: counter!("twinfold_mqtt_downlink_full_total"),
            downlink_too_large: counter!("twinfold_mqtt_downlink_too_large_total"),
            downlink_sent: counter!("twinfold_mqtt_downlink_sent_total"),
            downlink_dropped: counter!("twinfold_mqtt_downlink_dropped_total"),
            subscriptions_granted: counter!("twinfold_mqtt_subscriptions_total", "outcome" => "granted"),
            subscriptions_refused: counter!("twinfold_mqtt_subscriptions_total", "outcome" => "refused"),
            publishes: KINDS.iter().flat_map(|kind| OUTCOMES.map(|(_, outcome)| publish(*kind, outcome))).collect(),
            payloads_rejected: ErrorKind::ALL.map(|k| counter!("twinfold_mqtt_payloads_rejected_total", "reason" => k.as_str())).into(),
        }
    }

    pub(crate) fn publish(&self, kind: &str, outcome: Outcome) {
        let kind = KINDS.iter().position(|k| *k == kind).unwrap_or(KINDS.len() - 1);
        self.publishes[kind * OUTCOMES.len() + outcome as usize].increment(1);
    }

    pub(crate) fn payload_rejected(&self, kind: ErrorKind) {
        self.payloads_rejected[kind as usize].increment(1);
    }

    /// Rare enough to be looked up. `outcome` is `accepted` or the true reason of a refusal.
    pub(crate) fn connect(&self, version: &'static str, outcome: &'static str) {
        counter!("twinfold_mqtt_connects_total", "version" => version, "outcome" => outcome).increment(1);
    }

    /// A session that asked for more time; `outcome` is `renewed` or the true reason of a refusal.
    pub(crate) fn renewal(&self, outcome: &'static str) {
        counter!("twinfold_mqtt_renewals_total", "outcome" => outcome).increment(1);
    }

    /// A connection of which nothing is read for a while.
    pub(crate) fn slowed(&self, limit: &'static str) {
        counter!("twinfold_mqtt_slowed_total", "limit" => limit).increment(1);
    }

    pub(crate) fn handshake_timeout(&self, stage: &'static str) {
        counter!("twinfold_mqtt_handshake_timeouts_total", "stage" => stage).increment(1);
    }

    pub(crate) fn disconnect(&self, reason: &'static str) {
        counter!("twinfold_mqtt_disconnects_total", "reason" => reason).increment(1);
    }
}

fn describe() {
    describe_gauge!("twinfold_mqtt_connections", "MQTT connections past their CONNECT");
    describe_counter!("twinfold_mqtt_bytes_in_total", Unit::Bytes, "Bytes of packets from devices, headers left out");
    describe_counter!("twinfold_mqtt_packets_in_total", "Packets from devices");
    describe_counter!("twinfold_mqtt_connects_total", "CONNECTs by version and outcome; a refusal's outcome is its true reason");
    describe_counter!("twinfold_mqtt_disconnects_total", "Ends of connections by reason");
    describe_counter!("twinfold_mqtt_renewals_total", "Tokens by which sessions were to go on, by outcome");
    describe_counter!("twinfold_mqtt_slowed_total", "Times nothing was read of a connection for a while, by the quota that it exceeded");
    describe_counter!("twinfold_mqtt_crl_reloads_total", "Readings of mqtt.tls.client_crl after it changed, by outcome");
    describe_counter!("twinfold_mqtt_handshake_timeouts_total", "Connections that took too long to begin, by stage");
    describe_counter!("twinfold_mqtt_publishes_total", "Messages from devices by kind and outcome");
    describe_counter!("twinfold_mqtt_payloads_rejected_total", "Payloads that could not be read, by kind of reason");
    describe_counter!("twinfold_mqtt_topics_refused_total", "Messages and filters on topics that are not the device's");
    describe_counter!("twinfold_mqtt_packets_too_large_total", "Packets beyond mqtt.packet_max_bytes");
    describe_counter!("twinfold_mqtt_subscriptions_total", "Filters asked for, by outcome");
    describe_gauge!("twinfold_mqtt_downlink_queued", "Messages waiting for devices to read");
    describe_counter!("twinfold_mqtt_downlink_sent_total", "Messages sent to devices");
    describe_counter!("twinfold_mqtt_downlink_full_total", "Times a device's queue was full and its twin had to wait");
    describe_counter!("twinfold_mqtt_downlink_dropped_total", "Messages to devices that had expired or were not subscribed to any more");
    describe_counter!("twinfold_mqtt_downlink_too_large_total", "Messages beyond a device's Maximum Packet Size");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_kind_has_its_place() {
        for (i, (outcome, _)) in OUTCOMES.iter().enumerate() {
            assert_eq!(*outcome as usize, i);
        }
        for (i, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, i);
        }
        assert_eq!(Meters::new().publishes.len(), KINDS.len() * OUTCOMES.len());
    }
}
