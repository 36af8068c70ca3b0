//! The suite every store must pass. A fact is a function of a [`Place`] where a store can be opened again and again;
//! [`store_contract!`](crate::store_contract) makes a test of each in the crate of the store.
//!
//! One list of facts for all stores, the memory store included, so that the model that other tests lean on is held to the
//! same words as the disk.

#![allow(clippy::unwrap_used)]

pub mod audit;
pub mod documents;
pub mod events;
pub mod history;
pub mod identities;
pub mod journal;
pub mod model;
pub mod projections;
pub mod registry;
pub mod search;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::{
    Event, EventBody, Name, Raw, Record, Timestamp, TwinId, Value,
    event::{Encoding, Status},
    id::ModelId,
};

use crate::{Batch, HistoryItem, HistoryQuery, Identities, Mark, MemoryStore, Page, Projection, RegistryRow, Store};

/// Where a store lies, such as a folder. Fresh when a fact begins.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the store that lies here; a former handle was closed or dropped.
    async fn open(&self) -> Opened;
}

pub struct Opened {
    pub store: Arc<dyn Store>,
    pub identities: Arc<dyn Identities>,
}

/// A place in memory: opening it again gives what a crash would have left.
#[derive(Default)]
pub struct MemoryPlace(parking_lot::Mutex<MemoryStore>);

#[async_trait]
impl Place for MemoryPlace {
    async fn open(&self) -> Opened {
        let mut last = self.0.lock();
        *last = last.crash();
        Opened { store: Arc::new(last.clone()), identities: Arc::new(last.clone()) }
    }
}

/// Makes a `#[tokio::test]` of every fact; `$place` is evaluated anew for each, and only `if` what it lies on is there.
#[macro_export]
macro_rules! store_contract {
    ($place:expr) => {
        $crate::store_contract! { $place, if true }
    };
    ($place:expr, if $there:expr) => {
        $crate::journal_contract! { $place, if $there }
        $crate::store_contract! { $place, if $there =>
            registry::what_a_twin_starts_from_is_what_is_read_one_by_one
            registry::a_row_is_read_back_with_its_path
            registry::moving_a_twin_moves_all_below_it
            registry::a_loop_is_refused
            registry::a_missing_parent_is_refused
            registry::a_tree_that_is_too_deep_is_refused
            registry::rows_of_one_call_may_come_in_any_order
            registry::a_stale_row_is_ignored
            registry::a_recorded_move_is_never_an_error
            registry::children_of_a_deleted_twin_stand_on_their_own_until_it_returns
            registry::lists_are_filtered_and_paged_by_id
            registry::what_is_below_is_listed_wherever_its_ids_lie
            registry::what_is_asked_of_many_is_what_is_asked_of_each
            registry::children_bring_their_contribution
            registry::below_is_deepest_first
            search::random_filters_answer_as_a_look_at_every_twin
            search::what_nobody_may_see_is_on_no_page
            search::what_was_written_is_found_at_once
            search::an_order_is_kept_page_by_page
            search::a_long_order_is_walked
            search::a_cursor_of_another_order_is_refused
            documents::a_document_of_megabytes_comes_back
            documents::documents_are_listed_by_id_page_by_page
            documents::a_document_is_put_read_listed_and_deleted
            audit::the_audit_log_is_read_from_both_ends_after_a_reopen
            audit::the_audit_log_is_read_by_time
            audit::an_audit_record_out_of_line_is_refused
            identities::an_identity_comes_back_as_it_was
            identities::a_generation_outlives_its_identity
            identities::every_id_that_had_an_identity_is_listed_with_its_generation
            identities::who_stands_behind_a_gateway_is_found
        }
    };
    ($place:expr, if $there:expr => $($room:ident :: $fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                if !$there {
                    return;
                }
                let place = $place;
                $crate::contract::$room::$fact(&place).await;
            }
        )*
    };
}

/// Of [`store_contract!`] the facts that the journal has a part in, for a store that can keep it in several ways.
#[macro_export]
macro_rules! journal_contract {
    ($place:expr, if $there:expr) => {
        $crate::store_contract! { $place, if $there =>
            journal::turns_come_back_in_the_order_of_their_commits
            journal::a_projected_turn_is_in_no_tail
            journal::recovery_sees_every_turn_once_and_ends
            journal::what_was_committed_outlives_a_reopen
            journal::appends_at_once_are_all_kept
            journal::a_mark_beyond_the_end_is_refused
            journal::an_older_mark_moves_nothing_back
            journal::the_backlog_shrinks_by_what_was_projected
            journal::a_closed_store_takes_nothing
            history::a_flush_neither_loses_nor_doubles_history
            history::values_come_in_the_order_of_their_own_time
            history::equal_times_page_without_loss
            history::pages_survive_appends_and_flushes_between_them
            history::from_is_included_and_to_is_not
            history::reported_values_are_history_too
            history::buckets_are_aligned_and_paged
            history::a_published_dataset_is_read_in_pages_and_hours
            history::a_cursor_from_elsewhere_is_refused
            history::a_former_life_is_not_seen
            history::what_is_old_is_forgotten_exactly
            history::retention_goes_in_steps
            events::the_log_keeps_every_event_with_its_payload
            events::the_log_is_read_by_stream
            events::the_log_pages_by_time_of_receipt
            events::history_outlives_the_twin
            projections::the_newest_snapshot_wins
            projections::numbers_of_a_later_life_are_large
            projections::wakes_come_soonest_first
            projections::commands_are_found_by_id_by_key_and_by_state
            projections::an_ended_command_stays_ended
            projections::old_ended_commands_are_forgotten
            projections::a_deleted_twin_keeps_no_rows
            projections::a_deleted_twin_can_begin_anew_in_the_same_flush
            projections::a_refused_projection_writes_nothing
            model::a_store_answers_as_the_model_does
        }
    };
}

pub(crate) fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms).unwrap()
}

pub(crate) fn raw(text: &str) -> Raw {
    Raw { encoding: Encoding::Json, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(crate) fn event(seq: u64, received: i64, body: EventBody) -> Event {
    Event { seq, received_at: at(received), body }
}

/// Telemetry of one record; received when it was measured, unless said otherwise.
pub(crate) fn measured(seq: u64, received: i64, measured: i64, value: impl Into<Value>) -> Event {
    let record = Record { at: at(measured), id: None, values: vec![("t".into(), value.into())] };
    event(seq, received, EventBody::Telemetry { stream: None, records: vec![record], raw: raw(&format!("{{\"seq\":{seq}}}")) })
}

pub(crate) fn numbered(seq: u64) -> Event {
    measured(seq, seq as i64, seq as i64, seq as i64)
}

pub(crate) fn batch(twin: &TwinId, events: &[Event]) -> Batch {
    let mut batch = Batch::default();
    batch.push(twin, events);
    batch
}

/// Each event a turn and a commit of its own.
pub(crate) async fn append(store: &dyn Store, twin: &TwinId, events: &[Event]) {
    for event in events {
        store.append(batch(twin, std::slice::from_ref(event))).await.unwrap();
    }
}

/// Moves everything committed so far into history.
pub(crate) async fn flush(store: &dyn Store) {
    project_through(store, store.mark()).await;
}

pub(crate) async fn project_through(store: &dyn Store, mark: Mark) {
    store.project(Projection { through: Some(mark), ..Projection::default() }).await.unwrap();
}

pub(crate) fn history_of(twin: &TwinId, limit: usize) -> HistoryQuery {
    HistoryQuery { after_seq: 0, twin: twin.clone(), name: "t".into(), from: None, to: None, limit, cursor: None }
}

/// All pages of an answer.
pub(crate) async fn all_pages<T, F: Future<Output = Page<T>>>(limit: usize, mut ask: impl FnMut(Option<String>) -> F) -> Vec<T> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = ask(cursor).await;
        assert!(page.items.len() <= limit, "{} items on a page of {limit}", page.items.len());
        assert!(page.cursor.is_none() || page.items.len() == limit, "a page that is not the last is full");
        items.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

pub(crate) async fn history(store: &dyn Store, query: HistoryQuery) -> Vec<HistoryItem> {
    let limit = query.limit;
    all_pages(limit, |cursor| {
        let query = HistoryQuery { cursor, ..query.clone() };
        async move { store.history(query).await.unwrap() }
    })
    .await
}

/// The whole numbers recorded for a twin, in the order of history.
pub(crate) async fn numbers(store: &dyn Store, twin: &TwinId) -> Vec<i64> {
    history(store, history_of(twin, 10_000)).await.iter().map(number).collect()
}

pub(crate) fn number(item: &HistoryItem) -> i64 {
    match item.value {
        Value::Int(i) => i,
        ref other => panic!("{other:?} is not a whole number"),
    }
}

pub(crate) fn row(twin: &str, parent: Option<&str>, seq: u64) -> RegistryRow {
    RegistryRow {
        id: id(twin),
        model: ModelId::new("dtmi:twinfold:Room;1").unwrap(),
        parent: parent.map(id),
        gateway: None,
        status: Status::Active,
        metadata: [(Name::from("floor"), Value::Int(3))].into(),
        tags: vec!["a".into(), "b".into()],
        created_at: at(5),
        seq,
    }
}
