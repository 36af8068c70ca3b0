//! A native payload to the message it carries.

use bytes::Bytes;
use hierarchy_models::{CommandId, DeviceMessage, Name, Timestamp, TwinId, event::Encoding, event::Raw};

use crate::{
    codec::{self, PayloadError},
    dialects::{Subject, Uplink},
};

pub(super) fn read(
    uplink: &Uplink<'_>,
    content_type: Option<&str>,
    payload: &Bytes,
    now: Timestamp,
) -> Result<DeviceMessage, PayloadError> {
    // these say all in their topic; whatever the payload is, it is not looked at
    match uplink.subject {
        Subject::Get => return Ok(DeviceMessage::Get),
        Subject::Attach { child } => return Ok(DeviceMessage::Attach { child: twin_id(child)? }),
        Subject::Detach { child } => return Ok(DeviceMessage::Detach { child: twin_id(child)? }),
        Subject::Token => return Err(PayloadError::rule("", "a token is for the session")),
        _ => {}
    }
    let encoding = settle_encoding(content_type, uplink.encoding)?;
    let raw = Raw { encoding, bytes: payload.clone() };
    Ok(match uplink.subject {
        Subject::Telemetry { stream } => {
            DeviceMessage::Telemetry { stream: stream.map(Name::from), records: codec::telemetry(encoding, payload, now)?, raw }
        }
        Subject::Reported => DeviceMessage::Reported { patch: codec::object(encoding, payload)?, raw },
        Subject::ReportedFull => DeviceMessage::ReportedFull { properties: codec::object(encoding, payload)?, raw },
        Subject::Event { name } => DeviceMessage::Event { name: name.into(), payload: codec::value(encoding, payload)?, raw },
        Subject::Diagnostics => DeviceMessage::Diagnostics { payload: codec::value(encoding, payload)?, raw },
        Subject::Metadata => DeviceMessage::Metadata { patch: codec::object(encoding, payload)?, raw },
        Subject::Result { command } => {
            let command = CommandId::new(command).map_err(|e| PayloadError::rule("", e.to_string()))?;
            DeviceMessage::Result { command, result: codec::command_result(encoding, payload)? }
        }
        Subject::Get | Subject::Attach { .. } | Subject::Detach { .. } | Subject::Token => DeviceMessage::Get,
    })
}

fn twin_id(id: &str) -> Result<TwinId, PayloadError> {
    TwinId::new(id).map_err(|e| PayloadError::rule("", e.to_string()))
}

/// The content type, else the topic, else JSON. Two that contradict each other are an error: one of them is a lie.
fn settle_encoding(content_type: Option<&str>, of_topic: Option<Encoding>) -> Result<Encoding, PayloadError> {
    let of_content = content_type.filter(|t| !t.is_empty()).map(codec::encoding_of).transpose()?;
    match (of_content, of_topic) {
        (Some(a), Some(b)) if a != b => Err(PayloadError::encoding("the content type and the topic's suffix name different encodings")),
        (a, b) => Ok(a.or(b).unwrap_or(Encoding::Json)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::native::topic::parse_publish;

    fn message(topic: &str, content_type: Option<&str>, payload: &'static [u8]) -> Result<DeviceMessage, PayloadError> {
        read(&parse_publish(topic).unwrap(), content_type, &Bytes::from_static(payload), Timestamp::EPOCH)
    }

    #[test]
    fn json_is_the_default_and_the_content_type_or_the_topic_says_otherwise() {
        assert_eq!(message("devices/a/telemetry", None, br#"{"t":1}"#).unwrap().kind(), "telemetry");
        assert_eq!(message("devices/a/telemetry;cbor", None, b"\xa1\x61t\x01").unwrap().kind(), "telemetry");
        assert_eq!(message("devices/a/telemetry", Some("Application/CBOR; x=y"), b"\xa1\x61t\x01").unwrap().kind(), "telemetry");
        assert!(message("devices/a/telemetry", Some("text/xml"), br#"{"t":1}"#).is_err());
        assert!(message("devices/a/telemetry;cbor", Some("application/json"), br#"{"t":1}"#).is_err());
    }

    #[test]
    fn properties_must_be_objects() {
        for topic in ["devices/a/reported", "devices/a/reported/full", "devices/a/metadata"] {
            assert!(message(topic, None, b"[1]").is_err(), "{topic}");
            assert!(message(topic, None, br#"{"a":null}"#).is_ok(), "{topic}");
        }
        assert!(message("devices/a/reported;proto", None, b"").is_err());
    }

    #[test]
    fn a_result_has_a_status() {
        assert!(message("devices/a/results/c", None, br#"{"status":200,"payload":[1]}"#).is_ok());
        for bad in [&b"{}"[..], br#"{"status":"200"}"#, br#"{"status":99}"#, br#"{"status":1e9}"#] {
            let e = read(&parse_publish("devices/a/results/c").unwrap(), None, &Bytes::copy_from_slice(bad), Timestamp::EPOCH).unwrap_err();
            assert_eq!(e.pointer, "/status");
        }
    }

    #[test]
    fn get_and_attach_need_no_payload() {
        assert_eq!(message("devices/a/get", Some("x/y"), b"\xff").unwrap(), DeviceMessage::Get);
        assert_eq!(message("devices/g/attach/a", None, b"").unwrap(), DeviceMessage::Attach { child: TwinId::new("a").unwrap() });
    }
}
