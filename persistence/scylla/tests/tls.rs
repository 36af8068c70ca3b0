//! TLS to a node that takes nothing else and wants a certificate: who shows and trusts the right ones is in, everybody else is told.
//!
//! The node is its own, 127.0.0.41, so that other tests keep theirs.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{KeyspacePlace, batch, id, node::Node, options, ours, seqs};
use persistence::{Error, Journal};
use persistence_scylla::{Options, ScyllaStore, TlsFiles};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};

const NODE: &str = "41";
const ADDRESS: &str = "127.0.0.41";
/// What the node's certificate is for beside its address.
const NAME: &str = "cluster.example";

/// An authority of its own, and its certificate as a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(file: PathBuf) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    fn issue(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// The files of a client that this authority vouches for.
    fn client(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(&[name]);
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

fn place(tls: &TlsFiles) -> KeyspacePlace {
    KeyspacePlace::new(Options { nodes: vec![format!("{ADDRESS}:9042")], tls: Some(tls.read().unwrap()), ..options() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_shows_and_trusts_the_right_certificates_is_let_in() {
    if !ours() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path().join("ca.pem"));
    let others = Authority::new(folder.path().join("other-ca.pem"));
    let (certificate, key) = ours.issue(&[ADDRESS, NAME]);
    fs::write(folder.path().join("node.pem"), format!("{}\n{}", key.serialize_pem(), certificate.pem())).unwrap();
    let _node = Node::start_with(NODE, &[("CASSANDRA_TLS", folder.path().to_str().unwrap())]);

    let right = TlsFiles { ca: ours.file.clone(), client: Some(ours.client(folder.path(), "client")), name: None };
    let store = place(&right).open_here().await.store;
    store.append(batch(&id("a"), 1)).await.unwrap();
    assert_eq!(seqs(&*store, &id("a")).await, [1]);
    place(&TlsFiles { name: Some(NAME.into()), ..right.clone() }).open_here().await;

    let wrong = [
        ("an authority that did not sign the node's certificate", TlsFiles { ca: others.file.clone(), ..right.clone() }),
        ("no certificate of its own", TlsFiles { client: None, ..right.clone() }),
        ("a certificate of another authority", TlsFiles { client: Some(others.client(folder.path(), "stranger")), ..right.clone() }),
        ("another name", TlsFiles { name: Some("elsewhere.example".into()), ..right.clone() }),
    ];
    for (what, tls) in wrong {
        let refused = ScyllaStore::open(place(&tls).options.clone()).await.err();
        assert!(matches!(refused, Some(Error::Unavailable { .. })), "{what}: {refused:?}");
    }
    let plain = KeyspacePlace::new(Options { nodes: vec![format!("{ADDRESS}:9042")], ..options() });
    assert!(ScyllaStore::open(plain.options.clone()).await.is_err(), "no TLS at all");
}
