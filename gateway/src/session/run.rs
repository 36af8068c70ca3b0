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

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use hierarchy_models::event::DisconnectReason;
use ntex::{
    io::{IoBoxed, IoStatusUpdate, RecvError},
    time::{Millis, Seconds, Sleep, now, sleep, timeout},
    util::{ByteString, join},
};
use ntex_mqtt::{error::DecodeError, v5::codec::DisconnectReasonCode as Code};

use super::{
    answers::{Answer, Answers},
    delivery::{Delivered, Delivery},
    ending::{self, End},
    inbound,
    link::SessionLink,
    state::Session,
    subscribe,
};
use crate::wire::{Codec, Inbound, Outbound, Publish, Version};

/// Beyond the Receive Maximum, so that the packet that breaks it, and packets that are not messages, are still read.
const CONTROL_SLACK: usize = 8;
/// Bytes of messages in work of one connection, beside one packet of any size.
const IN_WORK_BYTES_MAX: usize = 256 * 1024;
/// A topic of ours is shorter; a longer one is not worth an alias.
const ALIASED_TOPIC_BYTES_MAX: usize = 512;

pub(crate) struct Run {
    session: Rc<Session>,
    link: Arc<SessionLink>,
    io: IoBoxed,
    codec: Codec,
    answers: Answers,
    delivery: Delivery,
    /// Words to twins that nobody waits for.
    asides: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    aliases: HashMap<u16, ByteString>,
    /// Messages above QoS 0 that count against the Receive Maximum.
    unsettled: usize,
    /// SUBSCRIBEs whose SUBACK is not out: deliveries wait for it.
    subscribing: usize,
    keep_alive: Option<Duration>,
    last_read: Instant,
    /// The client does not read; when this elapses it is given up.
    stalled: Option<Sleep>,
    /// What it sent before is still taken from the buffer.
    peer_gone: bool,
    session_expires_at_once: bool,
}

/// What the handshake settled.
pub(crate) struct Terms {
    /// Zero: none.
    pub(crate) keep_alive_seconds: u16,
    pub(crate) send_window: u16,
    pub(crate) session_expires_at_once: bool,
}

enum Read {
    Waiting,
    Progress,
    End(End),
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

    fn write(&self, packet: Outbound) {
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

    fn aside_delivered(&self, Delivered { target, command }: Delivered) {
        let session = self.session.clone();
        self.asides.push(Box::pin(async move { session.twin.delivered(&target, command).await }));
    }

    fn aside_ready(&self) {
        let session = self.session.clone();
        self.asides.push(Box::pin(async move { session.twin.ready().await }));
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Read {
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

    fn stall(&mut self) {
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

    fn start_timer(&self, after: Option<Duration>) {
        if let Some(after) = after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            self.io.start_timer(Seconds(u16::try_from(seconds).unwrap_or(u16::MAX)));
        }
    }

    fn take(&mut self, packet: Inbound, cx: &mut Context<'_>) -> Result<(), End> {
        self.last_read = now();
        let meters = &self.session.house.meters;
        meters.packets_in.increment(1);
        meters.bytes_in.increment(self.codec.last_size().into());
        let session = self.session.clone();
        match packet {
            Inbound::Publish(publish) => return self.publish(publish, cx),
            Inbound::PubAck { id, refused } => self.acknowledged(id, refused),
            Inbound::PubRel { id } => self.answers.push(inbound::release(session, id), 0, cx),
            Inbound::Subscribe { has_identifier: true, .. } => {
                return Err(End::refused("subscription_identifier", Code::SubscriptionIdentifiersNotSupported));
            }
            Inbound::Subscribe { id, filters, .. } if !filters.is_empty() => {
                self.subscribing += 1;
                self.answers.push(subscribe::subscribe(session, id, filters), 0, cx);
            }
            Inbound::Unsubscribe { id, filters } if !filters.is_empty() => {
                self.answers.push(subscribe::unsubscribe(session, id, filters), 0, cx);
            }
            // does not wait behind messages in work: the client asks whether the connection lives, not whether the store does
            Inbound::Ping => self.write(Outbound::Pong),
            Inbound::Disconnect { expiry_seconds: Some(1..), .. } if self.session_expires_at_once => {
                return Err(End::refused("expiry_raised", Code::ProtocolError));
            }
            Inbound::Disconnect { keeps_will, expiry_seconds } => return Err(End::goodbye(keeps_will, expiry_seconds)),
            Inbound::Subscribe { .. } | Inbound::Unsubscribe { .. } => return Err(End::refused("no_filters", Code::ProtocolError)),
            Inbound::Connect(_) => return Err(End::refused("second_connect", Code::ProtocolError)),
            Inbound::Auth => return Err(End::refused("auth", Code::ProtocolError)),
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
        let size = self.codec.last_size() as usize;
        self.answers.push(inbound::publish(session, publish), size, cx);
        Ok(())
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
