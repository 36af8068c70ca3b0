//! The memory store is held to the contract of every store.

#![cfg(feature = "contract")]

use persistence::contract::MemoryPlace;

persistence::store_contract!(MemoryPlace::default());
