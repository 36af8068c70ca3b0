//! MQTT packets, 3.1.1 and 5.0, as one vocabulary that the session speaks.
//!
//! The codecs of `ntex-mqtt` read and write the bytes; [`Codec`] puts one face on both. MQTT 5 says all that 3.1.1 says
//! and more, so its reason codes are the vocabulary, and 3.1.1 leaves out what it has no words for.
//!
//! Only the codecs of `ntex-mqtt` 8.2.1 are used. Its dispatcher was read and left: a PUBREL after a reconnect closes a
//! 3.1.1 connection, MQTT 5's QoS 2 packet ids are never given back and use up the Receive Maximum, a second CONNECT is
//! ignored, a PUBLISH that comes again closes the connection, acknowledgements out of order close it too, each message
//! in flight is a task of its own that may overtake another, and PINGRESP waits behind PUBACKs. `session::run` is what
//! stands in its place.

pub mod frame;
mod packet;
mod v3;
mod v5;

use std::cell::Cell;

use ntex::{
    codec::{Decoder, Encoder},
    util::{BytePages, BytesMut},
};
use ntex_mqtt::{
    error::{DecodeError, EncodeError},
    v3::codec::Codec as V3,
    v5::codec::Codec as V5,
};

pub use frame::Version;
pub use packet::{Accepted, Authentication, Down, Hello, Inbound, Outbound, Publish, WillMessage};

/// Reads and writes one connection's packets.
pub struct Codec {
    inner: Inner,
    packet_max: u32,
    /// Size of the packet read last, its header left out.
    last_size: Cell<u32>,
}

enum Inner {
    V3(V3),
    V5(V5),
}

impl Codec {
    pub fn new(version: Version, packet_max: u32) -> Self {
        let inner = match version {
            Version::V3 => Inner::V3(V3::new()),
            Version::V5 => Inner::V5(V5::new()),
        };
        Self { inner, packet_max, last_size: Cell::new(0) }
    }

    pub fn version(&self) -> Version {
        match self.inner {
            Inner::V3(_) => Version::V3,
            Inner::V5(_) => Version::V5,
        }
    }

    /// Nothing larger is sent, as the client asked.
    pub fn limit_outbound(&self, bytes: u32) {
        if let Inner::V5(codec) = &self.inner {
            codec.set_max_outbound_size(bytes);
        }
    }

    pub fn last_size(&self) -> u32 {
        self.last_size.get()
    }
}

impl Decoder for Codec {
    type Item = Inbound;
    type Error = DecodeError;

    /// The codecs underneath see whole packets only: so a payload never comes in pieces, which could be overtaken, and
    /// lengths that contradict each other are found before their subtractions could overflow.
    fn decode(&self, src: &mut BytesMut) -> Result<Option<Inbound>, DecodeError> {
        let Some(size) = frame::whole(src, self.version(), self.packet_max)? else { return Ok(None) };
        self.last_size.set(size);
        match &self.inner {
            Inner::V3(codec) => codec.decode(src)?.map(v3::read).transpose(),
            Inner::V5(codec) => codec.decode(src)?.map(v5::read).transpose(),
        }
    }
}

impl Encoder for Codec {
    type Item = Outbound;
    type Error = EncodeError;

    fn encodev(&self, item: Outbound, dst: &mut BytePages) -> Result<(), EncodeError> {
        match &self.inner {
            Inner::V3(codec) => v3::write(item).map_or(Ok(()), |packet| codec.encodev(packet, dst)),
            Inner::V5(codec) => codec.encodev(v5::write(item), dst),
        }
    }
}
