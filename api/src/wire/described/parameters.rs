//! Query parameters and header fields that several routes take.

#![allow(dead_code)]

use utoipa::IntoParams;

/// The parameters of every paged list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items of a page.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// RFC 3339; without a zone it is UTC. Included.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Not included.
    #[param(format = DateTime)]
    to: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Searching {
    /// A DTMI or a short name.
    model: Option<String>,
    parent: Option<String>,
    /// Anywhere below this twin, itself not included.
    under: Option<String>,
    /// An expression over id, model, status, connection, parent, gateway, path, tags, metadata, last known values, created_at and alerts:
    /// `docs/search.md`. A fault is told by its column.
    #[param(example = "metadata.floor == \"3\" && values.temperature > 25 && under(\"site-1\")")]
    filter: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sorting {
    /// `id` (default), `created_at` or `metadata.NAME`; a `-` before it has the greatest first. Twins without the value come last.
    #[param(example = "-created_at")]
    sort: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Bucketing {
    /// The name of the value.
    name: String,
    /// Width of a bucket: a number and a unit (ms, s, m, h, d), at least 1s.
    #[param(example = "5m")]
    every: Option<String>,
    /// Figures of each bucket: any of avg, min, max, count, sum.
    #[param(example = "avg,min,max,count")]
    agg: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Conditional {
    /// The write goes through only if the twin's version is the one of this entity tag.
    #[param(rename = "If-Match", nullable = false, example = "\"3.17\"")]
    if_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Idempotent {
    /// The answer to a repeated request is the first one's.
    #[param(rename = "Idempotency-Key", nullable = false, max_length = 128)]
    idempotency_key: Option<String>,
}
