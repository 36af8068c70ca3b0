//! `twinfold twin …`: register, look, change, remove.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    Server,
    http::{Api, ClientError, escaped, query},
    json_argument, listing, table, text_at,
};

#[derive(Debug, Subcommand)]
pub enum TwinAction {
    /// Search
    List {
        #[arg(long)]
        model: Option<String>,
        /// Direct children of this twin
        #[arg(long)]
        parent: Option<String>,
        /// Everything below this twin
        #[arg(long)]
        under: Option<String>,
        /// An expression over metadata, tags, model and last known values
        #[arg(long)]
        filter: Option<String>,
        /// id, created_at or metadata.NAME; with a - before it the greatest first
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one twin
    Get { id: String },
    /// Register a twin; its keys are shown this once
    Create {
        /// Assigned when left out
        id: Option<String>,
        #[arg(long, default_value = "Device")]
        model: String,
        #[arg(long)]
        parent: Option<String>,
        /// The gateway that speaks for it
        #[arg(long)]
        gateway: Option<String>,
        /// A JSON object, or @FILE
        #[arg(long, value_parser = json_argument)]
        metadata: Option<Value>,
        #[arg(long = "tag")]
        tags: Vec<String>,
    },
    /// Change metadata, desired properties, tags or place
    Update {
        id: String,
        /// Merge patch (JSON, or @FILE)
        #[arg(long, value_parser = json_argument)]
        metadata: Option<Value>,
        /// Merge patch (JSON, or @FILE)
        #[arg(long, value_parser = json_argument)]
        desired: Option<Value>,
        /// Replaces all tags
        #[arg(long = "tag")]
        tags: Vec<String>,
        /// Move under this twin; `none` makes it a root
        #[arg(long)]
        parent: Option<String>,
        /// Reach it through this gateway; `none` connects it directly
        #[arg(long)]
        gateway: Option<String>,
        /// Another model: a newer version, say
        #[arg(long)]
        model: Option<String>,
    },
    /// Unregister
    Delete {
        id: String,
        /// And everything below it
        #[arg(long)]
        recursive: bool,
    },
    /// The twin and what is under it, with roll-ups
    Tree {
        id: String,
        #[arg(long, default_value_t = 3)]
        depth: u32,
    },
    /// Values of one name over time
    History {
        id: String,
        #[arg(long)]
        name: String,
        #[arg(long)]
        from: Option<String>,
        #[arg(long)]
        to: Option<String>,
        /// Fold into buckets of this length, such as 5m
        #[arg(long)]
        every: Option<String>,
        /// Any of avg,min,max,count
        #[arg(long, requires = "every")]
        agg: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// The event log itself
    Events {
        id: String,
        #[arg(long)]
        stream: Option<String>,
        #[arg(long)]
        from: Option<String>,
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Grant access
    Activate { id: String },
    /// Revoke access; a live session ends within a second
    Deactivate { id: String },
    /// Make new keys; the old ones and the sessions opened with them end
    ResetKeys { id: String },
}

#[derive(Debug, clap::Args)]
pub struct Page {
    #[arg(long)]
    limit: Option<u32>,
    /// Go on where the last page ended
    #[arg(long)]
    cursor: Option<String>,
}

impl TwinAction {
    pub fn run(self, server: &Server) -> Result<(), ClientError> {
        let api = server.api()?;
        match self {
            Self::List { model, parent, under, filter, sort, page } => {
                let wanted = [("model", &model), ("parent", &parent), ("under", &under), ("filter", &filter), ("sort", &sort)];
                let answer = api.get(&format!("/twins{}", paged(&wanted, &page)))?;
                server.print(&answer, |a| listing(&["ID", "MODEL", "PARENT", "STATUS"], &["/id", "/model", "/parent", "/status"], a))
            }
            Self::Get { id } => server.print(&api.get(&twin(&id))?, one),
            Self::Create { id, model, parent, gateway, metadata, tags } => {
                let body = given([
                    ("id", id.map(Value::from)),
                    ("model", Some(model.into())),
                    ("parent", parent.map(Value::from)),
                    ("gateway", gateway.map(Value::from)),
                    ("metadata", metadata),
                    ("tags", (!tags.is_empty()).then(|| tags.into())),
                ]);
                server.print(&api.post("/twins", &body)?, |a| format!("registered {}\n{}", table::clean(&text_at(a, "/id")), keys(a)))
            }
            Self::Update { id, metadata, desired, tags, parent, gateway, model } => {
                let body = given([
                    ("metadata", metadata),
                    ("desired", desired),
                    ("tags", (!tags.is_empty()).then(|| tags.into())),
                    ("parent", parent.map(or_null)),
                    ("gateway", gateway.map(or_null)),
                    ("model", model.map(Value::from)),
                ]);
                server.print(&api.patch(&twin(&id), &body)?, one)
            }
            Self::Delete { id, recursive } => {
                let query = if recursive { "?recursive=true" } else { "" };
                server.print(&api.delete(&format!("{}{query}", twin(&id)))?, |_| format!("removed {id}\n"))
            }
            Self::Tree { id, depth } => server.print(&api.get(&format!("{}/tree?depth={depth}", twin(&id)))?, tree),
            Self::History { id, name, from, to, every, agg, page } => {
                let name = Some(name);
                let wanted = [("name", &name), ("from", &from), ("to", &to), ("every", &every), ("agg", &agg)];
                let answer = api.get(&format!("{}/history{}", twin(&id), paged(&wanted, &page)))?;
                let columns: [&[&str]; 2] = if every.is_some() {
                    [&["AT", "AVG", "MIN", "MAX", "COUNT"], &["/at", "/avg", "/min", "/max", "/count"]]
                } else {
                    [&["AT", "VALUE", "STREAM"], &["/at", "/value", "/stream"]]
                };
                server.print(&answer, |a| listing(columns[0], columns[1], a))
            }
            Self::Events { id, stream, from, to, page } => {
                let wanted = [("stream", &stream), ("from", &from), ("to", &to)];
                let answer = api.get(&format!("{}/events{}", twin(&id), paged(&wanted, &page)))?;
                server.print(&answer, events)
            }
            Self::Activate { id } => set_status(&api, server, &id, "activate"),
            Self::Deactivate { id } => set_status(&api, server, &id, "deactivate"),
            Self::ResetKeys { id } => server.print(&api.post(&format!("{}/credentials/reset", twin(&id)), &json!({}))?, keys),
        }
    }
}

fn twin(id: &str) -> String {
    format!("/twins/{}", escaped(id))
}

fn paged(wanted: &[(&str, &Option<String>)], page: &Page) -> String {
    let limit = page.limit.map(|n| n.to_string());
    let mut parts: Vec<(&str, Option<&str>)> = wanted.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    parts.extend([("limit", limit.as_deref()), ("cursor", page.cursor.as_deref())]);
    query(&parts)
}

fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn or_null(id: String) -> Value {
    if id == crate::config::NONE { Value::Null } else { id.into() }
}

fn set_status(api: &Api, server: &Server, id: &str, to: &str) -> Result<(), ClientError> {
    let answer = api.post(&format!("{}/{to}", twin(id)), &json!({}))?;
    server.print(&answer, |a| format!("{id} is {}\n", table::clean(&text_at(a, "/status"))))
}

fn keys(answer: &Value) -> String {
    let none = Map::new();
    let keys = answer.get("keys").and_then(Value::as_object).unwrap_or(&none);
    let rows: Vec<Vec<String>> = keys.iter().map(|(slot, key)| vec![slot.clone(), key.as_str().unwrap_or("-").to_owned()]).collect();
    if rows.is_empty() { String::new() } else { format!("{}these keys are not shown again\n", table::table(&["KEY", "VALUE"], &rows)) }
}

/// What matters of a twin: its name here, its place in the document.
#[rustfmt::skip]
const FACTS: [(&str, &str); 12] = [
    ("id", "/id"), ("model", "/model"), ("path", "/path"), ("status", "/status"), ("version", "/version"),
    ("connection", "/connection/state"), ("since", "/connection/since"), ("last seen", "/connection/last_seen"),
    ("supervision", "/supervision/state"), ("metadata", "/metadata"), ("tags", "/tags"), ("desired", "/desired"),
];

/// One twin: what matters first, then its values.
fn one(twin: &Value) -> String {
    let rows: Vec<Vec<String>> =
        FACTS.iter().map(|(name, at)| vec![(*name).to_owned(), text_at(twin, at)]).filter(|r| r[1] != "-").collect();
    let mut text = table::table(&["TWIN", ""], &rows);
    text.push_str(&values("TELEMETRY", twin.get("telemetry")));
    text.push_str(&values("REPORTED", twin.get("reported")));
    text.push_str(&rolled_up(twin));
    text.push_str(&alerts(twin));
    text
}

fn values(title: &str, values: Option<&Value>) -> String {
    let Some(values) = values.and_then(Value::as_object).filter(|v| !v.is_empty()) else { return String::new() };
    let rows: Vec<Vec<String>> = values.iter().map(|(name, v)| vec![name.clone(), text_at(v, "/value"), text_at(v, "/at")]).collect();
    format!("\n{}", table::table(&[title, "VALUE", "AT"], &rows))
}

fn rolled_up(twin: &Value) -> String {
    let Some(values) = twin.pointer("/rollups/values").and_then(Value::as_object).filter(|v| !v.is_empty()) else { return String::new() };
    let rows: Vec<Vec<String>> = values
        .iter()
        .map(|(name, fold)| std::iter::once(name.clone()).chain(["/count", "/avg", "/min", "/max"].map(|at| text_at(fold, at))).collect())
        .collect();
    format!("\n{}", table::table(&["ROLL-UP", "COUNT", "AVG", "MIN", "MAX"], &rows))
}

fn alerts(twin: &Value) -> String {
    let Some(open) = twin.get("alerts").and_then(Value::as_array).filter(|a| !a.is_empty()) else { return String::new() };
    let rows: Vec<Vec<String>> =
        open.iter().map(|a| ["/name", "/severity", "/raised_at", "/text"].map(|at| text_at(a, at)).to_vec()).collect();
    format!("\n{}", table::table(&["ALERT", "SEVERITY", "RAISED", "TEXT"], &rows))
}

fn events(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = items(answer);
    let mut text = table::table(&["SEQ", "RECEIVED", "STREAM", "WHAT"], &rows);
    if let Some(cursor) = answer.get("cursor").and_then(Value::as_str) {
        text.push_str(&format!("there is more: --cursor {}\n", table::clean(cursor)));
    }
    text
}

/// An event's own members, whatever they are, in one line.
fn items(answer: &Value) -> Vec<Vec<String>> {
    let rest = |event: &Value| {
        let mut rest = event.as_object().cloned().unwrap_or_default();
        for known in ["seq", "received_at", "stream", "raw"] {
            rest.remove(known);
        }
        Value::Object(rest).to_string()
    };
    super::items(answer).iter().map(|e| vec![text_at(e, "/seq"), text_at(e, "/received_at"), text_at(e, "/stream"), rest(e)]).collect()
}

/// The tree, indented, each place with its roll-up in one line.
fn tree(node: &Value) -> String {
    let mut rows = Vec::new();
    branch(node, 0, &mut rows);
    table::table(&["TWIN", "DEVICES", "CONNECTED", "STALE", "ALERTS", "VALUES"], &rows)
}

fn branch(node: &Value, depth: usize, rows: &mut Vec<Vec<String>>) {
    let twin = node.get("twin").unwrap_or(node);
    let indent = "  ".repeat(depth);
    rows.push(vec![
        format!("{indent}{}", text_at(twin, "/id")),
        text_at(twin, "/rollups/count"),
        text_at(twin, "/rollups/connected"),
        text_at(twin, "/rollups/stale"),
        text_at(twin, "/rollups/alerts/count"),
        averages(twin),
    ]);
    for child in node.get("children").and_then(Value::as_array).into_iter().flatten() {
        branch(child, depth + 1, rows);
    }
    match node.get("children_left_out").and_then(Value::as_u64) {
        Some(left_out) if left_out > 0 => rows.push(vec![format!("{indent}  … {left_out} more")]),
        _ => {}
    }
}

fn averages(twin: &Value) -> String {
    let values = twin.pointer("/rollups/values").and_then(Value::as_object);
    let each = values.into_iter().flatten().map(|(name, fold)| format!("{name}={}", text_at(fold, "/avg")));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_indented_and_says_what_it_left_out() {
        let node = json!({
            "twin": {"id": "site", "rollups": {"count": 2, "connected": 1, "stale": 0, "alerts": {"count": 0}, "values": {"t": {"avg": 21.49999999}}}},
            "children": [{"twin": {"id": "room"}, "children": [], "children_left_out": 3}], "children_left_out": 0
        });
        let text = tree(&node);
        assert!(text.contains("site          2        1          0      0       t=21.5\n"), "{text}");
        assert!(text.contains("\n  room") && text.contains("\n    … 3 more"), "{text}");
    }

    #[test]
    fn only_what_was_given_is_sent() {
        let body = given([("id", None), ("parent", Some(or_null("none".into()))), ("tags", Some(json!(["a"])))]);
        assert_eq!(body, json!({"parent": null, "tags": ["a"]}));
    }
}
