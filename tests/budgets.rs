//! What a message, a twin and a connection may cost, counted and not timed: a busy machine counts the same as an idle one.
//!
//! The whole server runs in this process, behind a real socket and with the embedded store on disk, and the allocator counts for
//! all of its threads. So nothing else may happen meanwhile: the device of these tests allocates nothing, and the tests
//! take turns. Instructions are counted by `budgets/instructions.rs`, which wants an optimised build.

#![allow(clippy::unwrap_used)]

#[path = "budgets/counting.rs"]
mod counting;
#[path = "budgets/device.rs"]
mod device;
#[path = "budgets/messages.rs"]
mod messages;
#[path = "budgets/reader.rs"]
mod reader;
#[path = "budgets/reads.rs"]
mod reads;
#[path = "budgets/rollups.rs"]
mod rollups;
#[path = "budgets/server.rs"]
mod server;
#[path = "budgets/table.rs"]
mod table;
#[path = "budgets/table_bites.rs"]
mod table_bites;
#[path = "budgets/twins.rs"]
mod twins;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
