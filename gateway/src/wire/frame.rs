//! Where a packet ends, which version a connection speaks, and lengths that contradict each other.

use ntex::{codec::Decoder, util::BytesMut};
use ntex_mqtt::error::DecodeError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V3,
    V5,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "mqtt-3.1.1",
            Self::V5 => "mqtt-5.0",
        }
    }
}

/// What the first packet of a connection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Speaks(Version),
    /// MQTT, but of a version that is not served: it gets CONNACK 0x01.
    OtherVersion,
    /// Not MQTT.
    Foreign,
}

/// Looks at the opening bytes and leaves them where they are.
pub struct OpeningCodec;

impl Decoder for OpeningCodec {
    type Item = Opening;
    type Error = DecodeError;

    fn decode(&self, src: &mut BytesMut) -> Result<Option<Opening>, DecodeError> {
        Ok(opening(src))
    }
}

/// `None` until enough has come.
pub fn opening(src: &[u8]) -> Option<Opening> {
    const CONNECT: u8 = 0x10;
    if *src.first()? != CONNECT {
        return Some(Opening::Foreign);
    }
    let (_, header) = match variable_length(&src[1..]) {
        Ok(Some((remaining, used))) => (remaining, 1 + used),
        Ok(None) => return None,
        Err(_) => return Some(Opening::Foreign),
    };
    let name = src.get(header..)?;
    match name {
        [0, 4, b'M', b'Q', b'T', b'T', level, ..] => Some(match level {
            4 => Opening::Speaks(Version::V3),
            5 => Opening::Speaks(Version::V5),
            _ => Opening::OtherVersion,
        }),
        [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => Some(Opening::OtherVersion),
        short if short.len() < 8 && (b"\0\x04MQTT".starts_with(&short[..short.len().min(6)]) || b"\0\x06MQIsdp".starts_with(short)) => None,
        _ => Some(Opening::Foreign),
    }
}

/// The remaining length of the packet at the start of `src` once all of it is there.
pub fn whole(src: &[u8], version: Version, packet_max: u32) -> Result<Option<u32>, DecodeError> {
    let Some(&first) = src.first() else { return Ok(None) };
    let Some((remaining, used)) = variable_length(&src[1..])? else { return Ok(None) };
    if remaining > packet_max {
        return Err(DecodeError::MaxSizeExceeded { size: remaining, max_size: packet_max });
    }
    let total = 1 + used + remaining as usize;
    if src.len() < total {
        return Ok(None);
    }
    check_publish(first, &src[1 + used..total], version)?;
    Ok(Some(remaining))
}

/// A PUBLISH whose topic or properties would reach beyond its own end, or that cannot be a repetition and says it is.
fn check_publish(first: u8, body: &[u8], version: Version) -> Result<(), DecodeError> {
    if first >> 4 != 3 {
        return Ok(());
    }
    let (dup, qos) = (first & 0b1000 != 0, (first >> 1) & 0b11);
    if dup && qos == 0 {
        return Err(DecodeError::MalformedPacket);
    }
    let [high, low, ..] = body else { return Err(DecodeError::InvalidLength) };
    let variable = 2 + usize::from(u16::from_be_bytes([*high, *low])) + if qos > 0 { 2 } else { 0 };
    let rest = body.get(variable..).ok_or(DecodeError::InvalidLength)?;
    if version == Version::V5 {
        let (properties, used) = variable_length(rest)?.ok_or(DecodeError::InvalidLength)?;
        if rest.len() - used < properties as usize {
            return Err(DecodeError::InvalidLength);
        }
    }
    Ok(())
}

/// A variable byte integer and the bytes it takes; `None` when it is not all there.
fn variable_length(src: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (i, byte) in src.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 1)));
        }
    }
    if src.len() < 4 { Ok(None) } else { Err(DecodeError::InvalidLength) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_version_shows_in_the_first_bytes() {
        assert_eq!(opening(b"\x10\x10\0\x04MQTT\x04"), Some(Opening::Speaks(Version::V3)));
        assert_eq!(opening(b"\x10\x80\x01\0\x04MQTT\x05"), Some(Opening::Speaks(Version::V5)));
        assert_eq!(opening(b"\x10\x10\0\x04MQTT\x06"), Some(Opening::OtherVersion));
        assert_eq!(opening(b"\x10\x10\0\x06MQIsdp\x03"), Some(Opening::OtherVersion));
        assert_eq!(opening(b"GET / HTTP/1.1\r\n"), Some(Opening::Foreign));
        assert_eq!(opening(b"\x10\xff\xff\xff\xff"), Some(Opening::Foreign));
        assert_eq!(opening(b"\x10\x10\0\x04HTTP\x05"), Some(Opening::Foreign));
        for cut in 0..9 {
            assert_eq!(opening(&b"\x10\x10\0\x04MQTT\x05"[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_packet_is_whole_or_not_there() {
        let packet = b"\x30\x05\0\x01ahi";
        for cut in 0..packet.len() {
            assert_eq!(whole(&packet[..cut], Version::V3, 100), Ok(None));
        }
        assert_eq!(whole(packet, Version::V3, 100), Ok(Some(5)));
        let too_large = DecodeError::MaxSizeExceeded { size: 5, max_size: 4 };
        assert_eq!(whole(&packet[..2], Version::V3, 4), Err(too_large));
    }

    #[test]
    fn a_topic_cannot_reach_beyond_its_packet() {
        let long_topic = b"\x30\x03\xff\xffa";
        assert_eq!(whole(long_topic, Version::V3, 100), Err(DecodeError::InvalidLength));
        let long_properties = b"\x30\x04\0\x01a\x7f";
        assert_eq!(whole(long_properties, Version::V5, 100), Err(DecodeError::InvalidLength));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), v5: bool) {
            let version = if v5 { Version::V5 } else { Version::V3 };
            opening(&bytes);
            let _ = whole(&bytes, version, 1000);
        }

        #[test]
        fn any_packet_is_decoded_without_panic(first: u8, body in prop::collection::vec(any::<u8>(), 0..120), v5: bool) {
            let version = if v5 { Version::V5 } else { Version::V3 };
            let mut src = BytesMut::copy_from_slice([first, body.len() as u8]);
            src.extend_from_slice(&body);
            let _ = super::super::Codec::new(version, 1000).decode(&mut src);
        }
    }
}
