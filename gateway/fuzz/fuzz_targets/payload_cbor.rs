//! Any bytes as a Cbor payload: what is read keeps the limits, and says the same when it is written and read again.
#![no_main]

use gateway::codec;
use hierarchy_models::{Timestamp, Value, event::Encoding, limits};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    if let Ok(records) = codec::telemetry(Encoding::Cbor, payload, Timestamp::EPOCH) {
        assert!((1..=limits::RECORDS_PER_MESSAGE_MAX).contains(&records.len()));
        for record in &records {
            assert!((1..=limits::VALUES_PER_RECORD_MAX).contains(&record.values.len()));
            assert!(record.values.iter().all(|(name, value)| (1..=limits::NAME_BYTES_MAX).contains(&name.len()) && *value != Value::Null));
        }
    }
    let _ = codec::command_result(Encoding::Cbor, payload);
    if let Ok(value) = codec::value(Encoding::Cbor, payload) {
        assert_eq!(codec::value(Encoding::Json, &codec::to_json(&value)).unwrap(), value);
    }
});
