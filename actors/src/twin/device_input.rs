//! What a device says, turned into events: checked against the limits, deduplicated, authorised.

use hierarchy_models::{
    CommandState, DeviceMessage, EventBody, Record, Timestamp, TwinId,
    event::Status,
    limits::{
        COMMAND_PAYLOAD_BYTES_MAX, PROPERTIES_BYTES_MAX, RECORD_AHEAD_MAX, RECORDS_PER_MESSAGE_MAX, VALUES_BYTES_MAX,
        VALUES_PER_RECORD_MAX, VALUES_PER_TWIN_MAX,
    },
    model,
    value::{Map, map_heap_bytes},
};

use super::{apply::record_hash, refusal::Refusal, state::TwinState};

/// Who hands a message to a twin.
#[derive(Debug, Clone, PartialEq)]
pub enum Speaker {
    /// The device itself, in this session.
    Own { session: u64 },
    /// A gateway on its behalf.
    Gateway { id: TwinId },
    /// The server, for a device whose session is over (a will).
    Server,
}

/// Gateways speak for at most this many attached children.
pub const ATTACHED_MAX: usize = 10_000;
/// QoS 2 messages a session has not released.
pub const HELD_PACKETS_MAX: usize = 1_024;

impl TwinState {
    /// Whether `speaker` may speak for this twin now.
    pub fn authorise(&self, speaker: &Speaker) -> Result<(), Refusal> {
        let no = |reason: &str| Err(Refusal::NotAuthorized { reason: reason.into() });
        if !self.registered {
            return no("there is no such twin");
        }
        match speaker {
            Speaker::Own { session } => {
                let current = self.connection.session == *session && self.connection.connected;
                if current && self.status == Status::Active { Ok(()) } else { Err(Refusal::SessionEnded) }
            }
            Speaker::Gateway { id } if self.gateway.as_ref() != Some(id) => no("this gateway does not speak for that device"),
            _ if self.status != Status::Active => no("the device is not active"),
            _ => Ok(()),
        }
    }

    /// The events of a message; none when it is a repetition.
    pub fn hear(&self, message: DeviceMessage, now: Timestamp) -> Result<Vec<EventBody>, Refusal> {
        Ok(match message {
            DeviceMessage::Telemetry { stream, mut records, raw } => {
                self.check_records(&records, now)?;
                self.drop_known(&mut records);
                if records.is_empty() {
                    return Ok(Vec::new());
                }
                self.check_room(&records)?;
                vec![EventBody::Telemetry { stream, records, raw }]
            }
            DeviceMessage::Reported { patch, raw } => {
                check_properties("reported", &patch, self.reported.heap_bytes())?;
                if self.reported.len() + patch.len() > 2 * VALUES_PER_TWIN_MAX {
                    return Err(quota("VALUES_PER_TWIN_MAX", format!("{} reported properties", self.reported.len())));
                }
                vec![EventBody::ReportedPatched { patch, raw }]
            }
            DeviceMessage::ReportedFull { properties, raw } => {
                check_properties("reported", &properties, 0)?;
                vec![EventBody::ReportedReplaced { properties, raw }]
            }
            DeviceMessage::Event { name, payload, raw } => vec![EventBody::Special { name, payload, raw }],
            DeviceMessage::Diagnostics { payload, raw } => vec![EventBody::Diagnostics { payload, raw }],
            DeviceMessage::Metadata { patch, .. } => {
                check_properties("metadata", &patch, map_heap_bytes(&self.metadata))?;
                if let Some(key) = patch.keys().find(|key| !device_may_write(self, key)) {
                    return Err(Refusal::Invalid { reason: format!("/{key}: the model does not let devices write this metadata") });
                }
                vec![EventBody::MetadataPatched { patch }]
            }
            DeviceMessage::Result { command, result } => {
                if persistence::codec::value_to_bytes(&result.payload).len() > COMMAND_PAYLOAD_BYTES_MAX {
                    return Err(Refusal::Invalid { reason: format!("/payload: larger than {COMMAND_PAYLOAD_BYTES_MAX} bytes") });
                }
                match self.inbox.as_deref().and_then(|i| i.get(&command)).map(|c| c.state) {
                    Some(CommandState::Queued) => {
                        // An answer says that it arrived, whatever became of the acknowledgement.
                        let end = EventBody::CommandEnded { id: command.clone(), state: result.end(), result: Some(result) };
                        vec![EventBody::CommandDelivered { id: command }, end]
                    }
                    Some(CommandState::Delivered) => {
                        vec![EventBody::CommandEnded { id: command, state: result.end(), result: Some(result) }]
                    }
                    // It ended before: a repetition, or an answer that came too late. Either way the device is done with it.
                    Some(_) => Vec::new(),
                    None => return Err(Refusal::Invalid { reason: format!("there is no open command {command}") }),
                }
            }
            DeviceMessage::Attach { child } => {
                if self.rare.as_deref().is_some_and(|r| r.attached.len() >= ATTACHED_MAX) {
                    return Err(quota("ATTACHED_MAX", format!("{ATTACHED_MAX} attached devices")));
                }
                vec![EventBody::ChildAttached { child }]
            }
            DeviceMessage::Detach { child } => vec![EventBody::ChildDetached { child }],
            DeviceMessage::Get => Vec::new(),
            DeviceMessage::Unreadable { topic, reason, raw } => vec![EventBody::Rejected { topic, reason, raw }],
        })
    }

    fn check_records(&self, records: &[Record], now: Timestamp) -> Result<(), Refusal> {
        let invalid = |reason: String| Err(Refusal::Invalid { reason });
        if records.len() > RECORDS_PER_MESSAGE_MAX {
            return invalid(format!("{} records in one message; at most {RECORDS_PER_MESSAGE_MAX} are taken", records.len()));
        }
        for (i, record) in records.iter().enumerate() {
            if record.values.len() > VALUES_PER_RECORD_MAX {
                return invalid(format!("/{i}/values: {} values; at most {VALUES_PER_RECORD_MAX} are taken", record.values.len()));
            }
            if record.at > now.plus(RECORD_AHEAD_MAX) {
                return invalid(format!("/{i}/at: {} lies more than a day ahead of the server's clock", record.at));
            }
        }
        Ok(())
    }

    /// Leaves out records whose id was taken before, and repetitions within the message itself.
    fn drop_known(&self, records: &mut Vec<Record>) {
        if records.iter().all(|r| r.id.is_none()) {
            return;
        }
        let before = records.len();
        let mut here = Vec::new();
        records.retain(|r| {
            let Some(id) = &r.id else { return true };
            let hash = record_hash(id);
            let fresh = !self.knows_record(hash) && !here.contains(&hash);
            here.push(hash);
            fresh
        });
        if before > records.len() {
            metrics::counter!("twinfold_records_deduplicated_total").increment((before - records.len()) as u64);
        }
    }

    fn check_room(&self, records: &[Record]) -> Result<(), Refusal> {
        let fresh: usize = records.iter().flat_map(|r| &r.values).map(|(_, value)| value.heap_bytes()).sum();
        if fresh > 0 {
            let stays = |name: &str| !records.iter().flat_map(|r| &r.values).any(|(n, _)| n == name);
            let held: usize = self.telemetry.iter().filter(|(name, _)| stays(name)).map(|(_, s)| s.value.heap_bytes()).sum();
            if fresh + held > VALUES_BYTES_MAX {
                let detail = format!("the twin's last known values would take more than {VALUES_BYTES_MAX} bytes");
                return Err(quota("VALUES_BYTES_MAX", detail));
            }
        }
        if self.telemetry.len() + records.iter().map(|r| r.values.len()).max().unwrap_or(0) <= VALUES_PER_TWIN_MAX && records.len() == 1 {
            return Ok(());
        }
        let fresh: std::collections::BTreeSet<_> =
            records.iter().flat_map(|r| &r.values).filter(|(name, _)| !self.telemetry.knows(name)).map(|(name, _)| name).collect();
        if self.telemetry.len() + fresh.len() > VALUES_PER_TWIN_MAX {
            return Err(quota("VALUES_PER_TWIN_MAX", format!("the twin has {} values already", self.telemetry.len())));
        }
        Ok(())
    }
}

fn quota(limit: &'static str, detail: String) -> Refusal {
    Refusal::Quota { limit, detail }
}

fn check_properties(what: &str, patch: &Map, held: usize) -> Result<(), Refusal> {
    if map_heap_bytes(patch) + held > PROPERTIES_BYTES_MAX {
        return Err(quota("PROPERTIES_BYTES_MAX", format!("{what} properties would take more than {PROPERTIES_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Which metadata a device may write itself. The built-in device kinds let it write every key but those that begin with
/// `$`; places have no device.
fn device_may_write(twin: &TwinState, key: &str) -> bool {
    !model::is_place(&twin.model) && !key.starts_with('$')
}
