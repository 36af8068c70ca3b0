//! A place in the directory that is being filled.

use std::sync::Arc;

use hierarchy_models::TwinId;

use crate::{
    directory::{Gate, TwinRef},
    runtime::Runtime,
};

/// A claimed directory entry that frees itself when its holder is dropped half way.
pub struct Claim {
    runtime: Arc<Runtime>,
    pub id: TwinId,
    gate: Option<Gate>,
}

impl Claim {
    pub fn new(runtime: &Arc<Runtime>, id: &TwinId, gate: Gate) -> Self {
        Self { runtime: runtime.clone(), id: id.clone(), gate: Some(gate) }
    }

    pub fn settle(mut self, twin: TwinRef) -> TwinRef {
        if let Some(gate) = self.gate.take() {
            self.runtime.directory.settle(&self.id, &gate, Some(twin));
        }
        twin
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            self.runtime.directory.settle(&self.id, &gate, None);
        }
    }
}
