//! A session between its CONNACK and its end: one task that reads, answers, and delivers.
//!
//! Back-pressure is the shape of the loop. Nothing is read while `mqtt.receive_max` messages are in work or the client
//! does not read what was written; nothing is delivered beyond the client's window and write buffer; what twins have
//! for it waits in a bounded queue, and beyond that in the twins.

use std::{
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actors::device::Outcome;
use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use hierarchy_models::event::DisconnectReason;
use ntex::{
    io::IoBoxed,
    time::{Millis, Sleep, now, timeout},
    util::{ByteString, join},
};

use super::{
    answers::{Answer, Answers},
    delivery::{Delivered, Delivery},
    ending::{self, End},
    link::SessionLink,
    reading::Read,
    state::Session,
};
use crate::wire::{Codec, Outbound};

pub(crate) struct Run {
    pub(super) session: Rc<Session>,
    pub(super) link: Arc<SessionLink>,
    pub(super) io: IoBoxed,
    pub(super) codec: Codec,
    pub(super) answers: Answers,
    /// What becomes of posted messages on its way from the link into `answers`; kept for its room.
    pub(super) settled: Vec<(u64, Outcome)>,
    pub(super) delivery: Delivery,
    /// Words to twins that nobody waits for.
    pub(super) asides: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    pub(super) aliases: HashMap<u16, ByteString>,
    /// Messages above QoS 0 that count against the Receive Maximum.
    pub(super) unsettled: usize,
    /// SUBSCRIBEs whose SUBACK is not out: deliveries wait for it.
    pub(super) subscribing: usize,
    pub(super) keep_alive: Option<Duration>,
    pub(super) last_read: Instant,
    /// The client does not read; when this elapses it is given up.
    pub(super) stalled: Option<Sleep>,
    /// What it sent before is still taken from the buffer.
    pub(super) peer_gone: bool,
    pub(super) session_expires_at_once: bool,
}

/// What the handshake settled.
pub(crate) struct Terms {
    /// Zero: none.
    pub(crate) keep_alive_seconds: u16,
    pub(crate) send_window: u16,
    pub(crate) session_expires_at_once: bool,
}

impl Run {
    pub(crate) fn new(session: Rc<Session>, link: Arc<SessionLink>, io: IoBoxed, codec: Codec, terms: &Terms) -> Self {
        let keep_alive = (terms.keep_alive_seconds > 0).then(|| Duration::from_secs(terms.keep_alive_seconds.into()) * 3 / 2);
        let run = Self {
            session,
            link,
            io,
            codec,
            answers: Answers::default(),
            settled: Vec::new(),
            delivery: Delivery::new(terms.send_window),
            asides: FuturesUnordered::new(),
            aliases: HashMap::new(),
            unsettled: 0,
            subscribing: 0,
            keep_alive,
            last_read: now(),
            stalled: None,
            peer_gone: false,
            session_expires_at_once: terms.session_expires_at_once,
        };
        run.start_timer(keep_alive);
        run.aside_ready();
        run
    }

    pub(crate) async fn until_end(&mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Tells the client, closes the socket, and lets messages in work finish. What is left of the session is closed by
    /// the caller.
    pub(crate) async fn wind_up(mut self, end: &End) {
        self.link.end();
        self.io.stop_timer();
        if end.reason == DisconnectReason::ServerStopped {
            let _ = timeout(Millis::from(ending::FAREWELL_MAX), poll_fn(|cx| self.poll_finish(cx))).await;
        }
        if let Some((code, reason)) = &end.say {
            self.write(Outbound::Disconnect(*code, reason.clone()));
        }
        let io = self.io.take();
        let finished = timeout(Millis::from(ending::DRAIN_MAX), poll_fn(|cx| self.poll_finish(cx)));
        let (_, in_time) = join(io.shutdown(), finished).await;
        if in_time.is_err() {
            tracing::warn!(device = %self.session.device, "messages in work did not finish before the session's end");
        }
    }

    /// Work goes on until it is done; acknowledgements go out as long as there is somebody to read them.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.answer(cx);
        while let Poll::Ready(Some(())) = self.asides.poll_next_unpin(cx) {}
        if self.answers.len() == 0 && self.asides.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.link.listen(cx);
        loop {
            if let Some(reason) = self.link.close_asked() {
                return Poll::Ready(End::closed(reason));
            }
            if let Err(end) = self.answer(cx) {
                return Poll::Ready(end);
            }
            let stalled = match self.poll_stalled(cx) {
                Ok(stalled) => stalled,
                Err(end) => return Poll::Ready(end),
            };
            if !stalled {
                self.deliver();
            }
            while let Poll::Ready(Some(())) = self.asides.poll_next_unpin(cx) {}
            if stalled {
                return Poll::Pending;
            }
            match self.read(cx) {
                Read::Waiting => return Poll::Pending,
                Read::Progress => {}
                Read::End(end) => return Poll::Ready(end),
            }
        }
    }

    /// Sends the answers whose turn has come.
    fn answer(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        self.settle(cx);
        self.answers.poll(cx);
        while let Some(answer) = self.answers.next() {
            match answer {
                Answer::Nothing => {}
                Answer::Send(packet) => self.write(packet),
                Answer::Settle(packet) => {
                    self.unsettled = self.unsettled.saturating_sub(1);
                    self.write(packet);
                }
                Answer::Subscribed(packet) => {
                    self.subscribing -= 1;
                    self.write(packet);
                }
                Answer::End(end) => return Err(end),
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, packet: Outbound) {
        if let Err(error) = self.io.encode(packet, &self.codec) {
            tracing::error!(device = %self.session.device, %error, "a packet could not be written");
        }
    }

    /// Whether the client leaves unread what was written to it; an error once it has done so for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Some(deadline) = &self.stalled else { return Ok(false) };
        match self.io.poll_flush(cx, false) {
            Poll::Ready(Ok(())) => {
                self.stalled = None;
                self.last_read = now();
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(End::lost("write_failed")),
            Poll::Pending if deadline.poll_elapsed(cx).is_ready() => {
                self.io.terminate();
                Err(End::lost("write_timeout"))
            }
            Poll::Pending => Ok(true),
        }
    }

    fn deliver(&mut self) {
        if self.subscribing > 0 {
            return;
        }
        for delivered in self.delivery.send(&self.session, &self.link, &self.io, &self.codec) {
            self.aside_delivered(delivered);
        }
        if self.link.owes_ready() {
            self.aside_ready();
        }
    }

    pub(super) fn aside_delivered(&self, Delivered { target, command }: Delivered) {
        let session = self.session.clone();
        self.asides.push(Box::pin(async move { session.twin.delivered(&target, command).await }));
    }

    fn aside_ready(&self) {
        let session = self.session.clone();
        self.asides.push(Box::pin(async move { session.twin.ready().await }));
    }
}
