//! Any text as a topic: what is read holds ids that are ids.
#![no_main]

use gateway::dialects::{Subject, native::topic::parse_publish};
use hierarchy_models::{CommandId, TwinId};

libfuzzer_sys::fuzz_target!(|topic: &str| {
    let Ok(uplink) = parse_publish(topic) else { return };
    TwinId::new(uplink.device).unwrap();
    match uplink.subject {
        Subject::Attach { child } | Subject::Detach { child } => drop(TwinId::new(child).unwrap()),
        Subject::Result { command } => drop(CommandId::new(command).unwrap()),
        Subject::Event { name } | Subject::Telemetry { stream: Some(name) } => assert!((1..=128).contains(&name.len()) && !name.contains(['/', '\0'])),
        _ => {}
    }
});
