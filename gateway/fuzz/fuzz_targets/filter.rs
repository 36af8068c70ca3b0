//! Any text as a filter: what is read names one device, and has no wildcard but the one in `commands/#`.
#![no_main]

use gateway::dialects::native::topic::parse_filter;
use hierarchy_models::TwinId;

libfuzzer_sys::fuzz_target!(|filter: &str| {
    if let Ok(wanted) = parse_filter(filter) {
        TwinId::new(wanted.device).unwrap();
        assert!(!filter.contains('+'));
        assert_eq!(filter.contains('#'), filter.ends_with("/commands/#"));
    }
});
