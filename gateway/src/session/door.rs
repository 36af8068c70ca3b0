//! The decision on a CONNECT: who it is, whether it may come in, and on what terms.

use std::{sync::Arc, time::Duration};

use actors::{
    audit::{Entry, Outcome, Target},
    device::{Connect, ConnectError, DeviceSession},
    identity::{Certificate, Denied, Newcomer, Proof, Verified},
};
use bytes::Bytes;
use hierarchy_models::{
    TwinId,
    event::{DisconnectReason, Encoding},
    id::TWIN_ID_BYTES_MAX,
};
use ntex_mqtt::v5::codec::ConnectAckReason as Code;

use super::{
    link::SessionLink,
    renewal,
    wills::{Fate, LastWill},
};
use crate::{
    certificates::{Chain, Judged},
    codec,
    dialects::{Claim, ClaimError, Subject},
    house::{Certified, House, Place},
    wire::{Hello, WillMessage},
};

/// Where a connection comes from.
pub(crate) struct Peer {
    pub(crate) remote: String,
    /// Client certificates; whose they are is not yet asked.
    pub(crate) chain: Option<Chain>,
}

/// A client that is let in.
pub(crate) struct Admitted {
    pub(crate) session: DeviceSession,
    pub(crate) link: Arc<SessionLink>,
    pub(crate) will: Option<LastWill>,
    pub(crate) place: Place,
    pub(crate) expiry: Duration,
    pub(crate) verified: Verified,
}

/// A client that is turned away. It is told the code; the label and the text are for the log and the metrics.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) code: Code,
    pub(crate) label: &'static str,
    pub(crate) told: &'static str,
}

impl Turned {
    fn new(code: Code, label: &'static str, told: &'static str) -> Self {
        Self { code, label, told }
    }

    pub(crate) fn timeout() -> Self {
        Self::new(Code::ServerUnavailable, "timeout", "the server is too busy; try again later")
    }

    fn not_authorized(label: &'static str) -> Self {
        Self::new(Code::NotAuthorized, label, "not authorized")
    }
}

pub(crate) async fn admit(house: &Arc<House>, hello: &Hello, peer: Peer) -> Result<Admitted, Turned> {
    if house.is_stopping() {
        return Err(stopping());
    }
    if !house.may_look_at_a_connect() {
        return Err(Turned::new(Code::ConnectionRateExceeded, "connects_per_second", "too many devices connect; try again later"));
    }
    if let Some(authentication) = &hello.authentication
        && authentication.method.as_deref() != Some(renewal::METHOD)
    {
        return Err(Turned::new(Code::BadAuthenticationMethod, "enhanced_auth", "this method of authentication is not served"));
    }
    let device = claimed(house, hello)?;
    let Peer { remote, chain } = peer;
    let shown = Shown::of(house, hello, chain.as_ref())?;
    let mut verified = authenticate(house, &device, &shown, &remote).await?;
    if !house.may_connect(&device) {
        return Err(Turned::new(Code::ConnectionRateExceeded, "device_connects", "this device connects too often; try again later"));
    }
    if hello.will.is_some() && !verified.scope.publish {
        return Err(Turned::not_authorized("will_scope"));
    }
    let mut will = hello.will.as_ref().map(|will| read_will(house, (&device, verified.proof), hello, will)).transpose()?;
    let mut place = house.take_place().ok_or(Turned::new(Code::ServerBusy, "connections_max", "mqtt.connections_max is reached"))?;

    let link = Arc::new(SessionLink::new(house.settings.downlink_queue_max, &house.meters));
    let expiry = hello.expiry.unwrap_or(Duration::MAX).min(house.settings.session_expiry_max);
    let connect = |proof| Connect {
        device: device.clone(),
        protocol: hello.version.name().into(),
        remote: remote.clone(),
        clean_start: hello.clean_start,
        expiry,
        proof: Some(proof),
        link: link.clone(),
    };
    let mut session = house.twins.connect(connect(verified.proof)).await;
    if let Err(ConnectError::NoSuchTwin(_)) = session {
        // A registration by itself that was cut off, or that is under way on another connection.
        match shown.register(house, &device, &remote).await {
            Ok(again) => {
                verified = again;
                will.iter_mut().for_each(|will| will.proof = verified.proof);
                session = house.twins.connect(connect(verified.proof)).await;
            }
            Err(later @ (Denied::Unavailable | Denied::Busy)) => return Err(turned(later)),
            Err(_) => {}
        }
    }
    let session = session.map_err(|e| connect_error(&device, &e))?;
    if let Some(will) = &will
        && !session.speaks_for(&will.target).await
    {
        session.close(DisconnectReason::Refused, None).await;
        return Err(Turned::not_authorized("will_topic"));
    }
    let by_certificate = matches!(shown, Shown::Certificate(..));
    let certified = chain.clone().filter(|_| by_certificate);
    let certified = certified.map(|chain| Certified { device: device.clone(), from: remote.clone(), chain, link: Arc::downgrade(&link) });
    place.settle(session.number(), &link, certified);
    // A list that was read again before it was known whose certificate this session hangs on.
    if by_certificate && let Err(unfit) = Shown::of(house, hello, chain.as_ref()) {
        session.close(DisconnectReason::Revoked, None).await;
        return Err(unfit);
    }
    // coming back in time makes the old connection's will untrue, unless coming back ended the old session
    house.wills.decide(&device, if hello.clean_start { Fate::SendNow } else { Fate::Drop });
    Ok(Admitted { session, link, will, place, expiry, verified })
}

fn claimed(house: &House, hello: &Hello) -> Result<TwinId, Turned> {
    let claim = Claim { client_id: &hello.client_id, user_name: hello.user_name.as_deref() };
    house.dialect().device(&claim).map_err(|e| match e {
        ClaimError::BadIdentifier => Turned::new(Code::ClientIdentifierNotValid, "bad_identifier", "the client id must be the device id"),
        ClaimError::NameMismatch => bad_credentials("name_mismatch"),
    })
}

/// What a client shows: a password where there is one, else its certificate.
enum Shown<'a> {
    Password(&'a [u8]),
    Certificate(&'a Chain, Certificate),
}

impl<'a> Shown<'a> {
    /// A certificate is judged here and not in the TLS handshake, which a resumed session leaves out.
    fn of(house: &House, hello: &'a Hello, chain: Option<&'a Chain>) -> Result<Self, Turned> {
        let token = hello.authentication.as_ref().and_then(|authentication| authentication.data.as_ref());
        match (token.or(hello.password.as_ref()), chain, &house.authorities) {
            (Some(_), ..) if token.is_none() && hello.user_name.is_none() => Err(bad_credentials("no_user_name")),
            (Some(password), ..) => Ok(Self::Password(password)),
            (None, Some(chain), Some(authorities)) => match authorities.judge(chain, house.twins.clock().now()) {
                Judged::Fit(certificate) => Ok(Self::Certificate(chain, certificate)),
                Judged::Unfit(why) => Err(bad_credentials(why)),
            },
            (None, ..) => Err(bad_credentials("no_credentials")),
        }
    }

    async fn verify(&self, house: &House, device: &TwinId) -> Result<Verified, Denied> {
        let (identities, now) = (house.twins.identities(), house.twins.clock().now());
        match self {
            Self::Password(password) => identities.verify_device(device, password, now).await,
            Self::Certificate(_, certificate) => identities.verify_certificate(device, certificate, now).await,
        }
    }

    /// The enrolment that speaks for the device.
    async fn newcomer(&self, house: &House, device: &TwinId) -> Result<Newcomer, Denied> {
        let identities = house.twins.identities();
        match self {
            Self::Password(password) => identities.newcomer(device, password).await,
            Self::Certificate(chain, certificate) => {
                let of_enrolments = identities.enrolment_authorities().await.map_err(|_| Denied::Unavailable)?;
                let authorities = house.authorities.as_ref().ok_or(Denied::Unknown)?;
                let enrolment = authorities.enrolment(chain, device.as_str(), of_enrolments, house.twins.clock().now());
                Ok(Newcomer::Certificate { enrolment: enrolment.ok_or(Denied::Unknown)?, sha256: certificate.sha256 })
            }
        }
    }

    /// Registers a device that nobody has registered, or only by half, where an enrolment speaks for it.
    async fn register(&self, house: &House, device: &TwinId, from: &str) -> Result<Verified, Denied> {
        house.twins.self_register(device, self.newcomer(house, device).await?, from).await?;
        self.verify(house, device).await
    }
}

/// All wrong credentials get one answer, so that nobody learns which devices exist.
async fn authenticate(house: &House, device: &TwinId, shown: &Shown<'_>, from: &str) -> Result<Verified, Turned> {
    let verified = match shown.verify(house, device).await {
        Err(Denied::Unknown) => shown.register(house, device, from).await,
        known => known,
    };
    verified.map_err(turned)
}

fn turned(denied: Denied) -> Turned {
    match denied {
        Denied::Unavailable => Turned::new(Code::ServerUnavailable, denied.label(), "the server is not available; try again later"),
        Denied::Busy => Turned::new(Code::ServerBusy, denied.label(), "the server is too busy; try again later"),
        Denied::TooManyTries => Turned::new(Code::QuotaExceeded, denied.label(), "too many passwords were tried; try again later"),
        denied => bad_credentials(denied.label()),
    }
}

/// Who comes with the wrong credentials stands in the audit log; who comes at a bad moment does not.
pub(crate) fn note_denial(house: &House, hello: &Hello, from: &str, turned: &Turned) {
    if !matches!(turned.code, Code::BadUserNameOrPassword | Code::NotAuthorized) {
        return;
    }
    let device: String = hello.client_id.chars().take(TWIN_ID_BYTES_MAX).collect();
    let entry = Entry::at_the_door(from, "CONNECT", Target::device(device), Outcome::Denied);
    house.twins.audit().note(Entry { reason: Some(turned.label.into()), ..entry });
}

fn bad_credentials(label: &'static str) -> Turned {
    Turned::new(Code::BadUserNameOrPassword, label, "bad user name or password")
}

fn stopping() -> Turned {
    Turned::new(Code::ServerUnavailable, "stopping", "the server is stopping")
}

/// A will is a message, so it goes where the device may publish and nowhere else.
fn read_will(house: &House, (device, proof): (&TwinId, Proof), hello: &Hello, will: &WillMessage) -> Result<LastWill, Turned> {
    if will.retain && hello.version == crate::wire::Version::V5 {
        return Err(Turned::new(Code::RetainNotSupported, "will_retain", "retained messages are not served"));
    }
    let refused = || Turned::not_authorized("will_topic");
    let uplink = house.dialect().uplink(&will.topic).map_err(|_| refused())?;
    let target = TwinId::new(uplink.device).map_err(|_| refused())?;
    let about_children = matches!(uplink.subject, Subject::Attach { .. } | Subject::Detach { .. });
    if (about_children && target != *device) || matches!(uplink.subject, Subject::Token) {
        return Err(refused());
    }
    let of_content = will.content_type.as_deref().map(codec::encoding_of);
    Ok(LastWill {
        device: device.clone(),
        proof,
        target,
        topic: will.topic.to_string(),
        content_type: will.content_type.as_deref().map(str::to_owned),
        encoding: of_content.map_or(uplink.encoding.unwrap_or(Encoding::Json), |e| e.unwrap_or(Encoding::Unknown)),
        payload: Bytes::copy_from_slice(&will.payload),
        delay: will.delay.min(hello.expiry.unwrap_or(Duration::MAX)).min(house.settings.session_expiry_max),
    })
}

fn connect_error(device: &TwinId, error: &ConnectError) -> Turned {
    match error {
        ConnectError::NoSuchTwin(_) => Turned::not_authorized("no_such_twin"),
        ConnectError::Inactive(_) => Turned::not_authorized("inactive"),
        ConnectError::Stopping => stopping(),
        ConnectError::Store(error) => {
            tracing::warn!(%device, %error, "a session could not be opened");
            Turned::new(Code::ServerUnavailable, "store_unavailable", "the server is not available; try again later")
        }
    }
}
