//! Models as lists show them, and what a put of models came to.

use hierarchy_models::ModelId;
use serde::Serialize;
use utoipa::ToSchema;

/// A model, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelSummary {
    #[schema(value_type = String, example = "dtmi:twinfold:Thermostat;1")]
    pub id: ModelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub display_name: Option<String>,
    /// The version of the model language it is written in: 2, 3 or 4.
    pub dtdl_version: u8,
    /// What it extends itself.
    #[schema(value_type = Vec<String>)]
    pub extends: Vec<ModelId>,
    /// Whether its twins are places.
    pub is_place: bool,
    /// Whether it comes with the program.
    pub is_built_in: bool,
}

/// What a put of models came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct PutModels {
    /// Models that were not known before, those defined inside others included.
    pub new: usize,
    /// Interfaces that were known with the same content.
    pub known: usize,
}
