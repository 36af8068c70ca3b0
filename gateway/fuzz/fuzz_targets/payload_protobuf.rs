//! Any bytes as a `twinfold.v1.TelemetryBatch`: what is read keeps the limits.
#![no_main]

use gateway::codec;
use hierarchy_models::{Timestamp, event::Encoding, limits};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    if let Ok(records) = codec::telemetry(Encoding::Protobuf, payload, Timestamp::EPOCH) {
        assert!((1..=limits::RECORDS_PER_MESSAGE_MAX).contains(&records.len()));
        assert!(records.iter().all(|r| (1..=limits::VALUES_PER_RECORD_MAX).contains(&r.values.len())));
    }
});
