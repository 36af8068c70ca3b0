//! The live stream: every durable change, once, to whoever follows a part of the tree.
//!
//! Events carry ids from one counter of this process, so that a reader that lost its connection can resume while the
//! last events are still in the ring; when they are not, or the process is another, it starts again from a snapshot.

use hierarchy_models::{Timestamp, TwinId, Value, access::Extent, tree::Path};
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveKind {
    /// Values, properties, connection, roll-ups, registry data changed.
    State,
    /// A special event or one that a behaviour emitted.
    Event,
    Alert,
    Command,
}

impl LiveKind {
    pub const ALL: [Self; 4] = [Self::State, Self::Event, Self::Alert, Self::Command];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Event => "event",
            Self::Alert => "alert",
            Self::Command => "command",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveEvent {
    pub kind: LiveKind,
    pub twin: TwinId,
    pub path: Path,
    /// The twin's event it came from; 0 for roll-ups, which are not events.
    pub seq: u64,
    pub at: Timestamp,
    /// What changed, a map whose members are named as in the twin's document: `{"telemetry": {"t": {"value", "at", "received_at"}}}`.
    pub data: Value,
}

/// What a reader wants to follow.
#[derive(Debug, Clone)]
pub struct LiveFilter {
    /// This twin and all below it; everything when absent.
    pub under: Option<TwinId>,
    /// And what the reader may see of it.
    pub within: Extent,
    /// Empty means all kinds.
    pub kinds: Vec<LiveKind>,
}
