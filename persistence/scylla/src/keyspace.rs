//! The keyspace itself: made when it is missing, with as many copies in each data centre as its nodes allow, and how many it has.
//!
//! How many copies there are is decided once and stays: a keyspace that was made while one node was up keeps one. So what was chosen is
//! logged, and a keyspace of few copies is warned about at every start.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    hash::BuildHasher,
    time::Duration,
};

use persistence::{Error, metrics};
use scylla::cluster::{ClusterState, metadata::Strategy};

use crate::{
    Options, REPLICAS_DEFAULT, Replication,
    cql::{Cql, Use},
    options::is_keyspace_name,
};

/// How long one that found nothing lets others go first, where several nodes could be told the same at once.
const MAKE_WAIT_MAX: Duration = Duration::from_secs(2);

/// Somewhere below the most, so that of several that start together one makes what is missing and the others find it.
fn random_moment() -> Duration {
    MAKE_WAIT_MAX.mul_f64(RandomState::new().hash_one(0) as f64 / u64::MAX as f64)
}

/// Waits unless one node is all there is, which does one thing after another by itself.
pub async fn let_others_go_first(cql: &Cql, doing: &'static str) -> Result<(), Error> {
    if cql.session(doing)?.get_cluster_state().get_nodes_info().len() > 1 {
        tokio::time::sleep(random_moment()).await;
    }
    Ok(())
}

pub async fn make(cql: &Cql, options: &Options, doing: &'static str) -> Result<(), Error> {
    if !is_keyspace_name(&options.keyspace) {
        return Err(Error::Refused(format!("{:?} is not a keyspace name: lower-case letters, digits and _, at most 48", options.keyspace)));
    }
    let select = cql.prepare(Use::Read, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?").await?;
    let found = async || Ok::<_, Error>(cql.row::<(String,)>(doing, &select, (&options.keyspace,)).await?.is_some());
    if found().await? {
        return Ok(());
    }
    let_others_go_first(cql, doing).await?;
    if found().await? {
        return Ok(());
    }
    let state = cql.session(doing)?.get_cluster_state();
    if let Some(missing) = missing(&options.replication, &state) {
        // They may be starting: a keyspace that is made while a node knows no other may be made once more by another.
        cql.refresh(doing).await?;
        return Err(Error::Unavailable { doing, detail: missing });
    }
    let replication = replication(&options.replication, &state);
    tracing::info!(keyspace = %options.keyspace, %replication, "making the keyspace; its replication stays as it is until an operator alters it");
    // ScyllaDB up to 2025.3 knows no lightweight transactions with tablets; Cassandra does not know the option.
    let is_scylla = state.get_nodes_info().iter().any(|node| node.sharder().is_some());
    let tablets = if is_scylla { " AND tablets = {'enabled': false}" } else { "" };
    cql.change_schema(doing, &format!("CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {replication}{tablets}", options.keyspace)).await
}

/// As CQL writes it. What the nodes allow is counted for each data centre: two centres of one node each allow one copy in each.
fn replication(asked: &Replication, state: &ClusterState) -> String {
    let nodes = state.get_nodes_info();
    let centres: Option<Vec<&str>> = nodes.iter().map(|node| node.datacenter.as_deref()).collect();
    match (asked, centres) {
        (Replication::AsNodesAllow, Some(centres)) => as_nodes_allow(&centres).map(nodes.len()),
        (asked, _) => asked.map(nodes.len()),
    }
}

/// What is said when fewer nodes are known than copies are asked for.
fn missing(asked: &Replication, state: &ClusterState) -> Option<String> {
    let nodes = state.get_nodes_info();
    let of = |centre: &str| nodes.iter().filter(|node| node.datacenter.as_deref() == Some(centre)).count();
    let centres: Vec<&str> = nodes.iter().filter_map(|node| node.datacenter.as_deref()).collect();
    too_few(asked, &centres, of)
}

/// Of the data centre of each node, and how many nodes one has.
fn too_few(asked: &Replication, centres: &[&str], of: impl Fn(&str) -> usize) -> Option<String> {
    let wanted: Vec<(&str, usize)> = match asked {
        Replication::AsNodesAllow => return None,
        Replication::Everywhere(copies) => centres.iter().map(|centre| (*centre, *copies)).collect(),
        Replication::DataCentres(wanted) => wanted.iter().map(|(centre, copies)| (centre.as_str(), *copies)).collect(),
    };
    let short = wanted.into_iter().find(|(centre, copies)| of(centre) < *copies);
    short.map(|(centre, copies)| format!("the keyspace is to have {copies} copies in data centre {centre}, which has {} nodes", of(centre)))
}

/// Of the data centre of each node.
fn as_nodes_allow(centres: &[&str]) -> Replication {
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    centres.iter().for_each(|centre| *copies.entry(centre).or_default() += 1);
    let text: Vec<String> = copies.iter().map(|(centre, nodes)| format!("{centre}:{}", REPLICAS_DEFAULT.min(*nodes))).collect();
    // A name that is not plain is never put into a statement.
    Replication::parse(&text.join(",")).unwrap_or(Replication::AsNodesAllow)
}

/// Says when losing a disk loses what is in the keyspace, or one node less stops it.
pub fn report_copies(cql: &Cql, keyspace: &str, doing: &'static str) -> Result<(), Error> {
    let state = cql.session(doing)?.get_cluster_state();
    let Some(copies) = state.get_keyspace(keyspace).and_then(|keyspace| copies_of(&keyspace.strategy)) else {
        tracing::warn!(
            keyspace,
            "the driver does not know how the keyspace is replicated: requests go to nodes that do not have their rows"
        );
        return Ok(());
    };
    metrics::copies(copies);
    if copies < REPLICAS_DEFAULT {
        tracing::warn!(
            keyspace,
            copies,
            "the keyspace keeps fewer than {REPLICAS_DEFAULT} copies: the loss of one node may stop it, or lose what is in it"
        );
    }
    Ok(())
}

/// In all data centres together.
fn copies_of(strategy: &Strategy) -> Option<usize> {
    match strategy {
        Strategy::SimpleStrategy { replication_factor } => Some(*replication_factor),
        Strategy::NetworkTopologyStrategy { datacenter_repfactors } => Some(datacenter_repfactors.values().sum()),
        Strategy::LocalStrategy => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_centre_gets_no_more_copies_than_it_has_nodes() {
        let map = |centres: &[&str]| as_nodes_allow(centres).map(centres.len());
        assert_eq!(map(&["a", "b"]), "{'class': 'NetworkTopologyStrategy', 'a': 1, 'b': 1}");
        assert_eq!(map(&["a", "b", "a", "a", "a"]), "{'class': 'NetworkTopologyStrategy', 'a': 3, 'b': 1}");
        assert_eq!(map(&["it's", "it's"]), "{'class': 'NetworkTopologyStrategy', 'replication_factor': 2}");
    }

    #[test]
    fn copies_that_no_node_could_hold_are_not_begun_with() {
        let too_few = |asked: &str, centres: &[&str]| {
            too_few(&Replication::parse(asked).unwrap(), centres, |centre| centres.iter().filter(|c| **c == centre).count())
        };
        assert_eq!((too_few("1", &["a"]), too_few("3", &["a", "a", "a"]), too_few("a:2,b:1", &["a", "b", "a"])), (None, None, None));
        for (asked, centres) in [("3", &["a", "a"][..]), ("2", &["a", "a", "b"]), ("a:1,b:1", &["a"]), ("b:1", &[])] {
            assert!(too_few(asked, centres).is_some(), "{asked} {centres:?}");
        }
    }

    #[test]
    fn who_waits_waits_no_longer_than_said() {
        let moments: Vec<Duration> = (0..50).map(|_| random_moment()).collect();
        assert!(moments.iter().all(|moment| *moment <= MAKE_WAIT_MAX));
        assert!(moments.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
