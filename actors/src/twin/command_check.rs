//! What a command may be called and carry, whoever sends it.

use hierarchy_models::{
    Value,
    limits::{COMMAND_PAYLOAD_BYTES_MAX, NAME_BYTES_MAX},
    value::DEPTH_MAX,
};

/// A name becomes one level of an MQTT topic.
pub fn name(name: &str) -> Result<(), String> {
    let forbidden = |c: char| c.is_control() || "/+#".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(forbidden) {
        return Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes and none of '/', '+', '#' or control characters"));
    }
    Ok(())
}

pub fn payload(payload: &Value) -> Result<(), String> {
    if payload.depth() > DEPTH_MAX {
        return Err(format!("is nested deeper than {DEPTH_MAX} levels"));
    }
    if persistence::codec::value_to_bytes(payload).len() > COMMAND_PAYLOAD_BYTES_MAX {
        return Err(format!("takes more than {COMMAND_PAYLOAD_BYTES_MAX} bytes"));
    }
    Ok(())
}
