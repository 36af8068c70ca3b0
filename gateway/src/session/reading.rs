//! When a connection reads, when it waits, and how long it may be silent.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use ntex::{
    io::{IoStatusUpdate, RecvError},
    time::{Millis, Seconds, now, sleep},
};
use ntex_mqtt::{error::DecodeError, v5::codec::DisconnectReasonCode as Code};

use super::{ending::End, run::Run};
use crate::wire::Codec;

/// Beyond the Receive Maximum, so that the packet that breaks it, and packets that are not messages, are still read.
const CONTROL_SLACK: usize = 8;
/// Bytes of messages in work of one connection, beside one packet of any size.
const IN_WORK_BYTES_MAX: usize = 256 * 1024;

pub(super) enum Read {
    Waiting,
    Progress,
    End(End),
}

impl Run {
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let mut progress = false;
        loop {
            let end = if self.has_room() {
                match self.io.poll_recv(&self.codec, cx) {
                    Poll::Ready(Ok(packet)) => {
                        progress = true;
                        match self.take(packet, cx) {
                            Ok(()) => continue,
                            Err(end) => Some(end),
                        }
                    }
                    Poll::Ready(Err(error)) => self.no_packet(error),
                    Poll::Pending => return if progress { Read::Progress } else { Read::Waiting },
                }
            } else {
                match self.poll_paused(cx) {
                    Poll::Ready(end) => end,
                    Poll::Pending => return if progress { Read::Progress } else { Read::Waiting },
                }
            };
            return end.map_or(Read::Progress, Read::End);
        }
    }

    fn has_room(&self) -> bool {
        let settings = &self.session.house.settings;
        let in_work_max = usize::from(settings.receive_max) + CONTROL_SLACK;
        self.answers.len() < in_work_max && self.answers.bytes() < IN_WORK_BYTES_MAX
    }

    /// Waits for room without reading. A client whose messages we hold up is not silent.
    fn poll_paused(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        if self.peer_gone {
            return Poll::Pending;
        }
        match self.io.poll_read_pause(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(IoStatusUpdate::KeepAlive) => {
                self.last_read = now();
                self.start_timer(self.keep_alive);
                Poll::Ready(None)
            }
            Poll::Ready(IoStatusUpdate::WriteBackpressure) => {
                self.stall();
                Poll::Ready(None)
            }
            Poll::Ready(IoStatusUpdate::PeerGone(_)) => {
                self.peer_gone = true;
                Poll::Ready(None)
            }
        }
    }

    fn no_packet(&mut self, error: RecvError<Codec>) -> Option<End> {
        match error {
            RecvError::WriteBackpressure => {
                self.stall();
                None
            }
            RecvError::KeepAlive => self.check_keep_alive(),
            RecvError::PeerGone(_) => Some(End::lost("closed")),
            RecvError::Decoder(error) => Some(self.undecodable(&error)),
        }
    }

    fn undecodable(&self, error: &DecodeError) -> End {
        if let DecodeError::MaxSizeExceeded { .. } = error {
            self.session.house.meters.packets_too_large.increment(1);
            return End::refused("packet_too_large", Code::PacketTooLarge);
        }
        tracing::info!(device = %self.session.device, %error, "a packet could not be read");
        End::refused("malformed_packet", Code::MalformedPacket).because(error.to_string())
    }

    pub(super) fn stall(&mut self) {
        let patience = self.session.house.settings.write_timeout;
        self.stalled.get_or_insert_with(|| sleep(Millis::from(patience)));
    }

    fn check_keep_alive(&self) -> Option<End> {
        let allowed = self.keep_alive?;
        let silent = now().saturating_duration_since(self.last_read);
        if silent >= allowed {
            return Some(End::keep_alive());
        }
        self.start_timer(Some(allowed - silent));
        None
    }

    pub(super) fn start_timer(&self, after: Option<Duration>) {
        if let Some(after) = after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            self.io.start_timer(Seconds(u16::try_from(seconds).unwrap_or(u16::MAX)));
        }
    }
}
