//! A behaviour as a kind of twin: its state is read, lent to the call, and kept when it has changed.

use std::marker::PhantomData;

use hierarchy_models::CommandResult;

use super::{
    Behaviour, Command, CommandEnded, Connection, Context, Error, Event, Reply, Reported, Result, Telemetry, Timer,
    encoding::{decode, encode, from_json, to_json},
};
use crate::{
    kind::{self, Kind, Trigger, builtin},
    twin::TwinState,
};

/// The status of a command that a behaviour has completed, and of one that it has not when it says no better.
const STATUS_COMPLETED: u16 = 200;
const STATUS_FAILED: u16 = 500;

pub struct Bound<B>(PhantomData<fn() -> B>);

impl<B: Behaviour> Bound<B> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<B: Behaviour> Kind for Bound<B> {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut kind::Context<'_>) -> std::result::Result<(), String> {
        builtin::as_every_device(trigger, cx);
        turn::<B>(trigger, cx).map_err(|error| error.to_string())
    }

    fn bound_to(&self) -> Option<&'static str> {
        Some(B::MODEL)
    }
}

fn turn<B: Behaviour>(trigger: &Trigger<'_>, cx: &mut kind::Context<'_>) -> Result<()> {
    let mut behaviour: B = load(cx.twin())?;
    let mut context = Context::new(cx);
    let reply = tell(&mut behaviour, trigger, &mut context)?;
    if let Some(fault) = context.into_fault() {
        return Err(fault);
    }
    match reply {
        Reply::PassOn => {}
        Reply::Completed(payload) => cx.answer(CommandResult { status: STATUS_COMPLETED, payload: from_json(payload)? }),
        Reply::Failed { status, payload } => {
            let status = if (200..300).contains(&status) { STATUS_FAILED } else { status };
            cx.answer(CommandResult { status, payload: from_json(payload)? });
        }
    }
    save(&behaviour, cx)
}

fn tell<B: Behaviour>(behaviour: &mut B, trigger: &Trigger<'_>, cx: &mut Context<'_, '_>) -> Result<Reply> {
    match *trigger {
        Trigger::Telemetry { stream, records } => {
            records.iter().try_for_each(|record| behaviour.on_telemetry(&Telemetry { stream, record }, cx))?;
        }
        Trigger::Reported { patch } => behaviour.on_reported(&Reported { patch }, cx)?,
        Trigger::Event { name, payload } => behaviour.on_event(&Event { name, payload }, cx)?,
        Trigger::Connected => behaviour.on_connection(&Connection::Connected, cx)?,
        Trigger::Disconnected { reason } => behaviour.on_connection(&Connection::Disconnected { reason }, cx)?,
        Trigger::Command { command } => return behaviour.on_command(&Command { command }, cx),
        Trigger::CommandEnded { command, state, result } => {
            behaviour.on_command_ended(&CommandEnded { command, state, result }, cx)?;
        }
        Trigger::Timer { timer } => {
            let missed = timer.missed(cx.now());
            behaviour.on_timer(&Timer { name: &timer.name, due: timer.due, missed }, cx)?;
        }
        Trigger::Children => {
            let below = cx.children();
            behaviour.on_children(&below, cx)?;
        }
        Trigger::Diagnostics { .. } => {}
    }
    Ok(Reply::PassOn)
}

/// The behaviour as the twin keeps it.
pub fn load<B: Behaviour>(twin: &TwinState) -> Result<B> {
    let stored = twin.behaviour();
    match twin.behaviour_version() {
        0 => Ok(B::default()),
        version if version == B::VERSION => {
            decode(stored).map_err(|error| Error::new(format!("its state of version {version} cannot be read: {error}")))
        }
        version if version > B::VERSION => {
            Err(Error::new(format!("its state is of version {version}, and this program knows {} at most", B::VERSION)))
        }
        version => B::migrate(version, to_json(stored)),
    }
}

/// Keeps the state when it is another one, or stands in an older form.
fn save<B: Behaviour>(behaviour: &B, cx: &mut kind::Context<'_>) -> Result<()> {
    let state = encode(behaviour)?;
    let twin = cx.twin();
    let same = match twin.behaviour_version() {
        0 => state == encode(&B::default())?,
        version => version == B::VERSION && state == *twin.behaviour(),
    };
    if same {
        return Ok(());
    }
    // What cannot be read back would fail every turn to come; so it fails this one.
    decode::<B>(&state).map_err(|error| Error::new(format!("its state could not be read back: {error}")))?;
    cx.save_as(B::VERSION, state);
    Ok(())
}
