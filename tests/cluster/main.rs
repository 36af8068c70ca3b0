//! The server on a CQL cluster, and what is done to either of them: taken over, killed, stopped for a while, not answered. The same
//! load and the same separate checker as in tests/faults.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../faults/checker.rs"]
mod checker;
#[path = "../faults/load.rs"]
mod load;
#[path = "../faults/record.rs"]
mod record;
#[path = "../faults/trial.rs"]
mod trial;

mod audit;
mod backup;
mod crashes;
mod lost_answers;
mod moving_house;
mod nodes;
mod taking_over;
