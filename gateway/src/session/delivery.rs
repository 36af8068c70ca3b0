//! From the twins' queue to the socket: commands, desired state, twin views; and what becomes of their acknowledgements.
//!
//! Ours and not `ntex_mqtt`'s sink: that closes the connection of a client that acknowledges out of order.

use std::collections::VecDeque;

use hierarchy_models::{CommandId, Timestamp, TwinId};
use ntex_mqtt::error::EncodeError;

use super::{link::SessionLink, state::Session};
use crate::{
    dialects::Outgoing,
    socket::Socket,
    wire::{Codec, Down, Outbound},
};

/// A command that reached the device.
pub(crate) struct Delivered {
    pub(crate) target: TwinId,
    pub(crate) command: CommandId,
}

pub(crate) struct Delivery {
    window: u16,
    last_id: u16,
    /// In the order they were sent.
    in_flight: VecDeque<(u16, Option<Delivered>)>,
}

impl Delivery {
    pub(crate) fn new(window: u16) -> Self {
        Self { window: window.max(1), last_id: 0, in_flight: VecDeque::new() }
    }

    /// Sends what fits the window and the write buffer; gives the commands that went out at QoS 0.
    pub(crate) fn send(&mut self, session: &Session, link: &SessionLink, socket: &mut Socket, codec: &Codec) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        while self.in_flight.len() < self.window.into() && !socket.is_full() {
            let Some((target, message)) = link.take() else { break };
            let Some(outgoing) = session.dialect().downlink(&target, &message) else { continue };
            let qos = session.subscribed.borrow().qos(&session.device, &target, outgoing.downstream);
            // An earlier connection of this session may have subscribed with more rights than this one has.
            let qos = qos.filter(|_| session.scope.get().subscribe);
            let expiry = remaining(&outgoing, session.house.twins.clock().now());
            let (Some(qos), Ok(expiry)) = (qos, expiry) else {
                session.house.meters.downlink_dropped.increment(1);
                continue;
            };
            let command = outgoing.correlation.clone().map(|command| Delivered { target: target.clone(), command });
            let id = if qos > 0 { self.next_id() } else { 0 };
            if !write(session, &target, socket, codec, packet(outgoing, id, expiry)) {
                continue;
            }
            if qos > 0 {
                self.in_flight.push_back((id, command));
            } else {
                delivered.extend(command);
            }
        }
        delivered
    }

    /// The device has acknowledged a packet. Unknown ids are nobody's: acknowledgements may come late and twice.
    pub(crate) fn acknowledged(&mut self, id: u16) -> Option<Delivered> {
        let at = self.in_flight.iter().position(|(sent, _)| *sent == id)?;
        self.in_flight.remove(at)?.1
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.iter().any(|(id, _)| *id == self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// Seconds left to live, if it has an end; `Err` when it is past.
fn remaining(outgoing: &Outgoing, now: Timestamp) -> Result<Option<u32>, ()> {
    match outgoing.expires_at {
        None => Ok(None),
        Some(end) if end <= now => Err(()),
        Some(end) => Ok(Some(u32::try_from(end.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX))),
    }
}

fn packet(outgoing: Outgoing, id: u16, expiry_seconds: Option<u32>) -> Down {
    Down {
        id,
        dup: outgoing.redelivery,
        topic: outgoing.topic,
        payload: outgoing.payload,
        content_type: outgoing.content_type,
        expiry_seconds,
        correlation: outgoing.correlation.map(|id| id.to_string()),
        redelivery: outgoing.redelivery,
    }
}

fn write(session: &Session, target: &TwinId, socket: &mut Socket, codec: &Codec, down: Down) -> bool {
    let topic = down.topic.clone();
    match socket.write(Outbound::Publish(Box::new(down)), codec) {
        Ok(()) => {
            session.house.meters.downlink_sent.increment(1);
            true
        }
        Err(EncodeError::OverMaxPacketSize) => {
            session.house.meters.downlink_too_large.increment(1);
            tracing::warn!(device = %session.device, %target, topic, "a message is beyond the device's Maximum Packet Size");
            false
        }
        Err(error) => {
            tracing::error!(device = %session.device, %target, topic, %error, "a message could not be written");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_in_flight_are_not_given_twice() {
        let mut delivery = Delivery::new(8);
        delivery.last_id = u16::MAX - 1;
        delivery.in_flight.push_back((1, None));
        assert_eq!([delivery.next_id(), delivery.next_id()], [u16::MAX, 2]);
    }

    #[test]
    fn acknowledgements_may_come_in_any_order_and_for_nothing() {
        let mut delivery = Delivery::new(8);
        let sent = |name| Some(Delivered { target: TwinId::new("d").unwrap(), command: CommandId::new(name).unwrap() });
        delivery.in_flight.extend([(1, sent("a")), (2, sent("b"))]);
        assert_eq!(delivery.acknowledged(2).unwrap().command.as_str(), "b");
        assert!(delivery.acknowledged(2).is_none());
        assert_eq!(delivery.acknowledged(1).unwrap().command.as_str(), "a");
    }
}
