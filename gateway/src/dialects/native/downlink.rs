//! What a twin sends down, as native topics and payloads.

use actors::device::Downlink;
use hierarchy_models::TwinId;

use crate::{
    codec,
    dialects::{Downstream, Outgoing},
};

const JSON: &str = "application/json";

pub(super) fn write(target: &TwinId, message: &Downlink) -> Option<Outgoing> {
    let plain = |downstream, topic, payload| Outgoing {
        downstream,
        topic,
        payload,
        content_type: JSON,
        expires_at: None,
        correlation: None,
        redelivery: false,
    };
    Some(match message {
        Downlink::Command { id, name, payload, expires_at, redelivery } => Outgoing {
            expires_at: Some(*expires_at),
            correlation: Some(id.clone()),
            redelivery: *redelivery,
            ..plain(Downstream::Commands, format!("devices/{target}/commands/{name}/{id}"), codec::to_json(payload))
        },
        Downlink::Desired { document, version, .. } => {
            plain(Downstream::Desired, format!("devices/{target}/desired"), codec::desired(document, *version))
        }
        Downlink::Twin(view) => plain(Downstream::Twin, format!("devices/{target}/twin"), codec::to_json(view)),
        Downlink::Close(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{CommandId, Timestamp, Value};

    use super::*;

    #[test]
    fn a_command_arrives_on_a_topic_of_its_name_and_id() {
        let out = write(
            &TwinId::new("d").unwrap(),
            &Downlink::Command {
                id: CommandId::new("c1").unwrap(),
                name: "open".into(),
                payload: Value::from(7),
                expires_at: Timestamp::MAX,
                redelivery: true,
            },
        )
        .unwrap();
        assert_eq!((out.topic.as_str(), out.payload.as_slice(), out.redelivery), ("devices/d/commands/open/c1", &b"7"[..], true));
    }

    #[test]
    fn desired_state_carries_its_version() {
        let document = [("a".into(), Value::Int(1)), ("$version".into(), Value::Int(0))].into_iter().collect();
        let out = write(&TwinId::new("d").unwrap(), &Downlink::Desired { document, version: 3, full: true }).unwrap();
        assert_eq!(String::from_utf8(out.payload).unwrap(), r#"{"a":1,"$version":3}"#);
    }
}
