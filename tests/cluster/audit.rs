//! The audit log of a cluster, verified beside the server that writes it, and cut off by somebody who may write the tables.

use super::support::{
    Server,
    cql::{self, Keyspace},
    server::twinfold,
};

#[test]
fn a_log_verifies_beside_its_server_and_one_that_was_cut_off_does_not() {
    if !cql::there("cluster audit") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let server = Server::on_cql(folder.path(), &keyspace, &[]);
    for name in ["alpha", "beta", "gamma"] {
        server.device(name);
    }
    let last = server.api().all("/audit").remove(0);
    let written_down = format!("{}:{}", last["number"], last["hash"].as_str().unwrap());
    let settings = keyspace.environment();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let verify = || {
        let output = twinfold(&["audit", "verify", "--expect", &written_down], &settings);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (holds, told) = verify();
    assert!(holds && told.contains("3 records, unbroken") && told.contains(&written_down), "{told}");
    // Nothing was taken from the server.
    server.device("delta");
    server.api().get("//readyz").expect(200);
    let (holds, told) = verify();
    assert!(holds && told.contains("4 records, unbroken"), "{told}");
    let elsewhere: Vec<_> =
        settings.iter().map(|(name, value)| (*name, if *name == "TWINFOLD_SCYLLA__KEYSPACE" { "nobodys" } else { *value })).collect();
    let output = twinfold(&["audit", "verify"], &elsewhere);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("there is no keyspace nobodys"), "{told}");
    let made = cql::count(&cql::node(), "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = 'nobodys'").unwrap();
    assert_eq!(made, 0, "who only reads makes nothing");
    cql::run(&cql::node(), &format!("TRUNCATE {}.audit", keyspace.name)).unwrap();
    let (holds, told) = verify();
    assert!(!holds && told.contains("its end was cut off"), "{told}");
}
