//! `GET /twins/{id}/history`: recorded values, or buckets of them.

use std::time::Duration;

use actix_web::{HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::{Name, TwinId, limits::NAME_BYTES_MAX};

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    json,
    params::{self, Params},
    problem::Problem,
    query::{BucketQuery, HistoryQuery},
    wire::{
        described::{Bucketing, HistoryPage, Paging, Span},
        history::{Figures, ItemDocument},
        page,
    },
};

/// Recorded values of one name by their own time, oldest first; with `every`, buckets aligned to 1970-01-01T00:00Z, the empty ones left out.
#[utoipa::path(
    operation_id = "readHistory",
    tag = "history",
    params(("id" = String, Path, description = "The twin"), Bucketing, Span, Paging),
    responses((status = 200, description = "One page of values or buckets", body = HistoryPage))
)]
#[get("/twins/{id}/history")]
pub async fn history(caller: Caller<needs::Read>, twins: Data<Twins>, id: TwinPath, params: Params) -> Result<HttpResponse, Problem> {
    let asked = read(id.0.clone(), params)?;
    caller.reach_existing(&twins, &id.0).await?;
    Ok(match asked {
        Asked::Raw(query) => json::ok(&page(twins.history(query).await?, ItemDocument::from)),
        Asked::Buckets(query, figures) => json::ok(&page(twins.buckets(query).await?, |b| figures.of(&b))),
    })
}

#[derive(Debug)]
enum Asked {
    Raw(HistoryQuery),
    Buckets(BucketQuery, Figures),
}

fn read(twin: TwinId, mut params: Params) -> Result<Asked, Problem> {
    let name: Name = params.required("name")?.into();
    if name.len() > NAME_BYTES_MAX {
        return Err(Problem::parameter("name", format!("is longer than {NAME_BYTES_MAX} bytes")));
    }
    let (from, to) = params.span()?;
    let every: Option<Duration> = params.read("every", params::every)?;
    let figures = params.read("agg", Figures::parse)?;
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    match (every, figures) {
        (None, Some(_)) => Err(Problem::parameter("agg", "needs `every`, the width of a bucket")),
        (None, None) => Ok(Asked::Raw(HistoryQuery { after_seq: 0, twin, name, from, to, limit, cursor })),
        (Some(every), figures) => Ok(Asked::Buckets(
            BucketQuery { after_seq: 0, twin, name, from, to, every, limit, cursor },
            figures.unwrap_or(Figures::DEFAULT),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Problem> {
        read(TwinId::new("t").unwrap(), Params::parse(query).unwrap())
    }

    #[test]
    fn a_width_asks_for_buckets() {
        assert!(matches!(asked("name=t").unwrap(), Asked::Raw(q) if q.limit == 100 && q.from.is_none()));
        let Asked::Buckets(query, figures) = asked("name=t&every=5m&from=2013-07-04&limit=7").unwrap() else {
            panic!("buckets were asked for")
        };
        assert_eq!((query.every, query.limit, figures), (Duration::from_secs(300), 7, Figures::DEFAULT));
        assert_eq!(query.from.unwrap().to_string(), "2013-07-04T00:00:00.000Z");
    }

    #[test]
    fn bad_input_names_its_parameter() {
        for (query, name) in [
            ("", "name"),
            ("name=", "name"),
            ("name=t&every=5", "every"),
            ("name=t&every=10ms", "every"),
            ("name=t&agg=avg", "agg"),
            ("name=t&every=5m&agg=avg,median", "agg"),
            ("name=t&from=soon", "from"),
            ("name=t&to=1e9", "to"),
            ("name=t&limit=0", "limit"),
            ("name=t&stream=x", "stream"),
        ] {
            assert_eq!(asked(query).unwrap_err().document()["parameter"], name, "{query}");
        }
    }
}
