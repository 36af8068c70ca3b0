//! When a connection reads, when it waits, and how long it may be silent.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use ntex_mqtt::{error::DecodeError, v5::codec::DisconnectReasonCode as Code};
use tokio::time::{Instant, sleep};

use super::{ending::End, run::Run};
use crate::socket::NoPacket;

/// Beyond the Receive Maximum, so that the packet that breaks it, and packets that are not messages, are still read.
const CONTROL_SLACK: usize = 8;
/// Bytes of messages in work of one connection, beside one packet of any size.
const IN_WORK_BYTES_MAX: usize = 256 * 1024;

/// Packets taken of one connection before the others of its thread have their turn.
const PACKETS_AT_ONCE: usize = 512;

pub(super) enum Read {
    Waiting,
    Progress,
    /// There may be more, but what was read must be answered and others are waiting.
    Enough,
    End(End),
}

impl Run {
    /// Takes in what has come, as far as there is room for it.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
        if self.poll_pause(cx) {
            return Read::Waiting;
        }
        let (mut packets, mut bytes) = (0, 0);
        while self.has_room() {
            if packets >= PACKETS_AT_ONCE || self.socket.has_a_page() {
                self.last_read = Instant::now();
                self.charge(packets, bytes);
                return Read::Enough;
            }
            match self.socket.poll_recv(&self.codec, cx) {
                Poll::Ready(Ok(packet)) => {
                    packets += 1;
                    bytes += self.codec.last_size() as usize;
                    if let Err(end) = self.take(packet, cx) {
                        return Read::End(end);
                    }
                }
                Poll::Ready(Err(NoPacket::Closed)) => return Read::End(End::lost("closed")),
                Poll::Ready(Err(NoPacket::Decode(error))) => return Read::End(self.undecodable(&error)),
                Poll::Pending => break,
            }
        }
        if packets > 0 {
            self.last_read = Instant::now();
            self.charge(packets, bytes);
            return Read::Progress;
        }
        match self.poll_keep_alive(cx) {
            Poll::Ready(end) => Read::End(end),
            Poll::Pending => Read::Waiting,
        }
    }

    fn has_room(&self) -> bool {
        let settings = &self.session.house.settings;
        let in_work_max = usize::from(settings.receive_max) + CONTROL_SLACK;
        self.answers.len() < in_work_max && self.answers.bytes() < IN_WORK_BYTES_MAX
    }

    fn undecodable(&self, error: &DecodeError) -> End {
        if let DecodeError::MaxSizeExceeded { .. } = error {
            self.session.house.meters.packets_too_large.increment(1);
            return End::refused("packet_too_large", Code::PacketTooLarge);
        }
        tracing::info!(device = %self.session.device, %error, "a packet could not be read");
        End::refused("malformed_packet", Code::MalformedPacket).because(error.to_string())
    }

    /// Ready when the client has been silent for too long. One whose messages we hold up is not silent.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let allowed = Duration::from_millis(self.keep_alive_ms.into());
        let Some(silence) = &mut self.silence else { return Poll::Pending };
        while silence.as_mut().poll(cx).is_ready() {
            if self.answers.len() > 0 {
                self.last_read = Instant::now();
            } else if self.last_read.elapsed() >= allowed {
                return Poll::Ready(End::keep_alive());
            }
            silence.as_mut().reset(self.last_read + allowed);
        }
        Poll::Pending
    }

    pub(super) fn stall(&mut self) {
        let patience = self.session.house.settings.write_timeout;
        self.timers().stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
    }
}
