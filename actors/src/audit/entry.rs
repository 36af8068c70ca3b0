//! What one record of the audit log says. Its bytes are hashed, so its members stand in this order for ever; new ones go to the end and
//! are left out where they say nothing.

use hierarchy_models::tree::Path;
use serde::{Deserialize, Serialize};

/// Who did it, as it had shown itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    pub id: String,
    pub name: String,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// `twin`, `principal`, `grant`, `role`, `rule`, `model`, `alert`, `device` …
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Target {
    pub fn device(id: impl Into<String>) -> Self {
        Self { kind: "device".into(), id: Some(id.into()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// Not allowed, or not known.
    Denied,
    /// Refused for another reason, or broken off.
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::Denied, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Absent when nobody was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// The address it came from.
    pub from: String,
    /// Such as `POST /twins/{id}/commands` or `CONNECT`.
    pub action: String,
    pub target: Target,
    /// Where the target stood then, when it is a twin or lies over one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    pub outcome: Outcome,
    /// Of HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address of what was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// How many of these there were, when it stands for several: since the record of the first.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// Where the target stood afterwards, when it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Path>,
}

impl Entry {
    /// Stands for the address of what the server did by itself.
    pub const THE_SERVER: &'static str = "server";

    pub fn new(from: impl Into<String>, action: impl Into<String>, target: Target, outcome: Outcome) -> Self {
        let (from, action) = (from.into(), action.into());
        Self { actor: None, from, action, target, path: None, outcome, status: None, reason: None, made: None, count: 1, to: None }
    }

    /// What a device did at the door, or what was done to it there; the address without its port, which is another one each time.
    pub fn at_the_door(from: &str, action: &str, target: Target, outcome: Outcome) -> Self {
        let address = from.rsplit_once(':').map_or(from, |(address, _)| address);
        Self::new(address, action, target, outcome)
    }

    /// What the server did by itself, as something else that was done asked for it.
    pub fn of_the_server(action: &str, target: Target, reason: &str) -> Self {
        let reason = Some(reason.to_owned());
        Self { reason, ..Self::new(Self::THE_SERVER, action, target, Outcome::Done) }
    }
}

fn one() -> u64 {
    1
}

fn is_one(count: &u64) -> bool {
    *count == 1
}
