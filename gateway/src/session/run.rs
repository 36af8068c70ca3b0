//! A session between its CONNACK and its end: one task that reads, answers, and delivers.
//!
//! Back-pressure is the shape of the loop. Nothing is read while `mqtt.receive_max` messages are in work or the client
//! does not read what was written; nothing is delivered beyond the client's window and write buffer; what twins have
//! for it waits in a bounded queue, and beyond that in the twins.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actors::device::Outcome;
use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use hierarchy_models::event::DisconnectReason;
use ntex::util::ByteString;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{
    answers::{Answer, Answers},
    delivery::{Delivered, Delivery},
    ending::{self, End},
    link::SessionLink,
    quota::Quota,
    reading::Read,
    state::Session,
    timers::Timers,
};
use crate::{
    socket::Socket,
    wire::{Codec, Outbound},
};

pub(crate) struct Run {
    pub(super) session: Rc<Session>,
    pub(super) link: Arc<SessionLink>,
    pub(super) socket: Socket,
    pub(super) codec: Codec,
    pub(super) answers: Answers,
    /// What becomes of posted messages on its way from the link into `answers`; kept for its room.
    pub(super) settled: Vec<(u64, Outcome)>,
    pub(super) delivery: Delivery,
    /// Words to twins that nobody waits for.
    pub(super) asides: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    pub(super) aliases: HashMap<u16, ByteString>,
    /// Messages above QoS 0 that count against the Receive Maximum.
    pub(super) unsettled: u32,
    /// SUBSCRIBEs whose SUBACK is not out: deliveries wait for it.
    pub(super) subscribing: u32,
    /// How long the client may be silent; only with `silence`.
    pub(super) keep_alive_ms: u32,
    pub(super) last_read: Instant,
    /// When to look whether the client has been silent for too long.
    pub(super) silence: Option<Pin<Box<Sleep>>>,
    pub(super) timers: Option<Box<Timers>>,
    pub(super) session_expires_at_once: bool,
    pub(super) quota: Quota,
}

/// What a write came to.
enum Flushed {
    /// Nothing more is to be done now.
    All,
    /// There was no room, and there is again.
    Room,
    /// There is no room, and the client is timed.
    Stalled,
}

/// What the handshake settled.
pub(crate) struct Terms {
    /// Zero: none.
    pub(crate) keep_alive_seconds: u16,
    pub(crate) send_window: u16,
    pub(crate) session_expires_at_once: bool,
}

impl Run {
    pub(crate) fn new(session: Rc<Session>, link: Arc<SessionLink>, socket: Socket, codec: Codec, terms: &Terms) -> Self {
        let keep_alive_ms = u32::from(terms.keep_alive_seconds) * 1_500;
        let run = Self {
            session,
            link,
            socket,
            codec,
            answers: Answers::default(),
            settled: Vec::new(),
            delivery: Delivery::new(terms.send_window),
            asides: FuturesUnordered::new(),
            aliases: HashMap::new(),
            unsettled: 0,
            subscribing: 0,
            keep_alive_ms,
            last_read: Instant::now(),
            silence: (keep_alive_ms > 0).then(|| Box::pin(sleep(Duration::from_millis(keep_alive_ms.into())))),
            timers: None,
            session_expires_at_once: terms.session_expires_at_once,
            quota: Quota::default(),
        };
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
        if end.reason == DisconnectReason::ServerStopped {
            let _ = timeout(ending::FAREWELL_MAX, poll_fn(|cx| self.poll_finish(cx))).await;
        }
        if let Some((code, reason)) = &end.say {
            self.write(Outbound::Disconnect(*code, reason.clone()));
        }
        let socket = self.socket.take();
        let finished = timeout(ending::DRAIN_MAX, poll_fn(|cx| self.poll_finish(cx)));
        let ((), in_time) = tokio::join!(socket.close(), finished);
        if in_time.is_err() {
            tracing::warn!(device = %self.session.device, "messages in work did not finish before the session's end");
        }
    }

    /// Work goes on until it is done; acknowledgements go out as long as there is somebody to read them.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.listen(cx);
        // what would end the session ends nothing any more, and the answers behind it still count
        while self.answer(cx).is_err() {}
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
            if let Poll::Ready(end) = self.poll_time(cx) {
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
                Read::Waiting => match self.flush(cx) {
                    Ok(Flushed::All) => return Poll::Pending,
                    Ok(Flushed::Room | Flushed::Stalled) => {}
                    Err(end) => return Poll::Ready(end),
                },
                Read::Progress => {}
                Read::Enough => match self.flush(cx) {
                    // the others on this thread have their turn; a stalled client is timed by the next round
                    Ok(Flushed::All | Flushed::Room) => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Ok(Flushed::Stalled) => {}
                    Err(end) => return Poll::Ready(end),
                },
                Read::End(end) => return Poll::Ready(end),
            }
        }
    }

    /// Writes what waits. All work of a wake-up leaves together.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<Flushed, End> {
        let was_full = self.socket.is_full();
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(())) if was_full => Ok(Flushed::Room),
            Poll::Ready(Ok(())) => Ok(Flushed::All),
            Poll::Ready(Err(_)) => Err(End::lost("write_failed")),
            Poll::Pending if self.socket.is_full() => {
                self.stall();
                Ok(Flushed::Stalled)
            }
            // woken when the client reads on
            Poll::Pending => Ok(Flushed::All),
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

    pub(super) fn write(&mut self, packet: Outbound) {
        if let Err(error) = self.socket.write(packet, &self.codec) {
            tracing::error!(device = %self.session.device, %error, "a packet could not be written");
        }
    }

    /// Whether the client leaves unread what was written to it; an error once it has done so for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Some(deadline) = self.timers.as_mut().and_then(|timers| timers.stalled.as_mut()) else { return Ok(false) };
        match self.socket.poll_flush(cx) {
            Poll::Ready(Err(_)) => return Err(End::lost("write_failed")),
            Poll::Pending if !self.socket.has_drained() => {
                if deadline.as_mut().poll(cx).is_ready() {
                    self.socket.give_up();
                    return Err(End::lost("write_timeout"));
                }
                return Ok(true);
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.timers().stalled = None;
        self.last_read = Instant::now();
        Ok(false)
    }

    fn deliver(&mut self) {
        if self.subscribing > 0 {
            return;
        }
        for delivered in self.delivery.send(&self.session, &self.link, &mut self.socket, &self.codec) {
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
