//! The topic table of the native dialect. Pure and without allocations: it runs for every message there is.

use hierarchy_models::{event::Encoding, id::COMMAND_ID_BYTES_MAX, id::TWIN_ID_BYTES_MAX, limits::NAME_BYTES_MAX};

use crate::dialects::{Downstream, Subject, TopicError, Uplink, Wanted};

const ROOT: &str = "devices/";

/// Reads a topic that a device publishes on.
pub fn parse_publish(topic: &str) -> Result<Uplink<'_>, TopicError> {
    if topic.is_empty() || topic.contains(|c: char| matches!(c, '+' | '#') || is_forbidden(c)) {
        return Err(TopicError::Malformed);
    }
    let (topic, encoding) = split_encoding(topic)?;
    let rest = topic.strip_prefix(ROOT).ok_or(TopicError::Unknown)?;
    let (device, rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
    check_twin_id(device)?;
    Ok(Uplink { device, subject: subject(rest)?, encoding })
}

fn subject(rest: &str) -> Result<Subject<'_>, TopicError> {
    let (head, tail) = match rest.split_once('/') {
        Some((head, tail)) => (head, Some(tail)),
        None => (rest, None),
    };
    Ok(match (head, tail) {
        ("telemetry", None) => Subject::Telemetry { stream: None },
        ("telemetry", Some(stream)) => Subject::Telemetry { stream: Some(name(stream)?) },
        ("reported", None) => Subject::Reported,
        ("reported", Some("full")) => Subject::ReportedFull,
        ("events", Some(event)) => Subject::Event { name: name(event)? },
        ("diagnostics", None) => Subject::Diagnostics,
        ("metadata", None) => Subject::Metadata,
        ("results", Some(command)) => Subject::Result { command: command_id(command)? },
        ("attach", Some(child)) => Subject::Attach { child: check_twin_id(child)? },
        ("detach", Some(child)) => Subject::Detach { child: check_twin_id(child)? },
        ("get", None) => Subject::Get,
        ("token", None) => Subject::Token,
        _ => return Err(TopicError::Unknown),
    })
}

/// Reads a filter that a device subscribes to.
pub fn parse_filter(filter: &str) -> Result<Wanted<'_>, TopicError> {
    check_filter(filter)?;
    if filter.starts_with("$share/") {
        return Err(TopicError::Shared);
    }
    let rest = filter.strip_prefix(ROOT).ok_or(TopicError::Unknown)?;
    let (device, rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
    check_twin_id(device)?;
    let downstream = match rest {
        "commands/#" => Downstream::Commands,
        "desired" => Downstream::Desired,
        "twin" => Downstream::Twin,
        _ => return Err(TopicError::Unknown),
    };
    Ok(Wanted { device, downstream })
}

/// MQTT's own rules for a filter: `+` stands alone in its level, `#` alone in the last one.
fn check_filter(filter: &str) -> Result<(), TopicError> {
    if filter.is_empty() || filter.contains(is_forbidden) {
        return Err(TopicError::Malformed);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let lone_plus = level == "+" || !level.contains('+');
        let last_hash = !level.contains('#') || (level == "#" && levels.peek().is_none());
        if !(lone_plus && last_hash) {
            return Err(TopicError::Malformed);
        }
    }
    Ok(())
}

/// U+0000 must not be in an MQTT string; control characters and non-characters should not be, and are not here.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(u32::from(c) & 0xFFFF, 0xFFFE | 0xFFFF) || matches!(c, '\u{FDD0}'..='\u{FDEF}')
}

/// Cuts `;cbor` and its like off the last level. `;` has no other use in these topics.
fn split_encoding(topic: &str) -> Result<(&str, Option<Encoding>), TopicError> {
    match topic.split_once(';') {
        None => Ok((topic, None)),
        Some((topic, "json")) => Ok((topic, Some(Encoding::Json))),
        Some((topic, "cbor")) => Ok((topic, Some(Encoding::Cbor))),
        Some((topic, "proto")) => Ok((topic, Some(Encoding::Protobuf))),
        Some(_) => Err(TopicError::Unknown),
    }
}

fn check_twin_id(id: &str) -> Result<&str, TopicError> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'@');
    let fits = (1..=TWIN_ID_BYTES_MAX).contains(&id.len());
    if fits && id.bytes().all(ok) { Ok(id) } else { Err(TopicError::Unknown) }
}

fn command_id(id: &str) -> Result<&str, TopicError> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let fits = (1..=COMMAND_ID_BYTES_MAX).contains(&id.len());
    if fits && id.bytes().all(ok) { Ok(id) } else { Err(TopicError::Unknown) }
}

/// A stream's or an event's name: one level.
fn name(name: &str) -> Result<&str, TopicError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && !name.contains('/') { Ok(name) } else { Err(TopicError::Unknown) }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{CommandId, TwinId};
    use proptest::prelude::*;

    use super::*;

    fn subject_of(topic: &str) -> Subject<'_> {
        parse_publish(topic).unwrap().subject
    }

    #[test]
    fn every_topic_of_the_contract_is_read() {
        assert_eq!(subject_of("devices/a/telemetry"), Subject::Telemetry { stream: None });
        assert_eq!(subject_of("devices/a/telemetry/air"), Subject::Telemetry { stream: Some("air") });
        assert_eq!(subject_of("devices/a/reported"), Subject::Reported);
        assert_eq!(subject_of("devices/a/reported/full"), Subject::ReportedFull);
        assert_eq!(subject_of("devices/a/events/fire"), Subject::Event { name: "fire" });
        assert_eq!(subject_of("devices/a/diagnostics"), Subject::Diagnostics);
        assert_eq!(subject_of("devices/a/metadata"), Subject::Metadata);
        assert_eq!(subject_of("devices/a/results/c-1"), Subject::Result { command: "c-1" });
        assert_eq!(subject_of("devices/g/attach/a"), Subject::Attach { child: "a" });
        assert_eq!(subject_of("devices/g/detach/a"), Subject::Detach { child: "a" });
        assert_eq!(subject_of("devices/a/get"), Subject::Get);
        assert_eq!(subject_of("devices/a/token"), Subject::Token);
    }

    #[test]
    fn a_suffix_of_the_last_level_names_the_encoding() {
        let at = |topic| parse_publish(topic).unwrap();
        assert_eq!(at("devices/a/telemetry;cbor").encoding, Some(Encoding::Cbor));
        assert_eq!(at("devices/a/telemetry/air;proto").encoding, Some(Encoding::Protobuf));
        assert_eq!(at("devices/a/telemetry/air;proto").subject, Subject::Telemetry { stream: Some("air") });
        assert_eq!(at("devices/a/reported").encoding, None);
        assert_eq!(parse_publish("devices/a/telemetry;xml"), Err(TopicError::Unknown));
        assert_eq!(parse_publish("devices/a;cbor/telemetry"), Err(TopicError::Unknown));
    }

    #[test]
    fn other_topics_are_refused() {
        for topic in [
            "devices/a",
            "devices/a/",
            "devices//telemetry",
            "devices/a/telemetry/",
            "devices/a/telemetry/x/y",
            "devices/a/commands/x/1",
            "devices/a/desired",
            "devices/a/events",
            "devices/a/reported/",
            "devices/a b/telemetry",
            "Devices/a/telemetry",
            "/devices/a/telemetry",
            "$SYS/x",
            "devices/a/results/ü",
            "devices/a/get/more",
        ] {
            assert_eq!(parse_publish(topic), Err(TopicError::Unknown), "{topic}");
        }
    }

    #[test]
    fn wildcards_and_control_characters_are_malformed() {
        for topic in [
            "",
            "devices/+/telemetry",
            "devices/a/#",
            "devices/a/events/x\0",
            "devices/a/events/\u{7f}",
            "devices/a/events/\u{feff}\u{ffff}",
        ] {
            assert_eq!(parse_publish(topic), Err(TopicError::Malformed), "{topic:?}");
        }
        for filter in ["", "devices/a/comm#", "devices/#/desired", "a+/b", "devices/a/\0"] {
            assert_eq!(parse_filter(filter), Err(TopicError::Malformed), "{filter:?}");
        }
    }

    #[test]
    fn only_a_devices_own_downlink_can_be_subscribed_to() {
        let down = |filter| parse_filter(filter).map(|w| (w.device, w.downstream));
        assert_eq!(down("devices/a/commands/#"), Ok(("a", Downstream::Commands)));
        assert_eq!(down("devices/a/desired"), Ok(("a", Downstream::Desired)));
        assert_eq!(down("devices/a/twin"), Ok(("a", Downstream::Twin)));
        for filter in ["#", "+/+/desired", "devices/+/commands/#", "devices/a/#", "devices/a/commands", "devices/a/telemetry"] {
            assert_eq!(down(filter), Err(TopicError::Unknown), "{filter}");
        }
        assert_eq!(down("$share/g/devices/a/desired"), Err(TopicError::Shared));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            let _ = parse_publish(&text);
            let _ = parse_filter(&text);
            let _ = parse_publish(&format!("devices/a/{text}"));
            let _ = parse_filter(&format!("devices/{text}"));
        }

        #[test]
        fn what_is_read_holds_only_valid_ids(device in "[a-zA-Z0-9._:@-]{0,140}", rest in "(attach|detach|results)/[a-zA-Z0-9._-]{0,140}") {
            let topic = format!("devices/{device}/{rest}");
            if let Ok(uplink) = parse_publish(&topic) {
                prop_assert!(TwinId::new(uplink.device).is_ok());
                match uplink.subject {
                    Subject::Attach { child } | Subject::Detach { child } => prop_assert!(TwinId::new(child).is_ok()),
                    Subject::Result { command } => prop_assert!(CommandId::new(command).is_ok()),
                    _ => {}
                }
            }
        }
    }
}
