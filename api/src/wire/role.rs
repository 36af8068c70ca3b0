//! A role as it is sent.

use hierarchy_models::{
    Name,
    access::{Rights, Role},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A named set of rights.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleDocument {
    #[schema(value_type = String)]
    name: Name,
    /// `read`, `command`, `acknowledge`, `write`, `rules`, `provision`, `models`, `sinks`, `principals`, `audit`.
    #[schema(value_type = Vec<String>)]
    rights: Rights,
    /// Whether it is always there and stays as it is.
    built_in: bool,
}

impl From<Role> for RoleDocument {
    fn from(role: Role) -> Self {
        Self { built_in: Role::is_built_in(&role.name), name: role.name, rights: role.rights }
    }
}
