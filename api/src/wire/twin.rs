//! A twin as it is registered and as it is listed.

use std::collections::BTreeMap;

use actors::{Registered, view::TwinView};
use hierarchy_models::{Timestamp, Value, event::Status};
use serde::Serialize;
use utoipa::ToSchema;

use crate::query::RegistryEntry;

/// A row of the registry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TwinListItem)]
pub struct ListItem {
    pub id: String,
    pub model: String,
    #[schema(nullable)]
    pub parent: Option<String>,
    /// The ids from the root down to the twin, joined by `/`.
    pub path: String,
    #[schema(value_type = String, example = "active")]
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gateway: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: BTreeMap<hierarchy_models::Name, Value>,
    #[schema(value_type = Vec<String>)]
    pub tags: Vec<hierarchy_models::Name>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<RegistryEntry> for ListItem {
    fn from(entry: RegistryEntry) -> Self {
        let row = entry.row;
        Self {
            id: row.id.to_string(),
            model: row.model.to_string(),
            parent: row.parent.map(|p| p.to_string()),
            path: entry.path.to_string(),
            status: row.status,
            gateway: row.gateway.map(|g| g.to_string()),
            metadata: row.metadata,
            tags: row.tags,
            created_at: row.created_at,
        }
    }
}

/// The whole twin and, this once, its keys.
#[derive(Debug, Serialize)]
pub struct RegisteredDocument {
    #[serde(flatten)]
    pub twin: TwinView,
    pub keys: BTreeMap<String, String>,
}

impl From<Registered> for RegisteredDocument {
    fn from(registered: Registered) -> Self {
        Self { twin: registered.view, keys: registered.keys }
    }
}
