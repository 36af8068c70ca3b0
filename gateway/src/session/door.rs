//! The decision on a CONNECT: who it is, whether it may come in, and on what terms.

use std::{sync::Arc, time::Duration};

use actors::{
    audit::{Entry, Outcome, Target},
    device::{Connect, ConnectError, DeviceSession},
    identity::{Denied, Newcomer, Proof, Verified},
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
    let (verified, by_certificate) = authenticate(house, &device, hello, (&remote, chain.as_ref())).await?;
    if !house.may_connect(&device) {
        return Err(Turned::new(Code::ConnectionRateExceeded, "device_connects", "this device connects too often; try again later"));
    }
    if hello.will.is_some() && !verified.scope.publish {
        return Err(Turned::not_authorized("will_scope"));
    }
    let will = hello.will.as_ref().map(|will| read_will(house, (&device, verified.proof), hello, will)).transpose()?;
    let mut place = house.take_place().ok_or(Turned::new(Code::ServerBusy, "connections_max", "mqtt.connections_max is reached"))?;

    let link = Arc::new(SessionLink::new(house.settings.downlink_queue_max, &house.meters));
    let expiry = hello.expiry.unwrap_or(Duration::MAX).min(house.settings.session_expiry_max);
    let connect = Connect {
        device: device.clone(),
        protocol: hello.version.name().into(),
        remote: remote.clone(),
        clean_start: hello.clean_start,
        expiry,
        proof: Some(verified.proof),
        link: link.clone(),
    };
    let session = house.twins.connect(connect).await.map_err(|e| connect_error(&device, &e))?;
    if let Some(will) = &will
        && !session.speaks_for(&will.target).await
    {
        session.close(DisconnectReason::Refused, None).await;
        return Err(Turned::not_authorized("will_topic"));
    }
    // coming back in time makes the old connection's will untrue, unless coming back ended the old session
    house.wills.decide(&device, if hello.clean_start { Fate::SendNow } else { Fate::Drop });
    let certified = chain.filter(|_| by_certificate).map(|chain| Certified { device, from: remote, chain, link: Arc::downgrade(&link) });
    place.settle(session.number(), &link, certified);
    Ok(Admitted { session, link, will, place, expiry, verified })
}

fn claimed(house: &House, hello: &Hello) -> Result<TwinId, Turned> {
    let claim = Claim { client_id: &hello.client_id, user_name: hello.user_name.as_deref() };
    house.dialect().device(&claim).map_err(|e| match e {
        ClaimError::BadIdentifier => Turned::new(Code::ClientIdentifierNotValid, "bad_identifier", "the client id must be the device id"),
        ClaimError::NameMismatch => bad_credentials("name_mismatch"),
    })
}

/// By password where there is one, else by certificate; and whether it was by certificate. All wrong credentials get one
/// answer, so that nobody learns which devices exist.
async fn authenticate(
    house: &House,
    device: &TwinId,
    hello: &Hello,
    (from, chain): (&str, Option<&Chain>),
) -> Result<(Verified, bool), Turned> {
    let token = hello.authentication.as_ref().and_then(|authentication| authentication.data.as_ref());
    let verified = match (token.or(hello.password.as_ref()), chain) {
        (Some(_), _) if token.is_none() && hello.user_name.is_none() => return Err(bad_credentials("no_user_name")),
        (Some(password), _) => by_password(house, device, (password, from)).await.map(|verified| (verified, false)),
        (None, Some(chain)) => by_certificate(house, device, (chain, from)).await?.map(|verified| (verified, true)),
        (None, None) => return Err(bad_credentials("no_credentials")),
    };
    verified.map_err(|denied| match denied {
        Denied::Unavailable => Turned::new(Code::ServerUnavailable, denied.label(), "the server is not available; try again later"),
        Denied::Busy => Turned::new(Code::ServerBusy, denied.label(), "the server is too busy; try again later"),
        Denied::TooManyTries => Turned::new(Code::QuotaExceeded, denied.label(), "too many passwords were tried; try again later"),
        denied => bad_credentials(denied.label()),
    })
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

async fn by_password(house: &House, device: &TwinId, (password, from): (&[u8], &str)) -> Result<Verified, Denied> {
    let identities = house.twins.identities();
    match identities.verify_device(device, password, house.twins.clock().now()).await {
        Err(Denied::Unknown) => {
            house.twins.self_register(device, identities.newcomer(device, password).await?, from).await?;
            identities.verify_device(device, password, house.twins.clock().now()).await
        }
        known => known,
    }
}

/// Judged here and not in the TLS handshake, which a resumed session leaves out.
async fn by_certificate(house: &House, device: &TwinId, (chain, from): (&Chain, &str)) -> Result<Result<Verified, Denied>, Turned> {
    let Some(authorities) = &house.authorities else { return Err(bad_credentials("no_credentials")) };
    let (identities, now) = (house.twins.identities(), house.twins.clock().now());
    let certificate = match authorities.judge(chain, now) {
        Judged::Fit(certificate) => certificate,
        Judged::Unfit(why) => return Err(bad_credentials(why)),
    };
    match identities.verify_certificate(device, &certificate, now).await {
        Err(Denied::Unknown) => {}
        known => return Ok(known),
    }
    let Ok(of_enrolments) = identities.enrolment_authorities().await else { return Ok(Err(Denied::Unavailable)) };
    let Some(enrolment) = authorities.enrolment(chain, device.as_str(), of_enrolments, now) else { return Ok(Err(Denied::Unknown)) };
    let newcomer = Newcomer::Certificate { enrolment, sha256: certificate.sha256 };
    if let Err(denied) = house.twins.self_register(device, newcomer, from).await {
        return Ok(Err(denied));
    }
    Ok(identities.verify_certificate(device, &certificate, now).await)
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
