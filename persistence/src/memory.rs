//! placeholder (helper: store)
pub struct MemoryStore;
