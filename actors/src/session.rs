//! A device's session: its way into its own twin, and into those of the devices it speaks for.

use hierarchy_models::{
    CommandId, DeviceMessage, TwinId,
    event::{DisconnectReason, Subscriptions, Will},
};

use crate::device::Refusal;

/// Held by the gateway for as long as the connection lasts. Lives on the thread it was made on.
pub struct DeviceSession {
    device: TwinId,
    number: u64,
    session_present: bool,
    subscriptions: Subscriptions,
    held_packets: Vec<u16>,
}

impl DeviceSession {
    pub fn device(&self) -> &TwinId {
        &self.device
    }

    /// Unique in this process.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether an earlier session goes on.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// What the earlier session had subscribed to; delivery goes on by itself.
    pub fn subscriptions(&self) -> Subscriptions {
        self.subscriptions
    }

    /// QoS 2 packet ids that were taken and not released yet.
    pub fn held_packets(&self) -> &[u16] {
        &self.held_packets
    }

    /// Starts delivery (pending commands, desired state) after the CONNACK is out.
    pub async fn ready(&self) {
        todo!()
    }

    /// Hands a message to the twin of `target` (the device itself, or one it is the gateway of) and returns when what
    /// it changed is durable. `packet` is the id of a QoS 2 message, remembered with it. Messages of one session to one
    /// twin keep the order of the calls' first polls.
    pub async fn send(&self, _target: &TwinId, _message: DeviceMessage, _packet: Option<u16>) -> Result<(), Refusal> {
        todo!()
    }

    /// The QoS 2 handshake of this packet is over.
    pub async fn release(&self, _packet: u16) -> Result<(), Refusal> {
        todo!()
    }

    /// Replaces the session's subscriptions to one twin's downlink. New ones start delivery.
    pub async fn subscribe(&self, _target: &TwinId, _subscriptions: Subscriptions) -> Result<(), Refusal> {
        todo!()
    }

    /// The device has acknowledged (or, at QoS 0, been sent) this command.
    pub async fn delivered(&self, _target: &TwinId, _command: CommandId) {
        todo!()
    }

    /// Whether this session may speak for `target`.
    pub async fn speaks_for(&self, _target: &TwinId) -> bool {
        todo!()
    }

    /// Ends the session's connection; a persistent session goes on without it until it expires.
    pub async fn close(self, _reason: DisconnectReason, _will: Option<Will>) {
        todo!()
    }
}
