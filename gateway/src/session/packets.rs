//! What each packet of an established session sets going.

use std::task::Context;

use actors::device::Outcome;
use ntex::util::ByteString;
use ntex_mqtt::v5::codec::DisconnectReasonCode as Code;

use super::{
    answers::Posted,
    ending::End,
    inbound::{self, Heard},
    renewal,
    run::Run,
    subscribe,
    verdict::Receipt,
};
use crate::wire::{Inbound, Outbound, Publish, Version};

/// A topic of ours is shorter; a longer one is not worth an alias.
const ALIASED_TOPIC_BYTES_MAX: usize = 512;

/// Room for outcomes that a connection keeps between its bursts.
const SETTLED_ROOM_KEPT: usize = 16;

impl Run {
    pub(super) fn take(&mut self, packet: Inbound, cx: &mut Context<'_>) -> Result<(), End> {
        let meters = &self.session.house.meters;
        meters.packets_in.increment(1);
        meters.bytes_in.increment(self.codec.last_size().into());
        let (session, bytes) = (self.session.clone(), self.codec.last_size() as usize);
        match packet {
            Inbound::Publish(publish) => return self.publish(publish, cx),
            Inbound::PubAck { id, refused } => self.acknowledged(id, refused),
            Inbound::PubRel { id } => self.answers.push(inbound::release(session, id), 0, cx),
            Inbound::Subscribe { has_identifier: true, .. } => {
                return Err(End::refused("subscription_identifier", Code::SubscriptionIdentifiersNotSupported));
            }
            Inbound::Subscribe { id, filters, .. } if !filters.is_empty() => {
                self.subscribing += 1;
                self.answers.push(subscribe::subscribe(session, id, filters), bytes, cx);
            }
            Inbound::Unsubscribe { id, filters } if !filters.is_empty() => {
                self.answers.push(subscribe::unsubscribe(session, id, filters), bytes, cx);
            }
            // does not wait behind messages in work: the client asks whether the connection lives, not whether the store does
            Inbound::Ping => self.write(Outbound::Pong),
            Inbound::Disconnect { expiry_seconds: Some(1..), .. } if self.session_expires_at_once => {
                return Err(End::refused("expiry_raised", Code::ProtocolError));
            }
            Inbound::Disconnect { keeps_will, expiry_seconds } => return Err(End::goodbye(keeps_will, expiry_seconds)),
            Inbound::Subscribe { .. } | Inbound::Unsubscribe { .. } => return Err(End::refused("no_filters", Code::ProtocolError)),
            Inbound::Connect(_) => return Err(End::refused("second_connect", Code::ProtocolError)),
            Inbound::Auth { again, proof } => {
                let token = renewal::token_of(&session, again, proof)?;
                self.answers.push(renewal::by_packet(session, token), bytes, cx);
            }
            Inbound::Unexpected(name) => return Err(End::refused("unexpected_packet", Code::ProtocolError).because(name)),
        }
        Ok(())
    }

    fn acknowledged(&mut self, id: u16, refused: bool) {
        if let Some(delivered) = self.delivery.acknowledged(id) {
            if refused {
                tracing::info!(device = %delivered.target, command = %delivered.command, "the device refused a command's packet");
            }
            self.aside_delivered(delivered);
        }
    }

    fn publish(&mut self, mut publish: Publish, cx: &mut Context<'_>) -> Result<(), End> {
        if self.session.is_over() {
            return Err(End::time_over());
        }
        let v5 = self.session.version == Version::V5;
        if v5 && publish.retain {
            return Err(End::refused("retain", Code::RetainNotSupported));
        }
        if v5 {
            self.resolve_alias(&mut publish)?;
        }
        let (session, id) = (self.session.clone(), publish.id);
        if publish.qos == 2 && session.exactly_once.borrow().knows(id) {
            self.answers.push(inbound::repeated(session, id), 0, cx);
            return Ok(());
        }
        if publish.qos > 0 {
            if v5 && self.unsettled >= session.house.settings.receive_max.into() {
                return Err(End::refused("receive_maximum", Code::ReceiveMaximumExceeded));
            }
            self.unsettled += 1;
        }
        if publish.qos == 2 {
            session.exactly_once.borrow_mut().under_way.insert(id);
        }
        let bytes = self.codec.last_size() as usize;
        let receipt = Receipt { version: session.version, qos: publish.qos, id };
        match inbound::hear(&session, receipt, &publish) {
            Heard::Message(child, message) if !self.answers.is_working() => {
                let ticket = self.answers.post(Posted { receipt, child: child.clone(), kind: message.kind(), bytes });
                let packet = (receipt.qos == 2).then_some(id);
                let target = child.as_ref().unwrap_or(&session.device);
                if let Err(message) = session.twin.post(target, message, packet, ticket) {
                    self.answers.work_on(ticket, inbound::send(session, receipt, child, message), cx);
                }
            }
            heard => self.answers.push(inbound::work(session, receipt, publish, heard), bytes, cx),
        }
        Ok(())
    }

    /// Takes in what became of posted messages.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        self.link.take_settled(&mut self.settled);
        let mut settled = std::mem::take(&mut self.settled);
        for (ticket, outcome) in settled.drain(..) {
            let Some(Posted { receipt, child, kind, .. }) = self.answers.posted(ticket).cloned() else { continue };
            let result = match outcome {
                Outcome::Taken => Ok(()),
                Outcome::Refused(refusal) => Err(refusal),
                Outcome::Returned(again) => {
                    self.answers.work_on(ticket, inbound::send(self.session.clone(), receipt, child, again.0), cx);
                    continue;
                }
            };
            let answer = inbound::settled(&self.session, receipt, child.as_ref().unwrap_or(&self.session.device), kind, result);
            self.answers.settle(ticket, answer);
        }
        if settled.capacity() <= SETTLED_ROOM_KEPT {
            self.settled = settled;
        }
    }

    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), End> {
        let invalid = || End::refused("topic_alias", Code::TopicAliasInvalid);
        let Some(alias) = publish.alias else {
            let empty = publish.topic.is_empty();
            return if empty { Err(End::refused("no_topic", Code::ProtocolError)) } else { Ok(()) };
        };
        if alias > self.session.house.settings.topic_alias_max {
            return Err(invalid());
        }
        if publish.topic.is_empty() {
            publish.topic = self.aliases.get(&alias).cloned().ok_or_else(invalid)?;
        } else if publish.topic.len() > ALIASED_TOPIC_BYTES_MAX {
            return Err(End::refused("topic_too_long", Code::TopicNameInvalid));
        } else {
            // a copy: the packet's own string holds on to the page it was read into
            self.aliases.insert(alias, ByteString::from(publish.topic.as_str()));
        }
        Ok(())
    }
}
