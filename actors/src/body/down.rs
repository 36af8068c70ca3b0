//! What goes down to a twin's device: desired state, commands in order, as many as may be in flight.

use std::sync::Arc;

use hierarchy_models::{CommandId, limits::INBOX_IN_FLIGHT_MAX, value::Map};

use super::Body;
use crate::{
    device::{Downlink, Link, LinkError},
    twin::view::desired_document,
};

/// The way down, and what went down it in this session.
pub struct Linked {
    pub session: u64,
    pub link: Arc<dyn Link>,
    /// The session has said that it can take downlinks.
    pub ready: bool,
    /// Commands handed to this session.
    pub(super) handed: Vec<CommandId>,
    /// The whole desired state must go down next.
    pub desired_due: bool,
}

impl Linked {
    pub fn new(session: u64, link: Arc<dyn Link>) -> Self {
        Self { session, link, ready: false, handed: Vec::new(), desired_due: false }
    }
}

impl Body {
    /// The link is gone or replaced; what it was handed is remembered.
    pub fn unlink(&mut self) -> Option<Box<Linked>> {
        let mut old = self.linked.take()?;
        for id in std::mem::take(&mut old.handed) {
            if !self.extras().handed_before.contains(&id) {
                self.extras_mut().handed_before.push(id);
            }
        }
        Some(old)
    }

    /// Hands down what is due: desired state first, then commands in order, as many as may be in flight.
    pub fn pump(&mut self) {
        let now = self.runtime.clock.now();
        let Some(linked) = self.linked.as_mut().filter(|l| l.ready) else { return };
        let subscriptions = self.state.connection.subscriptions;
        // Nothing goes down that is not durable; the commit under way comes back here.
        let is_durable = self.durable_seq >= self.state.seq;
        if subscriptions.desired.is_some() && linked.desired_due && is_durable {
            let document = desired_document(&self.state);
            let message = Downlink::Desired { document, version: self.state.desired_version, full: true };
            match linked.link.deliver(&self.id, message) {
                Ok(()) => linked.desired_due = false,
                Err(_) => return,
            }
        }
        let Some(inbox) = self.state.inbox.as_deref().filter(|_| subscriptions.commands.is_some()) else { return };
        if let Some(extras) = self.extras.as_deref_mut() {
            extras.handed_before.retain(|id| inbox.open.iter().any(|o| o.command.id == *id));
        }
        let handed_before = self.extras.as_deref().map_or(&[][..], |e| &e.handed_before);
        linked.handed.retain(|id| inbox.open.iter().any(|o| o.command.id == *id));
        for open in &inbox.open {
            if linked.handed.len() >= INBOX_IN_FLIGHT_MAX {
                break;
            }
            let c = &open.command;
            if open.seq > self.durable_seq || c.expires_at <= now || linked.handed.contains(&c.id) {
                continue;
            }
            let message = Downlink::Command {
                id: c.id.clone(),
                name: c.name.clone(),
                payload: c.payload.clone(),
                expires_at: c.expires_at,
                redelivery: c.deliveries > 0 || handed_before.contains(&c.id),
            };
            match linked.link.deliver(&self.id, message) {
                Ok(()) => linked.handed.push(c.id.clone()),
                Err(LinkError::Full | LinkError::Closed) => break,
            }
        }
    }

    /// A change of desired properties, durable now, on its way down.
    pub fn desired_changed(&mut self, patch: Map, version: u64) {
        let Some(linked) = self.linked.as_mut() else { return };
        if self.state.connection.subscriptions.desired.is_none() {
            return;
        }
        if !linked.ready || linked.desired_due {
            linked.desired_due = true;
            return;
        }
        let mut document = patch;
        document.insert("$version".into(), hierarchy_models::Value::Int(version as i64));
        if linked.link.deliver(&self.id, Downlink::Desired { document, version, full: false }).is_err() {
            linked.desired_due = true;
        }
    }
}
