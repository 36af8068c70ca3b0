//! The kinds that come with the program: places that only fold, and devices that tell when they are lost or alarmed.

use std::{collections::HashMap, sync::Arc};

use hierarchy_models::{Severity, Value, event::DisconnectReason, model, value::Map};

use super::{Context, Kind, Kinds, Trigger};

/// Site, Building, Floor, Room: all they do is fold what is below.
struct Place;

impl Kind for Place {
    fn turn(&self, _: &Trigger<'_>, _: &mut Context<'_>) -> Result<(), String> {
        Ok(())
    }

    fn is_built_in(&self) -> bool {
        true
    }
}

/// Device, Gateway, and every model without a behaviour of its own.
///
/// The special event `alarm` (`{"name"?, "severity"?, "text"?}`) raises an alert, `alarm-cleared` (`{"name"?}`) clears it.
/// A connection that ends without a goodbye raises `connection-lost`; the next connection clears it.
struct Device;

const CONNECTION_LOST: &str = "connection-lost";

impl Kind for Device {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String> {
        as_every_device(trigger, cx);
        Ok(())
    }

    fn is_built_in(&self) -> bool {
        true
    }
}

/// What every device does, whatever behaviour is bound to its model.
pub fn as_every_device(trigger: &Trigger<'_>, cx: &mut Context<'_>) {
    match trigger {
        Trigger::Event { name: "alarm", payload } => {
            let severity = match payload.get("severity").and_then(Value::as_str) {
                Some("critical") => Severity::Critical,
                Some("info") => Severity::Info,
                _ => Severity::Warning,
            };
            let text = payload.get("text").and_then(Value::as_str).unwrap_or_default();
            cx.raise(alarm_name(payload), severity, text, Map::new());
        }
        Trigger::Event { name: "alarm-cleared", payload } => cx.clear(alarm_name(payload)),
        Trigger::Connected => cx.clear(CONNECTION_LOST),
        Trigger::Disconnected { reason: DisconnectReason::Lost } => {
            cx.raise(CONNECTION_LOST, Severity::Warning, "the connection ended without a goodbye", Map::new());
        }
        _ => {}
    }
}

fn alarm_name(payload: &Value) -> &str {
    payload.get("name").and_then(Value::as_str).filter(|n| !n.is_empty() && n.len() <= 128).unwrap_or("alarm")
}

pub fn kinds() -> Kinds {
    let place: Arc<dyn Kind> = Arc::new(Place);
    let device: Arc<dyn Kind> = Arc::new(Device);
    let by_model = model::BUILT_INS
        .iter()
        .filter_map(|b| Some((model::resolve(b.short).ok()?, if b.is_place { place.clone() } else { device.clone() })))
        .collect::<HashMap<_, _>>();
    Kinds { by_model, fallback: device }
}
