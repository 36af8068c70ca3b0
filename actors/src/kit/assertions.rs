//! How a test says what must have followed. A failing one says what followed instead.

use hierarchy_models::Alert;

use super::Effect;

/// Effects, one a line, for a message.
fn listed(effects: &[Effect]) -> String {
    if effects.is_empty() { "nothing".into() } else { effects.iter().map(|effect| format!("\n  {effect:?}")).collect() }
}

#[track_caller]
pub fn nothing(effects: &[Effect]) {
    assert!(effects.is_empty(), "nothing should follow, but there is:{}", listed(effects));
}

#[track_caller]
pub fn alert<'a>(id: &str, alerts: &'a [Alert], name: &str) -> &'a Alert {
    match alerts.iter().find(|alert| alert.name == name) {
        Some(alert) => alert,
        None => {
            let names: Vec<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
            panic!("no alert {name:?} stands on {id}; there stand {names:?}");
        }
    }
}

#[track_caller]
pub fn no_alert(id: &str, alerts: &[Alert], name: &str) {
    assert!(!alerts.iter().any(|alert| alert.name == name), "alert {name:?} stands on {id}");
}

/// The first effect that `wanted` takes.
#[track_caller]
pub fn effect(effects: &[Effect], what: &str, wanted: impl Fn(&Effect) -> bool) -> Effect {
    match effects.iter().find(|effect| wanted(effect)) {
        Some(effect) => effect.clone(),
        None => panic!("{what} should follow, but there is {}", listed(effects)),
    }
}
