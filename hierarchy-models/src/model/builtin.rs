//! The built-in kinds of twin, and what a short name stands for.

use crate::id::{IdError, ModelId};

/// A model that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    pub short: &'static str,
    pub dtmi: &'static str,
    /// A place has no device of its own: it is not counted as one and never goes stale by itself.
    pub is_place: bool,
    /// Its Interface in the model language, as JSON.
    pub document: &'static str,
}

macro_rules! built_in {
    ($short:literal, $is_place:literal) => {
        BuiltIn {
            short: $short,
            dtmi: concat!("dtmi:twinfold:", $short, ";1"),
            is_place: $is_place,
            document: include_str!(concat!("../../models/", $short, ".json")),
        }
    };
}

pub const BUILT_INS: [BuiltIn; 14] = [
    built_in!("Site", true),
    built_in!("Building", true),
    built_in!("Floor", true),
    built_in!("Room", true),
    built_in!("Device", false),
    built_in!("Gateway", false),
    built_in!("Thermostat", false),
    built_in!("AirSensor", false),
    built_in!("Meter", false),
    built_in!("Light", false),
    built_in!("DoorLock", false),
    built_in!("Presence", false),
    built_in!("Pump", false),
    built_in!("Vehicle", false),
];

/// Interfaces, without their version, whose twins and whose descendants' twins are places: our own, and the spaces of
/// RealEstateCore 4 and 3.
const PLACES: [&str; 6] = [
    "dtmi:twinfold:Site",
    "dtmi:twinfold:Building",
    "dtmi:twinfold:Floor",
    "dtmi:twinfold:Room",
    "dtmi:org:w3id:rec:Space",
    "dtmi:digitaltwins:rec_3_3:core:Space",
];

/// The model meant by a DTMI or by the short name of a built-in one.
pub fn resolve(text: &str) -> Result<ModelId, IdError> {
    match BUILT_INS.iter().find(|b| b.short == text) {
        Some(built_in) => ModelId::new(built_in.dtmi),
        None => ModelId::new(text),
    }
}

/// Whether this is a built-in model of a place. What other models inherit, [`super::Catalogue::is_place`] knows.
pub fn is_place(model: &ModelId) -> bool {
    BUILT_INS.iter().any(|b| b.is_place && b.dtmi == model.as_str())
}

/// Whether an Interface is one whose descendants are places.
pub fn is_root_of_places(dtmi: &str) -> bool {
    PLACES.contains(&crate::dtdl::dtmi::without_version(dtmi))
}
