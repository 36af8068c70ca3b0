//! The roll-ups that are defined on a twin, as texts by name.

use std::collections::BTreeMap;

use actors::Definitions;
use hierarchy_models::{Name, rollup::RollupSet};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RollupDefinitions)]
pub struct DefinitionsDocument {
    /// Those that the twin defines itself.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"comfort": "avg(children.temperature, weight: children.area)"}))]
    pub own: BTreeMap<Name, Name>,
    /// Those of its model, without the ones that it defines otherwise.
    #[schema(value_type = BTreeMap<String, String>)]
    pub inherited: BTreeMap<Name, Name>,
}

fn by_name(set: &RollupSet) -> BTreeMap<Name, Name> {
    set.texts().map(|(name, text)| (name.clone(), text.clone())).collect()
}

impl From<&Definitions> for DefinitionsDocument {
    fn from(definitions: &Definitions) -> Self {
        let own = by_name(&definitions.own);
        let mut inherited = by_name(&definitions.inherited);
        inherited.retain(|name, _| !own.contains_key(name));
        Self { own, inherited }
    }
}

/// A defined roll-up as it stands.
#[allow(dead_code)] // for the OpenAPI document, as those in `described`
#[derive(ToSchema)]
pub struct DefinedRollup {
    /// A number; of `worst`, `info`, `warning` or `critical`; null when there is nothing to tell it from.
    value: serde_json::Value,
    /// Twins in it; of `worst`, alerts.
    count: u64,
    /// Twins that were left out because they are silent.
    stale: u64,
}

/// Definitions by name; all of them.
#[allow(dead_code)] // for the OpenAPI document, as those in `described`
#[derive(ToSchema)]
#[schema(example = json!({"load": "sum(devices.power)", "offline": "count(where status == \"offline\")"}))]
pub struct NewRollups(BTreeMap<String, String>);
