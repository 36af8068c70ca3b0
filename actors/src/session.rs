//! A device's session: its way into its own twin, and into those of the devices it speaks for.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    sync::Arc,
};

use hierarchy_models::{
    CommandId, DeviceMessage, TwinId,
    event::{DisconnectReason, Subscriptions, Will},
};

use crate::{
    body::refusal_of_problem,
    device::{CloseReason, Connect, ConnectError, Downlink, Link, LinkError, Outcome, Refusal},
    directory::TwinRef,
    envelope::{Answer, Ask, Envelope, Problem},
    error::TwinError,
    host::Host,
    runtime::{Place, Runtime},
    twin::{
        decide::{GATEWAY_PROTOCOL, Input},
        device_input::{ATTACHED_MAX, Speaker},
    },
};

/// Held by the gateway for as long as the connection lasts. Lives on the thread it was made on.
pub struct DeviceSession {
    runtime: Arc<Runtime>,
    device: TwinId,
    twin: Cell<TwinRef>,
    number: u64,
    expiry_seconds: u32,
    link: Arc<dyn Link>,
    session_present: bool,
    subscriptions: Subscriptions,
    held_packets: Vec<u16>,
    /// Children that were attached in an earlier connection of this session.
    inherited: RefCell<Vec<TwinId>>,
    /// Children attached through this connection.
    children: RefCell<HashSet<TwinId>>,
}

impl DeviceSession {
    pub(crate) async fn open(runtime: &Arc<Runtime>, connect: Connect) -> Result<Self, ConnectError> {
        let Connect { device, protocol, remote, clean_start, expiry, proof, link } = connect;
        let number = runtime.next_session();
        let expiry_seconds = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        let by = Speaker::Own { session: number };
        let mut ask = Ask::Connect { by, session: number, protocol, remote, clean_start, expiry_seconds, link: link.clone() };
        loop {
            let twin = runtime.resolve(&device, Place::Here).await.map_err(|e| connect_error(&device, e))?;
            match runtime.ask_at(twin, ask).await {
                Err(Problem::Returned(again)) => ask = *again,
                Ok(Answer::Connected { session_present, subscriptions, held_packets, attached }) => {
                    // The key may have been withdrawn between the door and here, when nobody was inside to be shown out.
                    if let Some(proof) = proof
                        && !runtime.identities.is_current(&device, proof).await
                    {
                        let _ = runtime.ask_at(twin, Ask::Kick(CloseReason::Revoked)).await;
                        return Err(ConnectError::Inactive(device));
                    }
                    return Ok(Self {
                        runtime: runtime.clone(),
                        device,
                        twin: Cell::new(twin),
                        number,
                        expiry_seconds,
                        link,
                        session_present,
                        subscriptions,
                        held_packets,
                        inherited: RefCell::new(if session_present { attached } else { Vec::new() }),
                        children: RefCell::default(),
                    });
                }
                Ok(_) => return Err(ConnectError::Stopping),
                Err(Problem::Call(error)) => return Err(connect_error(&device, error)),
                Err(Problem::Device(Refusal::NotAuthorized { .. })) => return Err(ConnectError::Inactive(device)),
                Err(Problem::Device(refusal)) => {
                    let detail = refusal.to_string();
                    return Err(ConnectError::Store(persistence::Error::Unavailable { doing: "connecting", detail }));
                }
            }
        }
    }

    pub fn device(&self) -> &TwinId {
        &self.device
    }

    /// Unique in this process.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether an earlier session goes on.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// What the earlier session had subscribed to; delivery goes on by itself.
    pub fn subscriptions(&self) -> Subscriptions {
        self.subscriptions
    }

    /// QoS 2 packet ids that were taken and not released yet.
    pub fn held_packets(&self) -> &[u16] {
        &self.held_packets
    }

    /// Asks the device's own twin, found again when it moved.
    async fn ask_own(&self, ask: Ask) -> Result<Answer, Problem> {
        let mut ask = ask;
        loop {
            match self.runtime.ask_at(self.twin.get(), ask).await {
                Err(Problem::Returned(again)) => ask = *again,
                reply => return reply,
            }
            self.twin.set(self.runtime.resolve(&self.device, Place::Any).await?);
        }
    }

    /// The address of a twin that this device speaks for, brought to this thread so that the next message can be posted.
    async fn bring(&self, child: &TwinId) {
        if let Err(error) = self.runtime.resolve(child, Place::Near).await {
            tracing::debug!(gateway = %self.device, %child, %error, "a child stays where it is");
        }
    }

    async fn ask_target(&self, target: &TwinId, ask: Ask) -> Result<Answer, Problem> {
        if *target == self.device { self.ask_own(ask).await } else { self.runtime.ask(target, ask).await }
    }

    fn speaker(&self, target: &TwinId) -> Speaker {
        if *target == self.device { Speaker::Own { session: self.number } } else { Speaker::Gateway { id: self.device.clone() } }
    }

    /// Starts delivery (pending commands, desired state) after the CONNACK is out; called again when a full queue has room.
    pub async fn ready(&self) {
        let inherited = std::mem::take(&mut *self.inherited.borrow_mut());
        for child in inherited {
            if self.attach(&child).await.is_err() {
                tracing::debug!(gateway = %self.device, %child, "a child of an earlier session cannot be attached again");
            }
        }
        let _ = self.ask_own(Ask::Ready { session: self.number }).await;
        let children: Vec<TwinId> = self.children.borrow().iter().cloned().collect();
        for child in children {
            let _ = self.runtime.ask(&child, Ask::Ready { session: self.number }).await;
        }
    }

    /// Hands a message to the twin of `target` (the device itself, or one it is the gateway of) and returns when what
    /// it changed is durable. `packet` is the id of a QoS 2 message, remembered with it. Messages of one session to one
    /// twin keep the order of the calls' first polls.
    pub async fn send(&self, target: &TwinId, message: DeviceMessage, packet: Option<u16>) -> Result<(), Refusal> {
        self.runtime.intake.pass().await;
        match &message {
            DeviceMessage::Attach { child } => self.attach(&child.clone()).await?,
            DeviceMessage::Detach { child } => self.detach(&child.clone(), DisconnectReason::Goodbye).await?,
            _ => {}
        }
        let speaker = self.speaker(target);
        if matches!(message, DeviceMessage::Get) {
            self.ask_target(target, Ask::Get { speaker }).await.map_err(refusal_of_problem)?;
            return Ok(());
        }
        let own = *target == self.device;
        let input = Input::Device { speaker, message, packet: packet.filter(|_| own) };
        self.ask_target(target, Ask::Core(input)).await.map_err(refusal_of_problem)?;
        // Taken: so the device may speak for it. Nobody brings twins to its thread by asking for them.
        if !own && self.local(target).is_none() {
            self.bring(target).await;
        }
        match packet.filter(|_| !own) {
            // The packet belongs to the gateway's session, the message to the child.
            Some(packet) => self.hold(packet).await,
            None => Ok(()),
        }
    }

    /// The host and address of a twin that lives on this thread.
    fn local(&self, target: &TwinId) -> Option<(Rc<Host>, TwinRef)> {
        let twin = if *target == self.device { self.twin.get() } else { self.runtime.directory.peek(target)? };
        Some((self.runtime.here(twin)?, twin))
    }

    /// The same where that needs no waiting: the twin takes the message now, and what becomes of it is told to the session's
    /// link under `ticket`. `Err` gives the message back when it cannot be so: the twin lives on another thread or is not in
    /// memory, the message opens or closes a way for somebody, it is a QoS 2 message for a child, or the intake is shut.
    #[allow(clippy::result_large_err)] // it is the message, and comes back to be sent
    pub fn post(&self, target: &TwinId, message: DeviceMessage, packet: Option<u16>, ticket: u64) -> Result<(), DeviceMessage> {
        let plain = !matches!(message, DeviceMessage::Attach { .. } | DeviceMessage::Detach { .. } | DeviceMessage::Get);
        let alone = packet.is_none() || *target == self.device;
        let local = if plain && alone && self.runtime.intake.is_open() { self.local(target) } else { None };
        let Some((host, twin)) = local else { return Err(message) };
        let ask = Ask::Core(Input::Device { speaker: self.speaker(target), message, packet });
        host.deliver(twin.seat, Envelope::post(ask, self.link.clone(), ticket));
        Ok(())
    }

    async fn hold(&self, packet: u16) -> Result<(), Refusal> {
        let input = Input::HoldPacket { session: self.number, packet };
        self.ask_own(Ask::Core(input)).await.map(drop).map_err(refusal_of_problem)
    }

    /// The QoS 2 handshake of this packet is over.
    pub async fn release(&self, packet: u16) -> Result<(), Refusal> {
        let input = Input::ReleasePacket { session: self.number, packet };
        self.ask_own(Ask::Core(input)).await.map(drop).map_err(refusal_of_problem)
    }

    /// Replaces the session's subscriptions to one twin's downlink. New ones start delivery.
    pub async fn subscribe(&self, target: &TwinId, subscriptions: Subscriptions) -> Result<(), Refusal> {
        if *target != self.device && !self.children.borrow().contains(target) {
            self.attach(target).await?;
        }
        let ask = Ask::Subscribe { session: self.number, subscriptions };
        self.ask_target(target, ask).await.map(drop).map_err(refusal_of_problem)
    }

    /// The device has acknowledged (or, at QoS 0, been sent) this command.
    pub async fn delivered(&self, target: &TwinId, command: CommandId) {
        let _ = self.ask_target(target, Ask::Core(Input::Delivered(command))).await;
        // There is room for the next one.
        let _ = self.ask_target(target, Ask::Ready { session: self.number }).await;
    }

    /// Whether this session may speak for `target`.
    pub async fn speaks_for(&self, target: &TwinId) -> bool {
        if *target == self.device || self.children.borrow().contains(target) {
            return true;
        }
        self.is_gateway_of(target).await
    }

    /// As the twin itself says now: it may have been given to another gateway since it was attached.
    async fn is_gateway_of(&self, child: &TwinId) -> bool {
        let gateway = self.runtime.ask(child, Ask::Gateway).await;
        matches!(gateway, Ok(Answer::Gateway(Some(gateway), _)) if gateway == self.device)
    }

    /// What an earlier connection of this session had subscribed to of a child; nothing of twins it does not speak for.
    pub async fn subscriptions_of(&self, child: &TwinId) -> Subscriptions {
        match self.runtime.ask(child, Ask::Gateway).await {
            Ok(Answer::Gateway(Some(gateway), subscriptions)) if gateway == self.device => subscriptions,
            _ => Subscriptions::default(),
        }
    }

    async fn attach(&self, child: &TwinId) -> Result<(), Refusal> {
        if self.children.borrow().len() >= ATTACHED_MAX {
            return Err(Refusal::Quota { limit: "ATTACHED_MAX", detail: format!("{ATTACHED_MAX} attached devices") });
        }
        if self.is_gateway_of(child).await {
            self.bring(child).await;
        }
        let ask = Ask::Connect {
            by: Speaker::Gateway { id: self.device.clone() },
            session: self.number,
            protocol: GATEWAY_PROTOCOL.into(),
            remote: self.device.to_string(),
            clean_start: false,
            expiry_seconds: self.expiry_seconds,
            link: Arc::new(ChildLink(self.link.clone())),
        };
        if let Err(problem) = self.runtime.ask(child, ask).await {
            self.children.borrow_mut().remove(child);
            return Err(refusal_of_problem(problem));
        }
        let _ = self.runtime.ask(child, Ask::Ready { session: self.number }).await;
        self.children.borrow_mut().insert(child.clone());
        Ok(())
    }

    async fn detach(&self, child: &TwinId, reason: DisconnectReason) -> Result<(), Refusal> {
        self.children.borrow_mut().remove(child);
        let input = Input::Disconnect { session: self.number, reason, will: None, expiry_seconds: None };
        // A child that is not in memory has no link; and nobody is started any more while the server stops.
        let Some(twin) = self.runtime.directory.peek(child) else { return Ok(()) };
        self.runtime.ask_at(twin, Ask::Core(input)).await.map(drop).map_err(refusal_of_problem)
    }

    /// Ends the session's connection; a persistent session goes on without it until it expires.
    pub async fn close(self, reason: DisconnectReason, will: Option<Will>) {
        self.end(reason, will, None).await;
    }

    /// The same, with another expiry than the one it was opened with (MQTT 5 allows that in DISCONNECT).
    pub async fn close_with_expiry(self, reason: DisconnectReason, will: Option<Will>, expiry_seconds: u32) {
        self.end(reason, will, Some(expiry_seconds)).await;
    }

    async fn end(self, reason: DisconnectReason, will: Option<Will>, expiry_seconds: Option<u32>) {
        let children: Vec<TwinId> = self.children.borrow().iter().cloned().collect();
        for child in children {
            let _ = self.detach(&child, reason).await;
        }
        let input = Input::Disconnect { session: self.number, reason, will, expiry_seconds };
        let _ = self.ask_own(Ask::Core(input)).await;
    }
}

/// A gateway's link as one of its children sees it: what ends the child's session does not end the gateway's.
struct ChildLink(Arc<dyn Link>);

impl Link for ChildLink {
    fn deliver(&self, target: &TwinId, message: Downlink) -> Result<(), LinkError> {
        if matches!(message, Downlink::Close(_)) {
            self.0.forget(target);
            return Ok(());
        }
        self.0.deliver(target, message)
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn settled(&self, ticket: u64, outcome: Outcome) {
        self.0.settled(ticket, outcome);
    }
}

fn connect_error(device: &TwinId, error: TwinError) -> ConnectError {
    match error {
        TwinError::NoSuchTwin(_) => ConnectError::NoSuchTwin(device.clone()),
        TwinError::Store(error) => ConnectError::Store(error),
        _ => ConnectError::Stopping,
    }
}
