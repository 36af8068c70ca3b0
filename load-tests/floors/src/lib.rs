//! What the three bare servers share: how many threads they have, and how they say where they listen.

use std::{net::SocketAddr, thread};

/// Threads for devices, one a core, as the product's `mqtt.workers = "auto"`.
pub fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The line that whoever started this waits for, as the product prints it.
pub fn say_ready(protocol: &str, at: SocketAddr) {
    println!("ready {protocol}={at}");
}
