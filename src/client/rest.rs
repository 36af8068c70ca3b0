//! Waiting in the command line's client, which is a process of its own: its threads have no runtime and no twins to stall.

use std::time::Duration;

#[allow(clippy::disallowed_methods)]
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}
