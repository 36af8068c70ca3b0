//! What the runtime counts: every queue, bound and step has a series, and each is there from the start, so that an alert
//! can tell nothing from never.

use hierarchy_models::CommandState;
use metrics::{counter, describe_counter, describe_gauge, gauge};

const GAUGES: [(&str, &str); 12] = [
    ("twinfold_twins_resident", "twins in memory"),
    ("twinfold_twins_connected", "twins whose device is connected"),
    ("twinfold_twins_memory_bytes", "bytes that twins in memory take, estimated; limit twins.memory_max_bytes"),
    ("twinfold_lane_turns_waiting", "turns on their way to the journal, all threads together"),
    ("twinfold_wakes_waiting", "expiries and timers that are to come"),
    ("twinfold_outbound_on_the_way", "commands between twins that are being sent; limit OUTBOX_COMMANDS_MAX a twin"),
    ("twinfold_command_waiters", "callers waiting for a command's end; limit commands.waiters_max a twin"),
    ("twinfold_live_readers", "readers of the live stream; limit live.readers_max"),
    ("twinfold_live_events_kept", "events kept for readers that come back; limit live.replay_events_max"),
    ("twinfold_rules", "rules, enabled or not; limit RULES_MAX"),
    ("twinfold_webhooks_waiting", "calls of webhooks that wait; limit webhooks.waiting_max"),
    ("twinfold_store_disk_bytes", "bytes of the store on disk"),
];

const COUNTERS: [(&str, &str); 25] = [
    ("twinfold_twins_activated_total", "twins started from their snapshot"),
    ("twinfold_twins_passivated_total", "twins sent out of memory"),
    ("twinfold_twin_restarts_total", "restarts after a behaviour failed"),
    ("twinfold_messages_refused_total", "device messages a twin refused"),
    ("twinfold_records_deduplicated_total", "records whose id was taken before"),
    ("twinfold_mailbox_waits_total", "messages that waited while their twin was read back; limit twins.mailbox_max a twin"),
    ("twinfold_mailbox_full_total", "messages refused because twins.mailbox_max waited for their twin"),
    ("twinfold_commits_failed_total", "commits that the store did not take"),
    ("twinfold_turns_over_budget_total", "turns that took longer than twins.turn_budget"),
    ("twinfold_intake_shut_total", "times devices had to wait because of journal.max_bytes"),
    ("twinfold_flushes_total", "flushes of projections that were written"),
    ("twinfold_flushes_failed_total", "flushes of projections that failed and are repeated"),
    ("twinfold_outbound_failed_total", "commands between twins that were given up"),
    ("twinfold_outbound_repeated_total", "times a command between twins had to be sent again"),
    ("twinfold_misfits_total", "messages and calls that did not fit their twin's model; see models.validation"),
    ("twinfold_alerts_refused_total", "alerts beyond ALERTS_PER_TWIN_MAX"),
    ("twinfold_rule_evaluations_total", "evaluations of rules on twins"),
    ("twinfold_rule_errors_total", "evaluations of rules that came to no answer"),
    ("twinfold_rule_late_records_total", "records that came later than rules.late_max and joined no window"),
    ("twinfold_rule_panics_total", "twins whose rules panicked and do not look at them until the rules change"),
    ("twinfold_rules_put_off_total", "turned rules whose effects went beyond EFFECTS_PER_TURN_MAX and wait for the next look"),
    ("twinfold_rule_windows_lost_total", "windows that began empty because history could not be read"),
    ("twinfold_rules_left_out_total", "rules beyond RULES_PER_TWIN_MAX on a twin"),
    ("twinfold_webhooks_refused_total", "calls of webhooks beyond webhooks.waiting_max"),
    ("twinfold_live_readers_lagged_total", "readers that fell behind live.queue_events_max and start again"),
];

/// Makes every series known, at zero.
pub fn register() {
    for (name, meaning) in GAUGES {
        describe_gauge!(name, meaning);
        gauge!(name).increment(0.0);
    }
    for (name, meaning) in COUNTERS {
        describe_counter!(name, meaning);
        counter!(name).increment(0);
    }
    describe_counter!("twinfold_audit_records_total", "records of the audit log by outcome: done, denied, failed");
    describe_counter!("twinfold_audit_failed_total", "appends to the audit log that the store refused");
    describe_counter!("twinfold_audit_lost_total", "refusals that were not recorded, as too many waited");
    describe_counter!("twinfold_oidc_fetches_total", "tries to fetch the identity provider's keys by outcome: done, failed");
    describe_counter!("twinfold_webhooks_total", "calls of webhooks by outcome: taken, failed (and made again), given_up, dropped");
    for outcome in ["taken", "failed", "given_up", "dropped"] {
        counter!("twinfold_webhooks_total", "outcome" => outcome).increment(0);
    }
    describe_counter!("twinfold_alerts_total", "alerts by what became of them and by severity");
    describe_counter!("twinfold_commands_ended_total", "commands by the state they ended in");
    for end in [CommandState::Completed, CommandState::Failed, CommandState::Expired, CommandState::Cancelled] {
        counter!("twinfold_commands_ended_total", "state" => end.as_str()).increment(0);
    }
}
