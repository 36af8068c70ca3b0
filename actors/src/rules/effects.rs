//! What follows when a rule turns: events of the twin, commands, calls.

use hierarchy_models::{
    Alert, EventBody, Name, OutboundCommand, Severity, Timestamp, TwinId, Value,
    limits::{COMMAND_TTL_MAX, EFFECTS_PER_TURN_MAX, OUTBOX_COMMANDS_MAX},
    rule::{Action, CompiledRule, Target, Turned, source_of},
    value::Map,
};
use std::time::Duration;

use super::hosted::Held;
use crate::{
    alerts::{Says, raised},
    body::Body,
    twin::{Decided, outbox::queued},
};

/// Adds the effects to the turn that the rules looked at. Beyond [`EFFECTS_PER_TURN_MAX`] of them the rest waits for
/// the next look, and is counted.
pub fn add(b: &Body, held: &mut Held, turned: Vec<Turned>, decided: &mut Decided, now: Timestamp) {
    let is_orphan = |rule: &Name| !held.compiled.iter().any(|c| c.rule.id == *rule);
    let orphans: Vec<&Name> = b.state.rules_on().iter().map(|(rule, _)| rule).filter(|rule| is_orphan(rule)).collect();
    if turned.is_empty() && orphans.is_empty() {
        return;
    }
    let cause = if decided.events.is_empty() { 0 } else { b.state.seq + 1 };
    let waiting = b.state.outbox().len() + queued(&decided.events);
    let outbox_room = OUTBOX_COMMANDS_MAX.saturating_sub(waiting);
    let mut effects =
        Effects { b, cause, now, outbox_room, standing: standing_after(&b.state.alerts, &decided.events), events: Vec::new() };
    for rule in orphans {
        effects.end(rule, held);
    }
    let mut put_off: Vec<&Name> = Vec::new();
    for turned in &turned {
        let rule = &turned.rule.rule.id;
        if put_off.contains(&rule) {
            continue;
        }
        if effects.events.len() + 1 + turned.rule.rule.actions.len() > EFFECTS_PER_TURN_MAX {
            metrics::counter!("twinfold_rules_put_off_total").increment(1);
            tracing::debug!(twin = %b.id, %rule, "EFFECTS_PER_TURN_MAX is reached: a rule waits for the next look");
            held.rules.take_back(turned);
            put_off.push(rule);
            continue;
        }
        effects.turn(turned);
    }
    decided.events.append(&mut effects.events);
}

/// The alerts as the turn so far leaves them.
fn standing_after(before: &[Alert], events: &[EventBody]) -> Vec<Alert> {
    let mut standing = before.to_vec();
    for event in events {
        match event {
            EventBody::AlertRaised(alert) => {
                standing.retain(|known| known.name != alert.name);
                standing.push((**alert).clone());
            }
            EventBody::AlertCleared { name } | EventBody::AlertEnded { name, .. } => standing.retain(|known| known.name != *name),
            _ => {}
        }
    }
    standing
}

struct Effects<'a> {
    b: &'a Body,
    cause: u64,
    now: Timestamp,
    /// Commands that the outbox still takes, those of the turn itself counted.
    outbox_room: usize,
    /// Alerts as they are after the effects so far.
    standing: Vec<Alert>,
    events: Vec<EventBody>,
}

impl Effects<'_> {
    /// A rule that looks at this twin no more is off, and its alerts go.
    fn end(&mut self, rule: &Name, held: &Held) {
        let newest = held.rules.memory().now();
        let at = if newest == Timestamp::MIN { self.b.state.created_at } else { newest };
        let source = source_of(rule);
        self.events.push(EventBody::RuleTurned { rule: rule.clone(), on: false, at });
        let over: Vec<Name> = self.standing.iter().filter(|a| a.source == source).map(|a| a.name.clone()).collect();
        for name in over {
            self.events.push(EventBody::AlertEnded { name, by: source.clone(), at });
        }
        self.standing.retain(|a| a.source != source);
    }

    fn turn(&mut self, turned: &Turned) {
        let Turned { rule, on, at, .. } = turned;
        self.events.push(EventBody::RuleTurned { rule: rule.rule.id.clone(), on: *on, at: *at });
        for (n, action) in rule.rule.actions.iter().enumerate() {
            match action {
                Action::Alert { severity, .. } if *on => self.raise(turned, n, action, *severity),
                Action::Alert { .. } => self.clear(turned, action),
                Action::Webhook { .. } => {
                    let payload = self.call(turned);
                    self.events.push(EventBody::WebhookQueued { rule: rule.rule.id.clone(), action: n as u32, payload });
                }
                Action::Command { to, name, payload, ttl } if *on => {
                    self.command(rule.rule.under.as_ref(), *to, name, payload, *ttl);
                }
                Action::Emit { name, payload } if *on => {
                    self.events.push(EventBody::Emitted { name: name.clone(), payload: payload.clone() });
                }
                Action::Command { .. } | Action::Emit { .. } => {}
            }
        }
    }

    fn raise(&mut self, turned: &Turned, n: usize, action: &Action, severity: Severity) {
        let rule: &CompiledRule = &turned.rule;
        let Some(name) = rule.alert_name(action) else { return };
        let text = turned.texts.get(n).map_or("", String::as_str);
        let mut details = Map::from([("rule".into(), Value::Text(rule.rule.id.clone()))]);
        if !turned.values.is_empty() {
            details.insert("values".into(), Value::from(turned.values.clone()));
        }
        let source = rule.source();
        let says = Says { name: &name, severity, text, details, at: turned.at, source: &source, cause: self.cause };
        if let Some(alert) = raised(self.standing.iter().find(|a| a.name == name), self.standing.len(), says) {
            self.standing.retain(|a| a.name != name);
            self.standing.push(alert.clone());
            self.events.push(EventBody::AlertRaised(Box::new(alert)));
        }
    }

    /// Only what this rule itself raised: a person may have cleared it, and a behaviour raised its own of the same name since.
    fn clear(&mut self, turned: &Turned, action: &Action) {
        let source = turned.rule.source();
        let Some(name) = turned.rule.alert_name(action) else { return };
        if self.standing.iter().any(|a| a.name == name && a.source == source) {
            self.standing.retain(|a| a.name != name);
            self.events.push(EventBody::AlertEnded { name, by: source, at: turned.at });
        }
    }

    fn command(&mut self, under: Option<&TwinId>, to: Target, name: &Name, payload: &Value, ttl: f64) {
        let to = match to {
            Target::Itself => Some(self.b.id.clone()),
            // Above the rule's place ends what its writer may do.
            Target::Parent if under == Some(&self.b.id) => None,
            Target::Parent => self.b.state.parent.clone(),
        };
        // A root has no parent to command either.
        let Some(to) = to else { return };
        let ttl = Duration::try_from_secs_f64(ttl).unwrap_or_default();
        if self.outbox_room == 0 {
            metrics::counter!("twinfold_outbound_failed_total").increment(1);
            tracing::warn!(twin = %self.b.id, command = %name, "OUTBOX_COMMANDS_MAX is reached: a rule's command is not sent");
            return;
        }
        self.outbox_room -= 1;
        let expires_at = self.now.plus(ttl.min(COMMAND_TTL_MAX));
        let command = OutboundCommand { to, name: name.clone(), payload: payload.clone(), expires_at };
        self.events.push(EventBody::OutboundQueued(Box::new(command)));
    }

    /// What a webhook is told.
    fn call(&self, turned: &Turned) -> Value {
        let rule = &turned.rule.rule;
        let first = rule.actions.iter().enumerate().find_map(|(n, action)| match action {
            Action::Alert { severity, .. } => Some((turned.texts.get(n).cloned().unwrap_or_default(), severity.as_str())),
            _ => None,
        });
        let mut payload = Map::from([
            ("rule".into(), Value::Text(rule.id.clone())),
            ("twin".into(), Value::from(self.b.id.as_str())),
            ("path".into(), Value::from(self.b.path.as_str())),
            ("state".into(), Value::from(if turned.on { "raised" } else { "cleared" })),
            ("at".into(), Value::from(turned.at.to_string().as_str())),
            ("values".into(), Value::from(turned.values.clone())),
        ]);
        if let Some((text, severity)) = first {
            payload.insert("severity".into(), Value::from(severity));
            if turned.on {
                payload.insert("text".into(), Value::from(text.as_str()));
            }
        }
        Value::from(payload)
    }
}
