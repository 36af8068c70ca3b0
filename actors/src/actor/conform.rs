//! Whether what a device or a caller says fits the twin's model, and what becomes of it when it does not.

use hierarchy_models::{
    DeviceMessage, EventBody, Raw,
    event::Encoding,
    model::{Misfit, Model, schema::Mode},
};

use crate::{
    body::Body,
    device::Refusal,
    error::TwinError,
    models::Validation,
    twin::{
        Decided, Rejection,
        decide::{Input, Said},
    },
};

/// What is said to whoever sent something that does not fit; `None` when it fits, or is to be taken all the same.
pub fn refusal(b: &Body, input: &Input) -> Option<Result<Decided, Rejection>> {
    let model = b.model.as_deref()?;
    let validation = b.runtime().settings.validation;
    if validation == Validation::Off {
        return None;
    }
    let misfit = misfit(b, model, input)?;
    // Whoever may not speak at all is told that, and leaves no trace.
    if let Input::Device { speaker, .. } = input
        && b.state.authorise(speaker).is_err()
    {
        return None;
    }
    metrics::counter!("twinfold_misfits_total").increment(1);
    tracing::debug!(twin = %b.id, model = %model.id, %misfit, "it does not fit the model");
    (validation == Validation::Strict).then(|| refused(input, misfit))
}

fn misfit(b: &Body, model: &Model, input: &Input) -> Option<Misfit> {
    let checked = match input {
        Input::Device { message, .. } => match message {
            DeviceMessage::Telemetry { records, .. } => model.check_records(records),
            DeviceMessage::Reported { patch, .. } => model.check_reported(patch, Mode::Patch),
            DeviceMessage::ReportedFull { properties, .. } => model.check_reported(properties, Mode::Whole),
            DeviceMessage::Event { name, payload, .. } => model.check_event(name, payload),
            DeviceMessage::Diagnostics { payload, .. } => model.check_diagnostics(payload),
            DeviceMessage::Result { command, result } => {
                let asked = b.state.inbox.as_deref().and_then(|inbox| inbox.get(command)).filter(|asked| !asked.state.is_end())?;
                model.check_result(&asked.name, result)
            }
            DeviceMessage::Metadata { .. }
            | DeviceMessage::Attach { .. }
            | DeviceMessage::Detach { .. }
            | DeviceMessage::Get
            | DeviceMessage::Unreadable { .. } => return None,
        },
        Input::Patch { patch, .. } => match &patch.desired {
            // Along with another model goes a desired state that fits that one.
            Some(desired) if patch.model.is_none() => model.check_desired(desired).map_err(|m| m.within("desired")),
            _ => return None,
        },
        Input::Queue(command) => model.check_command(&command.name, &command.payload),
        _ => return None,
    };
    checked.err()
}

fn refused(input: &Input, misfit: Misfit) -> Result<Decided, Rejection> {
    let Input::Device { message, .. } = input else {
        return Err(TwinError::Misfit { pointer: misfit.pointer, reason: misfit.reason }.into());
    };
    let reason = misfit.to_string();
    let refusal = Refusal::Invalid { reason: reason.clone() };
    // Kept for whoever mends the device, as what cannot be read is.
    let raw = match message {
        // Of an answer no more is kept than what was read of it.
        DeviceMessage::Result { result, .. } => {
            serde_json::to_vec(result).ok().map(|bytes| Raw { encoding: Encoding::Json, bytes: bytes.into() })
        }
        message => message.raw().cloned(),
    };
    let kept = raw.map(|raw| EventBody::Rejected { topic: message.kind().into(), reason, raw });
    Ok(Decided { events: kept.into_iter().collect(), failed: None, said: Said::Refused(refusal) })
}
