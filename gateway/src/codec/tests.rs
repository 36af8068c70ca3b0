//! What payloads mean, in examples and in properties over many.

use hierarchy_models::Name;
use proptest::prelude::*;

use super::*;
use prost::Message;

const NOW: Timestamp = Timestamp::EPOCH;

fn json(text: &str) -> Result<Vec<Record>, PayloadError> {
    telemetry(Encoding::Json, text.as_bytes(), NOW)
}

fn fault(text: &str) -> String {
    json(text).unwrap_err().to_string()
}

#[test]
fn a_record_is_flat_or_in_an_envelope() {
    let flat = json(r#"{"t":21.5,"on":true}"#).unwrap();
    assert_eq!(flat[0].values, vec![("t".into(), Value::Float(21.5)), ("on".into(), Value::Bool(true))]);
    assert_eq!((flat[0].at, &flat[0].id), (NOW, &None));

    let enveloped = json(r#"[{"at":"1970-01-01T00:00:01Z","id":"r1","values":{"t":21}}]"#).unwrap();
    assert_eq!(enveloped[0].at.as_millis(), 1000);
    assert_eq!(enveloped[0].id.as_deref(), Some("r1"));
    assert_eq!(enveloped[0].values, vec![("t".into(), Value::Int(21))]);
    assert_eq!(json(r#"{"values":{"t":1},"at":5}"#).unwrap()[0].at.as_millis(), 5);
}

#[test]
fn other_names_beside_values_make_it_flat() {
    let record = &json(r#"{"at":5,"values":{"t":1},"more":2}"#).unwrap()[0];
    assert_eq!(record.at, NOW);
    let names: Vec<_> = record.values.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["at", "more", "values"]);
    assert_eq!(json(r#"{"values":7}"#).unwrap()[0].values, vec![("values".into(), Value::Int(7))]);
    assert_eq!(json(r#"{"at":7,"t":1}"#).unwrap()[0].values.len(), 2);
}

#[test]
fn an_error_says_where() {
    assert!(
        fault(r#"[{"t":1},{"t":1},{"t":1},{"values":{"temperature":null}}]"#).starts_with("/3/values/temperature: null is not a value")
    );
    assert!(fault(r#"{"t":null}"#).starts_with("/t: null"));
    assert!(fault(r#"{"a/b":[1,{"c~d":null}]}"#).starts_with("/a~1b/1/c~0d: null"));
    assert!(fault(r#"[{"values":{"t":1},"at":"soon"}]"#).starts_with("/0/at: \"soon\" is not"));
    assert!(fault(r#"{"values":{"t":1},"id":7}"#).starts_with("/id: must be text"));
    assert!(fault(r#"{"at":1e300,"values":{"t":1}}"#).starts_with("/at: "));
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    for bad in ["", "{", "nonsense", "{\"t\":1}x", "{\"t\":NaN}", "{\"t\":1e999}"] {
        let e = json(bad).unwrap_err();
        assert!(e.reason.starts_with("not JSON: "), "{bad}: {e}");
    }
    assert_eq!(telemetry(Encoding::Json, b"{\"\xff\":1}", NOW).unwrap_err().kind, ErrorKind::Syntax);
    assert!(fault("7").contains("a record or a list of records"));
    assert!(fault("[7]").starts_with("/0: "));
}

#[test]
fn limits_hold() {
    let many = format!("[{}]", vec![r#"{"t":1}"#; 1001].join(","));
    assert!(fault(&many).contains("more than 1000 records"));
    let wide: Vec<_> = (0..257).map(|i| format!("\"v{i}\":1")).collect();
    assert!(fault(&format!("{{{}}}", wide.join(","))).contains("more than 256 values"));
    assert!(json(&format!("{{{}}}", wide[..256].join(","))).is_ok());
    assert!(fault(&format!("{{\"{}\":1}}", "x".repeat(129))).contains("129 bytes long"));
    assert!(fault(&format!("{{\"t\":{}1{}}}", "[".repeat(60), "]".repeat(60))).contains("nested deeper"));
    assert!(fault("[]").contains("no record"));
    assert!(fault("{}").contains("no value"));
    assert!(fault(r#"[{"t":1},{"values":{}}]"#).starts_with("/1: "));
    assert!(fault(r#"{"at":"2026-01-01","values":{"t":1}}"#).starts_with("/at: "));
}

#[test]
fn a_record_may_lie_a_day_ahead_and_no_more() {
    let day = 24 * 3600 * 1000;
    assert!(json(&format!(r#"{{"at":{day},"values":{{"t":1}}}}"#)).is_ok());
    assert!(fault(&format!(r#"{{"at":{},"values":{{"t":1}}}}"#, day + 1)).starts_with("/at: "));
}

#[test]
fn the_last_of_two_with_one_name_counts() {
    assert_eq!(json(r#"{"t":1,"t":2}"#).unwrap()[0].values, vec![("t".into(), Value::Int(2))]);
}

#[test]
fn cbor_follows_the_same_rules() {
    let cbor = |bytes: &[u8]| telemetry(Encoding::Cbor, bytes, NOW);
    assert_eq!(cbor(b"\xa1\x61t\xf9\x3c\x00").unwrap()[0].values, vec![("t".into(), Value::Float(1.0))]);
    assert!(cbor(b"\xa1\x61t\xf6").unwrap_err().to_string().starts_with("/t: null"));
    assert!(cbor(b"\xa1\x61t\xf9\x7e\x00").unwrap_err().to_string().starts_with("/t: numbers must be finite"));
    assert!(cbor(b"\xa1\x61t\x41x").unwrap_err().to_string().starts_with("/t: byte strings"));
    assert_eq!(cbor(b"\xa1\x61t").unwrap_err().kind, ErrorKind::Syntax);
    assert_eq!(cbor(b"\xa1\x61t\x01\x00").unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn protobuf_follows_the_same_rules() {
    use protobuf::{Kind, Record as Wire, TelemetryBatch, Value as WireValue};
    let read = |kind| {
        let values = vec![WireValue { name: "t".into(), kind }];
        let batch = TelemetryBatch { records: vec![Wire { at_ms: Some(9), id: "r".into(), values }] };
        telemetry(Encoding::Protobuf, &batch.encode_to_vec(), NOW)
    };
    let record = Record { at: Timestamp::from_millis(9).unwrap(), id: Some("r".into()), values: vec![("t".into(), Value::Int(-4))] };
    assert_eq!(read(Some(Kind::Integer(-4))).unwrap(), vec![record]);
    assert_eq!(read(Some(Kind::Number(f64::NAN))).unwrap_err().to_string(), "/0/values/t: numbers must be finite");
    assert_eq!(read(None).unwrap_err().to_string(), "/0/values/t: has no value");
    assert_eq!(telemetry(Encoding::Protobuf, b"\xff", NOW).unwrap_err().kind, ErrorKind::Syntax);
    assert_eq!(value(Encoding::Protobuf, b"").unwrap_err().kind, ErrorKind::Encoding);
}

/// Field numbers and types as the `.proto` file has them, against what the hand-written messages put on the wire.
#[test]
fn the_proto_file_and_the_messages_agree() {
    use protobuf::{Kind, Record as Wire, TelemetryBatch, Value as WireValue};
    let text = include_str!("../../proto/twinfold/v1/telemetry.proto");
    let mut declared = Vec::new();
    let mut message = "";
    for line in text.lines().map(|l| l.split("//").next().unwrap().trim()) {
        if let Some(rest) = line.strip_prefix("message ") {
            message = rest.trim_end_matches(" {");
        } else if let Some((left, number)) = line.trim_end_matches(';').split_once(" = ").filter(|(l, _)| !l.starts_with("syntax")) {
            let words: Vec<_> = left.split(' ').collect();
            let (kind, name) = (words[words.len() - 2], words[words.len() - 1]);
            let wire_type = match kind {
                "int64" | "bool" => 0,
                "double" => 1,
                "string" | "Record" | "Value" => 2,
                other => panic!("unknown type {other}"),
            };
            declared.push(((message.to_owned(), name.to_owned()), number.parse::<u8>().unwrap() << 3 | wire_type));
        }
    }
    let value = |kind| WireValue { name: String::new(), kind: Some(kind) }.encode_to_vec()[0];
    let some = WireValue { name: "n".into(), kind: None };
    let record = Wire { at_ms: None, id: String::new(), values: vec![] };
    let written = [
        ("TelemetryBatch", "records", TelemetryBatch { records: vec![record.clone()] }.encode_to_vec()[0]),
        ("Record", "at_ms", Wire { at_ms: Some(0), ..record.clone() }.encode_to_vec()[0]),
        ("Record", "id", Wire { id: "i".into(), ..record.clone() }.encode_to_vec()[0]),
        ("Record", "values", Wire { values: vec![some.clone()], ..record }.encode_to_vec()[0]),
        ("Value", "name", some.encode_to_vec()[0]),
        ("Value", "number", value(Kind::Number(1.0))),
        ("Value", "integer", value(Kind::Integer(1))),
        ("Value", "boolean", value(Kind::Boolean(true))),
        ("Value", "text", value(Kind::Text("t".into()))),
    ];
    let written: Vec<_> = written.into_iter().map(|(m, f, tag)| ((m.to_owned(), f.to_owned()), tag)).collect();
    assert_eq!(declared, written);
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e15f64..1e15).prop_map(Value::Float),
        "\\PC{0,40}".prop_map(|s| Value::Text(s.into())),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let values = prop::collection::btree_map("[a-zA-Z/~ü]{1,20}", scalar(), 1..12);
    (0i64..86_400_000, prop::option::of("[a-z0-9]{1,30}"), values).prop_map(|(at, id, values)| Record {
        at: Timestamp::from_millis(at).unwrap(),
        id: id.map(Name::from),
        values: values.into_iter().map(|(n, v)| (Name::from(n), v)).collect(),
    })
}

fn document(records: &[Record]) -> Value {
    let one = |r: &Record| {
        let mut members = vec![("at", Value::Int(r.at.as_millis())), ("values", r.values.iter().cloned().collect::<Value>())];
        members.extend(r.id.clone().map(|id| ("id", Value::Text(id))));
        members.into_iter().collect::<Value>()
    };
    Value::from(records.iter().map(one).collect::<Vec<_>>())
}

fn as_protobuf(records: &[Record]) -> Vec<u8> {
    use protobuf::{Kind, Record as Wire, TelemetryBatch, Value as WireValue};
    let value = |(name, value): &(Name, Value)| WireValue {
        name: name.to_string(),
        kind: Some(match value {
            Value::Bool(b) => Kind::Boolean(*b),
            Value::Int(i) => Kind::Integer(*i),
            Value::Float(f) => Kind::Number(*f),
            Value::Text(t) => Kind::Text(t.to_string()),
            _ => unreachable!("scalars only"),
        }),
    };
    let one = |r: &Record| Wire {
        at_ms: Some(r.at.as_millis()),
        id: r.id.as_deref().unwrap_or_default().to_owned(),
        values: r.values.iter().map(value).collect(),
    };
    TelemetryBatch { records: records.iter().map(one).collect() }.encode_to_vec()
}

proptest! {
    #[test]
    fn the_same_records_come_out_of_every_encoding(records in prop::collection::vec(record(), 1..6)) {
        let document = document(&records);
        let mut cbor = Vec::new();
        ciborium::into_writer(&document, &mut cbor).unwrap();
        prop_assert_eq!(&telemetry(Encoding::Json, &to_json(&document), NOW).unwrap(), &records);
        prop_assert_eq!(&telemetry(Encoding::Cbor, &cbor, NOW).unwrap(), &records);
        prop_assert_eq!(&telemetry(Encoding::Protobuf, &as_protobuf(&records), NOW).unwrap(), &records);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::Json, Encoding::Cbor, Encoding::Protobuf, Encoding::Unknown] {
            let _ = telemetry(encoding, &bytes, NOW);
            let _ = value(encoding, &bytes);
            let _ = command_result(encoding, &bytes);
        }
    }

    #[test]
    fn any_json_text_is_read_without_panic(text in r#"[\[\]{}:,"0-9a-z.e+-]{0,120}"#) {
        let _ = json(&text);
    }
}
