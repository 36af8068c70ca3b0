//! What a turn may ask for: one that goes beyond a limit fails as a whole.

use std::collections::BTreeSet;

use hierarchy_models::{
    EventBody, Name, Value,
    limits::{
        BEHAVIOUR_BYTES_MAX, EFFECTS_PER_TURN_MAX, NAME_BYTES_MAX, OUTBOX_COMMANDS_MAX, PROPERTIES_BYTES_MAX, TIMER_EVERY_MIN,
        TIMERS_PER_TWIN_MAX,
    },
    value::{DEPTH_MAX, Map, map_heap_bytes},
};

use super::Turn;
use crate::twin::{TwinState, command_check, outbox::queued};

pub fn check(turn: &Turn, twin: &TwinState) -> Result<(), String> {
    // Its own state is no effect on anything else.
    let effects = turn.events.iter().filter(|e| !matches!(e, EventBody::BehaviourState { .. })).count();
    if effects > EFFECTS_PER_TURN_MAX {
        return Err(format!("EFFECTS_PER_TURN_MAX is reached: {effects} effects"));
    }
    for event in &turn.events {
        check_effect(event)?;
    }
    let sent = queued(&turn.events);
    if sent > 0 && twin.outbox().len() + sent > OUTBOX_COMMANDS_MAX {
        return Err(format!("OUTBOX_COMMANDS_MAX is reached: {} commands to other twins wait", twin.outbox().len()));
    }
    if let Some(answer) = &turn.answer {
        command_check::payload(&answer.payload).map_err(|why| format!("the answer to a command {why}"))?;
    }
    check_timers(turn, twin)
}

fn check_effect(event: &EventBody) -> Result<(), String> {
    match event {
        EventBody::BehaviourState { state: value, .. } => value_fits(value),
        EventBody::Emitted { name, payload } => name_fits(name).and_then(|()| value_fits(payload)),
        EventBody::AlertRaised(alert) => {
            name_fits(&alert.name).and_then(|()| map_fits(&alert.details, BEHAVIOUR_BYTES_MAX, "BEHAVIOUR_BYTES_MAX"))
        }
        EventBody::TimerSet { name, .. } => name_fits(name),
        EventBody::TimerRepeats { name, every, .. } if *every < TIMER_EVERY_MIN => {
            Err(format!("TIMER_EVERY_MIN is reached: timer {name:?} would repeat every {every:?}, the least is {TIMER_EVERY_MIN:?}"))
        }
        EventBody::TimerRepeats { name, .. } => name_fits(name),
        EventBody::DesiredPatched { patch } => map_fits(patch, PROPERTIES_BYTES_MAX, "PROPERTIES_BYTES_MAX"),
        EventBody::OutboundQueued(command) => command_check::name(&command.name)
            .map_err(|why| format!("a command is named {:?}: {why}", command.name))
            .and_then(|()| command_check::payload(&command.payload).map_err(|why| format!("command {:?} {why}", command.name))),
        _ => Ok(()),
    }
}

fn name_fits(name: &Name) -> Result<(), String> {
    match name.len() {
        1..=NAME_BYTES_MAX => Ok(()),
        bytes => Err(format!("NAME_BYTES_MAX is reached: a name has 1 to {NAME_BYTES_MAX} bytes, not {bytes}")),
    }
}

fn value_fits(value: &Value) -> Result<(), String> {
    if value.depth() > DEPTH_MAX {
        return Err(format!("DEPTH_MAX is reached: a value nested deeper than {DEPTH_MAX} levels"));
    }
    if value.heap_bytes() > BEHAVIOUR_BYTES_MAX {
        return Err(format!("BEHAVIOUR_BYTES_MAX is reached: a value of {} bytes", value.heap_bytes()));
    }
    Ok(())
}

fn map_fits(map: &Map, bytes_max: usize, limit: &str) -> Result<(), String> {
    if map.values().any(|value| value.depth() >= DEPTH_MAX) {
        return Err(format!("DEPTH_MAX is reached: a value nested deeper than {DEPTH_MAX} levels"));
    }
    match map_heap_bytes(map) {
        bytes if bytes > bytes_max => Err(format!("{limit} is reached: a map of {bytes} bytes")),
        _ => Ok(()),
    }
}

fn check_timers(turn: &Turn, twin: &TwinState) -> Result<(), String> {
    let set = turn.events.iter().filter_map(|event| match event {
        EventBody::TimerSet { name, .. } | EventBody::TimerRepeats { name, .. } => Some(name),
        _ => None,
    });
    let set: BTreeSet<&Name> = set.collect();
    let others = twin.timers().iter().filter(|t| !set.contains(&t.name)).count();
    match set.len() + others {
        timers if !set.is_empty() && timers > TIMERS_PER_TWIN_MAX => Err(format!("TIMERS_PER_TWIN_MAX is reached: {timers} timers")),
        _ => Ok(()),
    }
}
