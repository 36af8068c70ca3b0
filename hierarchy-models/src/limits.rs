//! Every bound of the domain, with its unit last in its name. Settings may lower most of them; nothing raises them.

use std::time::Duration;

/// Records in one telemetry message.
pub const RECORDS_PER_MESSAGE_MAX: usize = 1_000;
/// Values in one record.
pub const VALUES_PER_RECORD_MAX: usize = 256;
/// Distinct last known values a twin keeps.
pub const VALUES_PER_TWIN_MAX: usize = 1_024;
/// Bytes of the last known values of a twin, as held in memory.
pub const VALUES_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an alert's text; longer ones are cut.
pub const ALERT_TEXT_BYTES_MAX: usize = 1_024;
/// Numeric values of one twin that go into roll-ups, in the order of their names.
pub const ROLLUP_NAMES_PER_TWIN_MAX: usize = 64;
/// Bytes of a property, stream or event name.
pub const NAME_BYTES_MAX: usize = 128;
/// Commands a twin holds that have not ended.
pub const INBOX_COMMANDS_MAX: usize = 64;
/// Commands sent to a device and not yet answered.
pub const INBOX_IN_FLIGHT_MAX: usize = 8;
/// Ended commands a twin keeps beside the store's history, for idempotency and late readers.
pub const ENDED_COMMANDS_MAX: usize = 32;
/// Longest time to live of a command.
pub const COMMAND_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time to live of a command that names none.
pub const COMMAND_TTL_DEFAULT: Duration = Duration::from_secs(60);
/// Bytes of a command's payload, of a result's payload.
pub const COMMAND_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Record ids remembered for deduplication, a twin.
pub const DEDUPE_RECORDS_MAX: usize = RECORDS_PER_MESSAGE_MAX + 24;
/// Rejected messages kept for reading, a twin.
pub const REJECTED_MAX: usize = 16;
/// Poison messages kept for reading, a twin.
pub const POISON_MAX: usize = 16;
/// Bytes kept of each rejected or poison message.
pub const KEPT_PAYLOAD_BYTES_MAX: usize = 1_024;
/// Open alerts a twin holds.
pub const ALERTS_PER_TWIN_MAX: usize = 64;
/// Levels of the tree, the root included.
pub const TREE_DEPTH_MAX: usize = 16;
/// Bytes of a twin's reported or desired properties, or metadata, as held in memory.
pub const PROPERTIES_BYTES_MAX: usize = 256 * 1024;
/// How far ahead of the server's clock a record's time may lie.
pub const RECORD_AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// Names a roll-up folds, a twin; further names are counted as left out.
pub const ROLLUP_NAMES_MAX: usize = 256;
/// Bytes of a behaviour's own state, or of one event it emits, as held in memory.
pub const BEHAVIOUR_BYTES_MAX: usize = 64 * 1024;
/// Models that are known at once, built-in ones included.
pub const MODELS_MAX: usize = 20_000;
/// Effects of one turn of a behaviour.
pub const EFFECTS_PER_TURN_MAX: usize = 64;
/// Roll-ups that one twin defines, or one model.
pub const ROLLUP_DEFINITIONS_MAX: usize = 32;
/// Bytes of the text of one roll-up's definition.
pub const ROLLUP_TEXT_BYTES_MAX: usize = 512;
/// Comparisons in the condition of one roll-up.
pub const ROLLUP_COMPARISONS_MAX: usize = 16;
/// Parentheses and negations inside one another in the condition of one roll-up.
pub const ROLLUP_NESTING_MAX: usize = 16;
/// What a twin can be asked from above at most: all that the twins above it define, by themselves and by their models.
pub const ROLLUP_ASKS_MAX: usize = TREE_DEPTH_MAX * 2 * ROLLUP_DEFINITIONS_MAX;
/// Commands to other twins that a twin holds until they are taken there.
pub const OUTBOX_COMMANDS_MAX: usize = 256;
/// Timers a behaviour has set.
pub const TIMERS_PER_TWIN_MAX: usize = 64;
/// Shortest time between two calls of a timer that repeats.
pub const TIMER_EVERY_MIN: Duration = Duration::from_millis(100);
/// Bytes of a rule's expression, of its clear condition, of a text with placeholders.
pub const RULE_TEXT_BYTES_MAX: usize = 2_048;
/// Bytes of what a rule says of itself to people.
pub const RULE_DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Rules there may be.
pub const RULES_MAX: usize = 1_000;
/// Rules in scope of one twin; further ones, in the order of their ids, do not run on it and are counted.
pub const RULES_PER_TWIN_MAX: usize = 128;
/// Windows, `for` and `absent` terms of one rule.
pub const WINDOWS_PER_RULE_MAX: usize = 16;
/// Actions of one rule.
pub const ACTIONS_PER_RULE_MAX: usize = 8;
/// Longest window, `for` or `absent`.
pub const WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Samples one window holds; with more the oldest go, and it covers less time.
pub const WINDOW_SAMPLES_MAX: usize = 4_096;
/// Levels of brackets in a rule's expression.
pub const RULE_DEPTH_MAX: usize = 32;
/// `all`, `exists`, `map`, `filter` … in one expression.
pub const RULE_MACROS_MAX: usize = 2;
/// Bytes of the name of a role.
pub const ROLE_NAME_BYTES_MAX: usize = 64;
/// Roles there may be, built-in ones included.
pub const ROLES_MAX: usize = 128;
/// Principals there may be.
pub const PRINCIPALS_MAX: usize = 10_000;
/// Grants of one principal.
pub const GRANTS_PER_PRINCIPAL_MAX: usize = 64;
/// Longest life of an API key that has an end.
pub const KEY_LIFETIME_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Bytes of a filter.
pub const FILTER_TEXT_BYTES_MAX: usize = 4_096;
/// Comparisons in one filter, each member of a list that follows `in` included.
pub const FILTER_COMPARISONS_MAX: usize = 64;
/// Parentheses and negations inside one another in a filter.
pub const FILTER_NESTING_MAX: usize = 16;
/// Names behind one another in `metadata.a.b.c`, the first word not counted.
pub const FILTER_PATH_NAMES_MAX: usize = 8;
