//! `/twins/{id}/commands`: bad input of every kind.

use crate::support::{Server, json};

#[test]
fn a_bad_command_is_told_where_it_is_bad() {
    let server = Server::start();
    server.device("t");
    let cases = [
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "a/b"}), "/name"),
        (json!({"name": "a+"}), "/name"),
        (json!({"name": "x".repeat(129)}), "/name"),
        (json!({"name": "open", "ttl": 0}), "/ttl"),
        (json!({"name": "open", "ttl": -5}), "/ttl"),
        (json!({"name": "open", "ttl": "long"}), "/ttl"),
        (json!({"name": "open", "ttl": 30u64 * 24 * 3600 + 1}), "/ttl"),
        (json!({"name": "open", "wait": "long"}), "/wait"),
        (json!({"name": "open", "colour": 1}), "/colour"),
    ];
    for (body, pointer) in cases {
        let problem = server.api().post("/twins/t/commands", body.clone()).problem(400);
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
    }
    assert_eq!(server.api().all("/twins/t/commands").len(), 0);
}

#[test]
fn a_payload_too_large_is_refused() {
    let server = Server::start();
    server.device("t");
    let status = server.api().post("/twins/t/commands", json!({"name": "open", "payload": "x".repeat(65 * 1024)})).status;
    assert!(matches!(status, 400 | 413), "{status}");
}

#[test]
fn commands_of_nobody_and_commands_that_never_were() {
    let server = Server::start();
    server.device("t");
    server.api().post("/twins/nobody/commands", json!({"name": "open"})).problem(404);
    server.api().get("/twins/nobody/commands").problem(404);
    server.api().get("/twins/t/commands/nothing").problem(404);
    server.api().delete("/twins/t/commands/nothing").problem(404);
    server.api().get("/twins/t/commands?state=resting").problem(400);
}

#[test]
fn an_accepted_command_says_where_it_can_be_read() {
    let server = Server::start();
    server.device("t");
    let answer = server.api().post("/twins/t/commands", json!({"name": "open", "payload": [1], "ttl": 90}));
    let command = answer.expect(202);
    assert_eq!(
        (&command["name"], &command["payload"], &command["state"], &command["ttl"]),
        (&json!("open"), &json!([1]), &json!("queued"), &json!(90))
    );
    let id = command["id"].as_str().unwrap();
    assert_eq!(server.api().get(&format!("/twins/t/commands/{id}")).expect(200)["id"], id);
}

#[test]
fn the_inbox_is_listed_by_state_and_paged() {
    let server = Server::start();
    server.device("t");
    for n in 0..12 {
        server.api().post("/twins/t/commands", json!({"name": format!("c{n}"), "ttl": 60})).expect(202);
    }
    let all = server.api().all("/twins/t/commands?limit=5");
    assert_eq!(all.len(), 12);
    assert_eq!(server.api().all("/twins/t/commands?state=queued&limit=7").len(), 12);
    assert_eq!(server.api().all("/twins/t/commands?state=completed").len(), 0);
}

#[test]
fn a_command_without_a_ttl_gets_the_default() {
    let server = Server::start();
    server.device("t");
    assert_eq!(server.api().post("/twins/t/commands", json!({"name": "open"})).expect(202)["ttl"], 60);
}
