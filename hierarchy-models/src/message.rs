//! What a device can say to its twin, after topic and payload have been read.

use crate::{
    command::CommandResult,
    event::Raw,
    id::{CommandId, Name, TwinId},
    record::Record,
    value::{Map, Value},
};

#[derive(Debug, Clone, PartialEq)]
pub enum DeviceMessage {
    Telemetry {
        stream: Option<Name>,
        records: Vec<Record>,
        raw: Raw,
    },
    /// A merge patch of reported properties.
    Reported {
        patch: Map,
        raw: Raw,
    },
    /// All reported properties at once: a key frame.
    ReportedFull {
        properties: Map,
        raw: Raw,
    },
    /// A special event, such as an alarm.
    Event {
        name: Name,
        payload: Value,
        raw: Raw,
    },
    Diagnostics {
        payload: Value,
        raw: Raw,
    },
    /// A proposed change of registry metadata.
    Metadata {
        patch: Map,
        raw: Raw,
    },
    Result {
        command: CommandId,
        result: CommandResult,
    },
    /// A gateway says that a child came or went.
    Attach {
        child: TwinId,
    },
    Detach {
        child: TwinId,
    },
    /// The device wants to read its own twin; the answer goes down its link.
    Get,
    /// A payload that could not be read: kept in the twin's diagnostics for whoever mends the device.
    Unreadable {
        topic: String,
        reason: String,
        raw: Raw,
    },
}

impl DeviceMessage {
    /// The payload as it came, of those that keep it.
    pub fn raw(&self) -> Option<&Raw> {
        match self {
            Self::Telemetry { raw, .. }
            | Self::Reported { raw, .. }
            | Self::ReportedFull { raw, .. }
            | Self::Event { raw, .. }
            | Self::Diagnostics { raw, .. }
            | Self::Metadata { raw, .. }
            | Self::Unreadable { raw, .. } => Some(raw),
            Self::Result { .. } | Self::Attach { .. } | Self::Detach { .. } | Self::Get => None,
        }
    }

    /// For logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Telemetry { .. } => "telemetry",
            Self::Reported { .. } => "reported",
            Self::ReportedFull { .. } => "reported_full",
            Self::Event { .. } => "event",
            Self::Diagnostics { .. } => "diagnostics",
            Self::Metadata { .. } => "metadata",
            Self::Result { .. } => "result",
            Self::Attach { .. } => "attach",
            Self::Detach { .. } => "detach",
            Self::Get => "get",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}
