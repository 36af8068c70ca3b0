//! The twin as a document for readers.

use hierarchy_models::{
    TwinId, Value,
    event::shown_seq,
    rollup::{Aggregate, Fold},
    tree::Path,
    value::Map,
};

use super::{slots::Slots, state::TwinState};
use crate::view::{
    AlertCounts, AlertView, ConnectionView, DiagnosticsView, FoldView, Members, RollupView, SupervisionView, TwinView, ValueView,
};

fn values(slots: &Slots) -> Members<ValueView> {
    slots.iter().map(|(name, s)| (name.clone(), ValueView { value: s.value.clone(), at: s.at, received_at: s.received_at })).collect()
}

pub fn fold_view(fold: &Fold) -> FoldView {
    let Fold { count, sum, min, max, last, last_at } = *fold;
    FoldView { count, sum, avg: fold.avg(), min, max, last, last_at }
}

/// The figures of a twin and all below it.
pub fn rollup_view(twin: &TwinState, below: &Aggregate) -> RollupView {
    let all = below.contribution(twin.own_contribution());
    RollupView {
        count: all.counts.devices,
        connected: all.counts.connected,
        stale: all.counts.stale,
        quarantined: all.counts.quarantined,
        alerts: AlertCounts { count: all.counts.alerts(), worst: all.counts.worst() },
        values: all.values.into_iter().map(|(name, fold)| (name, fold_view(&fold))).collect(),
    }
}

/// The desired state with its `$version`.
pub fn desired_document(twin: &TwinState) -> Map {
    let mut desired = twin.desired.clone();
    desired.insert("$version".into(), Value::Int(twin.desired_version as i64));
    desired
}

pub fn view(id: &TwinId, path: &Path, twin: &TwinState, below: &Aggregate) -> TwinView {
    let c = &twin.connection;
    let rare = twin.rare.as_deref();
    let ever = c.session > 0;
    TwinView {
        id: id.clone(),
        model: twin.model.clone(),
        parent: twin.parent.clone(),
        path: path.clone(),
        gateway: twin.gateway.clone(),
        status: twin.status,
        version: twin.version,
        seq: shown_seq(twin.seq),
        created_at: twin.created_at,
        connection: ConnectionView {
            state: match (c.connected, ever) {
                (true, _) => "connected",
                (false, true) => "disconnected",
                (false, false) => "never",
            },
            since: c.since,
            protocol: (!c.protocol.is_empty()).then(|| c.protocol.clone()),
            remote: (!c.remote.is_empty()).then(|| c.remote.to_string()),
            last_seen: c.last_seen,
            reason: c.reason,
        },
        reported: values(&twin.reported),
        telemetry: values(&twin.telemetry),
        desired: desired_document(twin),
        metadata: twin.metadata.clone(),
        tags: twin.tags.clone(),
        rollups: rollup_view(twin, below),
        alerts: twin.alerts.iter().map(|alert| AlertView::of(id, alert)).collect(),
        supervision: SupervisionView {
            state: if twin.quarantined().is_some() { "quarantined" } else { "running" },
            restarts: rare.map_or(0, |r| r.restarts),
            error: twin.quarantined().map(Into::into),
            poison: rare.map(|r| r.poison.iter().cloned().collect()).unwrap_or_default(),
        },
        diagnostics: DiagnosticsView {
            last: rare.and_then(|r| r.diagnostics.as_ref()).map(|d| ValueView {
                value: d.value.clone(),
                at: d.at,
                received_at: d.received_at,
            }),
            rejected: rare.map(|r| r.rejected.iter().cloned().collect()).unwrap_or_default(),
            rejected_total: rare.map_or(0, |r| r.rejected_total),
        },
    }
}
