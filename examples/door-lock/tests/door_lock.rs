//! What must never happen at a door.

use door_lock::{DoorLock, OPEN_MAX, WAIT_MAX};
use twinfold::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_unlock_does_not_outlive_its_time() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    let unlock = lock.command_for("unlock", json!({}), 5 * SECOND);
    assert_eq!(unlock.state, CommandState::Queued, "the lock is away, so it waits");
    lock.advance(4 * SECOND);
    lock.expect_waiting("unlock");

    lock.advance(SECOND).connected();
    assert!(lock.inbox().is_empty(), "the lock comes back a moment too late, and stays locked");
}

#[test]
fn an_unlock_does_not_outlive_its_time_while_the_server_is_down_either() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    lock.command_for("unlock", json!({}), 5 * SECOND);
    lock.down_for(5 * SECOND).connected();
    assert!(lock.inbox().is_empty());
}

#[test]
fn an_unlock_that_would_wait_for_long_is_refused() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    let refused = lock.command_for("unlock", json!({}), WAIT_MAX + SECOND);
    assert_eq!((refused.state, refused.status), (CommandState::Failed, Some(422)));
    assert_eq!(lock.command_for("unlock", json!({}), WAIT_MAX).state, CommandState::Queued);
    assert_eq!(lock.command_for("lock", json!({}), 3600 * SECOND).state, CommandState::Queued, "to lock a door is never late");
}

#[test]
fn a_door_that_was_opened_is_told_to_lock() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    lock.connected().reported(json!({"locked": false})).advance(OPEN_MAX);
    lock.expect_command("front", "lock");
    lock.reported(json!({"locked": true})).advance(OPEN_MAX);
    lock.expect_no_alert("not-locked");
}

#[test]
fn a_door_that_stays_open_raises_an_alert_until_it_is_locked() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    lock.reported(json!({"locked": false})).advance(2 * OPEN_MAX);
    assert_eq!(lock.expect_alert("not-locked").severity, Severity::Critical);
    lock.reported(json!({"locked": true}));
    lock.expect_no_alert("not-locked");
}

#[test]
fn three_wrong_codes_in_a_row_raise_an_alert() {
    let mut lock = TwinTestKit::of::<DoorLock>("front");
    lock.event("wrong-code", json!({})).event("wrong-code", json!({})).event("right-code", json!({}));
    lock.event("wrong-code", json!({})).event("wrong-code", json!({}));
    lock.expect_no_alert("tampering");
    lock.event("wrong-code", json!({}));
    lock.expect_alert("tampering");
}
