//! Commands of a twin that has many.

#![allow(clippy::unwrap_used)]

mod common;

use common::{KeyspacePlace, id, options, row, there};
use hierarchy_models::{Command, CommandId, CommandState, Timestamp, Value};
use persistence::{CommandQuery, History, Projection, Projections, Registry};
use persistence_scylla::Options;

fn command(n: i64, state: CommandState) -> Command {
    let queued_at = Timestamp::from_millis(n).unwrap();
    Command {
        id: CommandId::new(format!("c-{n:04}")).unwrap(),
        name: "go".into(),
        payload: Value::Null,
        state,
        expires_at: Timestamp::from_millis(1_000_000).unwrap(),
        queued_at,
        delivered_at: None,
        ended_at: Some(queued_at),
        deliveries: 0,
        result: None,
        idempotency_key: None,
        sender: "somebody".into(),
    }
}

#[tokio::test]
async fn a_search_by_state_looks_at_so_many_and_goes_on_where_it_was() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::new(Options { commands_looked_max: 50, ..options() });
    let store = place.open_here().await.store;
    store.put_rows(vec![row("a", 1)]).await.unwrap();
    // The one that is looked for is the oldest.
    let state = |n| if n == 1 { CommandState::Failed } else { CommandState::Completed };
    let commands = (1..=175).map(|n| (id("a"), command(n, state(n)))).collect();
    store.project(Projection { commands, ..Projection::default() }).await.unwrap();
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = store.commands(CommandQuery { twin: id("a"), state: Some(CommandState::Failed), limit: 10, cursor }).await.unwrap();
        (pages, cursor) = (pages + 1, page.cursor);
        found.extend(page.items.into_iter().map(|command| command.id.to_string()));
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec!["c-0001".to_owned()], 4));
}
