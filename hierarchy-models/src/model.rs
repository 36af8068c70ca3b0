//! The built-in kinds of twin, and what a short name stands for.

use crate::id::{IdError, ModelId};

/// A model that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    pub short: &'static str,
    pub dtmi: &'static str,
    /// A place has no device of its own: it is not counted as one and never goes stale by itself.
    pub is_place: bool,
}

pub const BUILT_INS: [BuiltIn; 6] = [
    BuiltIn { short: "Site", dtmi: "dtmi:twinfold:Site;1", is_place: true },
    BuiltIn { short: "Building", dtmi: "dtmi:twinfold:Building;1", is_place: true },
    BuiltIn { short: "Floor", dtmi: "dtmi:twinfold:Floor;1", is_place: true },
    BuiltIn { short: "Room", dtmi: "dtmi:twinfold:Room;1", is_place: true },
    BuiltIn { short: "Device", dtmi: "dtmi:twinfold:Device;1", is_place: false },
    BuiltIn { short: "Gateway", dtmi: "dtmi:twinfold:Gateway;1", is_place: false },
];

/// The model meant by a DTMI or by the short name of a built-in one.
pub fn resolve(text: &str) -> Result<ModelId, IdError> {
    match BUILT_INS.iter().find(|b| b.short == text) {
        Some(built_in) => ModelId::new(built_in.dtmi),
        None => ModelId::new(text),
    }
}

/// Whether twins of this model are places. Unknown models are devices.
pub fn is_place(model: &ModelId) -> bool {
    BUILT_INS.iter().any(|b| b.is_place && b.dtmi == model.as_str())
}
