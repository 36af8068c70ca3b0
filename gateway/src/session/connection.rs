//! A connection from its first byte: which version it speaks, its CONNECT, its session, its end.

use std::{panic::AssertUnwindSafe, rc::Rc, sync::Arc};

use futures_util::FutureExt;
use hierarchy_models::event::DisconnectReason;
use ntex_mqtt::{error::DecodeError, v5::codec::ConnectAckReason};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::spawn_local,
    time::timeout,
};

use super::{
    door::{self, Admitted, Peer, Turned},
    ending::{self, End},
    link::SessionLink,
    renewal,
    run::{Run, Terms},
    state::Session,
    wills::LastWill,
};
use crate::{
    house::{House, Place},
    socket::{NoPacket, Socket, Stream},
    wire::{
        Accepted, Codec, Hello, Inbound, Outbound, Version,
        frame::{Opening, OpeningCodec},
    },
};

/// CONNACK of 3.1.1 for a version that is not served.
const UNACCEPTABLE_VERSION: [u8; 4] = [0x20, 2, 0, 1];

/// What is only for the beginning and the end of a connection is boxed, so that an idle one does not carry its room.
pub(crate) async fn serve(house: Arc<House>, stream: Stream, handshake: OwnedSemaphorePermit) {
    let begun = Box::pin(begin(&house, stream)).await;
    drop(handshake);
    let Some(attended) = begun else { return };
    attend(attended).await;
}

/// From the first byte to the CONNACK; `None` when the connection was turned away.
async fn begin(house: &Arc<House>, stream: Stream) -> Option<Box<Attended>> {
    let patience = house.settings.handshake_timeout;
    let (peer, mut socket) = (peer(&stream), Socket::new(stream));
    let Ok(opened) = timeout(patience, read_hello(house, &mut socket)).await else {
        house.meters.handshake_timeout("connect");
        return None;
    };
    let Some((codec, hello)) = opened else {
        socket.close().await;
        return None;
    };
    let hello = Rc::new(hello);
    let from = peer.remote.clone();
    match timeout(patience, decide(house, &hello, peer)).await.unwrap_or(Err(Turned::timeout())) {
        Ok(admitted) => Some(admit(house, socket, codec, (&hello, from), admitted)),
        Err(turned) => {
            door::note_denial(house, &hello, &from, &turned);
            turn_away(house, socket, &codec, &hello, turned).await;
            None
        }
    }
}

/// Decides on a task of its own: one that is given up half-way would leave a twin that thinks its device is connected.
async fn decide(house: &Arc<House>, hello: &Rc<Hello>, peer: Peer) -> Result<Admitted, Turned> {
    let (tx, rx) = oneshot::channel();
    let (house, hello) = (house.clone(), hello.clone());
    spawn_local(async move {
        let decided = door::admit(&house, &hello, peer).await;
        if let Err(Ok(too_late)) = tx.send(decided) {
            house.meters.handshake_timeout("decision");
            too_late.link.end();
            too_late.session.close(DisconnectReason::Lost, None).await;
        }
    });
    rx.await.unwrap_or(Err(Turned::timeout()))
}

/// The CONNECT; `None` when there will be none.
async fn read_hello(house: &House, socket: &mut Socket) -> Option<(Codec, Hello)> {
    let version = match socket.recv(&OpeningCodec).await.ok()? {
        Opening::Speaks(version) => version,
        Opening::OtherVersion => {
            house.meters.connect("other", "unacceptable_version");
            socket.write_bytes(&UNACCEPTABLE_VERSION);
            return None;
        }
        Opening::Foreign => {
            house.meters.connect("other", "not_mqtt");
            return None;
        }
    };
    let codec = Codec::new(version, house.settings.packet_max_bytes);
    match socket.recv(&codec).await {
        Ok(Inbound::Connect(hello)) => Some((codec, *hello)),
        Ok(_) | Err(NoPacket::Closed) => None,
        Err(NoPacket::Decode(error)) => {
            house.meters.connect(version.name(), "malformed");
            let _ = socket.write(Outbound::Refuse(malformed(&error), "the CONNECT is malformed"), &codec);
            None
        }
    }
}

fn malformed(error: &DecodeError) -> ConnectAckReason {
    match error {
        DecodeError::InvalidClientId => ConnectAckReason::ClientIdentifierNotValid,
        DecodeError::MaxSizeExceeded { .. } => ConnectAckReason::PacketTooLarge,
        _ => ConnectAckReason::MalformedPacket,
    }
}

fn peer(stream: &Stream) -> Peer {
    let remote = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |addr| addr.to_string());
    Peer { remote, chain: stream.peer_certificates().filter(|chain| !chain.is_empty()).map(<[_]>::to_vec) }
}

async fn turn_away(house: &House, mut socket: Socket, codec: &Codec, hello: &Hello, turned: Turned) {
    house.meters.connect(hello.version.name(), turned.label);
    let device: String = hello.client_id.chars().take(128).collect();
    tracing::info!(device, why = turned.label, "a CONNECT was refused");
    let _ = socket.write(Outbound::Refuse(turned.code, turned.told), codec);
    socket.close().await;
}

/// A connection that has its session.
struct Attended {
    run: Run,
    session: Rc<Session>,
    link: Arc<SessionLink>,
    will: Option<Box<LastWill>>,
    place: Place,
}

/// Sends the CONNACK. The password, and the page that it was read into, go with the CONNECT.
fn admit(house: &Arc<House>, mut socket: Socket, codec: Codec, (hello, from): (&Hello, String), admitted: Admitted) -> Box<Attended> {
    let Admitted { session, link, will, place, expiry, verified } = admitted;
    house.meters.connect(hello.version.name(), "accepted");
    let accepted = accepted(house, hello, &session, expiry.as_secs());
    let terms = Terms {
        keep_alive_seconds: accepted.keep_alive.unwrap_or(hello.keep_alive),
        send_window: house.settings.send_max.min(hello.receive_max),
        session_expires_at_once: expiry.is_zero(),
    };
    if let Some(max) = hello.packet_max {
        codec.limit_outbound(max);
    }
    let renews = hello.authentication.is_some();
    let session = Rc::new(Session::new(house.clone(), (session, from), hello.version, &verified, renews));
    let _ = socket.write(Outbound::ConnAck(Box::new(accepted)), &codec);
    let run = Run::new(session.clone(), link.clone(), socket, codec, &terms);
    Box::new(Attended { run, session, link, will: will.map(Box::new), place })
}

/// From the CONNACK to the end. A panic in here is a defect that ends this connection, and its session properly.
async fn attend(mut attended: Box<Attended>) {
    let ended = AssertUnwindSafe(attended.run.until_end()).catch_unwind().await;
    Box::pin(end(*attended, ended.ok())).await;
}

async fn end(attended: Attended, ended: Option<End>) {
    let Attended { run, session, link, will, place } = attended;
    let end = match ended {
        Some(end) => AssertUnwindSafe(run.wind_up(&end)).catch_unwind().await.map_or(End::lost("panic"), |()| end),
        None => {
            drop(run);
            End::lost("panic")
        }
    };
    link.end();
    session.house.meters.disconnect(end.label);
    tracing::debug!(device = %session.device, why = end.label, "a connection ended");
    ending::close(session, &end, will.map(|will| *will)).await;
    drop(place);
}

fn accepted(house: &House, hello: &Hello, session: &actors::device::DeviceSession, expiry: u64) -> Accepted {
    let settings = &house.settings;
    let keep_alive_max = u16::try_from(settings.keep_alive_max.as_secs()).unwrap_or(u16::MAX);
    let asked_expiry = hello.expiry.map(|e| e.as_secs());
    Accepted {
        session_present: session.session_present(),
        receive_max: settings.receive_max,
        packet_max: settings.packet_max_bytes,
        topic_alias_max: settings.topic_alias_max,
        keep_alive: (hello.version == Version::V5 && hello.keep_alive > keep_alive_max).then_some(keep_alive_max),
        authentication: hello.authentication.is_some().then_some(renewal::METHOD),
        expiry_seconds: (asked_expiry != Some(expiry)).then(|| u32::try_from(expiry).unwrap_or(u32::MAX)),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_carries_no_room_for_its_beginning_and_end() {
        let idle = future_bytes(serve) + size_of::<Attended>() + size_of::<Session>();
        assert!(idle <= 1_040, "{idle} bytes");
    }
}
