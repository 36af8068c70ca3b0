//! Users of the cluster: who has no right password is not let in, and who may not make a keyspace is told so.
//!
//! The node is its own, 127.0.0.81, so that other tests keep theirs.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{KeyspacePlace, batch, id, node::Node, options, ours, seqs};
use persistence::{Error, Journal};
use persistence_scylla::{Options, ScyllaStore};
use scylla::client::{session::Session, session_builder::SessionBuilder};

const NODE: &str = "81";
const ADDRESS: &str = "127.0.0.81:9042";
/// A node that is up makes its first user a moment later.
const FIRST_USER_WAIT_MAX: Duration = Duration::from_secs(60);

fn place(credentials: Option<(&str, &str)>) -> KeyspacePlace {
    let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
    KeyspacePlace::new(Options { nodes: vec![ADDRESS.into()], credentials, schema_patience: Duration::from_secs(1), ..options() })
}

async fn operator() -> Session {
    let until = Instant::now() + FIRST_USER_WAIT_MAX;
    loop {
        match SessionBuilder::new().known_node(ADDRESS).user("cassandra", "cassandra").build().await {
            Ok(session) => return session,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_a_right_password_and_the_rights_is_let_in() {
    if !ours() {
        return;
    }
    let _node = Node::start_with(NODE, &[("CASSANDRA_PASSWORDS", "yes")]);
    let operator = operator().await;
    for credentials in [None, Some(("cassandra", "planted-wrong-password")), Some(("nobody", "cassandra"))] {
        let refused = ScyllaStore::open(place(credentials).options.clone()).await.err();
        let told = refused.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(refused, Some(Error::Unavailable { .. })) && !told.contains("planted"), "{credentials:?}: {refused:?}");
    }
    operator.query_unpaged("CREATE ROLE twinfold WITH PASSWORD = 'its own' AND LOGIN = true", ()).await.unwrap();
    let own = place(Some(("twinfold", "its own")));
    let refused = ScyllaStore::open(own.options.clone()).await.err();
    assert!(refused.as_ref().is_some_and(|error| error.to_string().contains("permission")), "{refused:?}");
    let make = "WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    let keyspace = &own.options.keyspace;
    operator.query_unpaged(format!("CREATE KEYSPACE {keyspace} {make}"), ()).await.unwrap();
    operator.query_unpaged(format!("GRANT ALL ON KEYSPACE {keyspace} TO twinfold"), ()).await.unwrap();
    let store = own.open_here().await.store;
    store.append(batch(&id("a"), 1)).await.unwrap();
    assert_eq!(seqs(&*store, &id("a")).await, [1]);
}
