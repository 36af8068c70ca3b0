//! Who may do what: keys, roles and scopes.

use serde_json::json;

use crate::world::run;

#[test]
fn without_a_valid_key_nothing_is_told() {
    run(|world| async move {
        for client in [world.without_key(), world.with_key("wrong"), world.with_key("tw_1_x")] {
            for path in ["/twins", "/twins/d", "/live", "/principals", "/nonsense"] {
                let answer = client.get(path).await;
                assert_eq!((answer.status, answer.problem()), (401, "unauthenticated"), "{path}");
                assert!(answer.header("www-authenticate").starts_with("Bearer"));
            }
        }
    });
}

#[test]
fn a_role_opens_its_own_doors_and_no_others() {
    run(|world| async move {
        world.building(&["d"]).await;
        let (viewer, operator) = (world.principal("viewer", None).await, world.principal("operator", None).await);
        assert_eq!(viewer.get("/twins/d").await.status, 200);
        let refused = viewer.post("/twins/d/commands", json!({"name": "a"})).await;
        assert_eq!((refused.status, refused.problem()), (403, "forbidden"));
        assert_eq!(viewer.patch("/twins/d", "", json!({"desired": {"a": 1}})).await.status, 403);
        assert_eq!(operator.post("/twins/d/commands", json!({"name": "a"})).await.status, 202);
        assert_eq!(operator.patch("/twins/d", "", json!({"desired": {"a": 1}, "metadata": {"b": 2}})).await.status, 200);
        assert_eq!(operator.patch("/twins/d", "", json!({"parent": null})).await.status, 403);
        assert_eq!(operator.post("/twins", json!({"model": "Room"})).await.status, 403);
        assert_eq!(operator.delete("/twins/d").await.status, 403);
        assert_eq!(operator.get("/principals").await.status, 403);
        assert_eq!(operator.post("/twins/d/credentials/reset", json!({})).await.status, 403);
    });
}

#[test]
fn what_lies_outside_a_scope_is_not_there() {
    run(|world| async move {
        world.building(&["d"]).await;
        let admin = world.principal("admin", Some("site")).await;
        assert_eq!(admin.get("/twins/d").await.status, 200);
        for path in ["", "/tree", "/history?name=t", "/events", "/commands", "/commands/c"] {
            assert_eq!(admin.get(&format!("/twins/elsewhere{path}")).await.problem(), "no-such-twin", "{path}");
        }
        assert_eq!(admin.delete("/twins/elsewhere").await.problem(), "no-such-twin");
        assert_eq!(admin.get("/twins?under=elsewhere").await.problem(), "no-such-twin");
        assert_eq!(admin.get("/live?under=elsewhere").await.problem(), "no-such-twin");
        assert_eq!(admin.post("/twins", json!({"model": "Room"})).await.status, 403);
        assert_eq!(admin.post("/twins", json!({"model": "Room", "parent": "elsewhere"})).await.problem(), "no-such-parent");
        assert_eq!(admin.post("/twins", json!({"model": "Room", "parent": "site"})).await.status, 201);
        assert_eq!(admin.patch("/twins/d", "", json!({"parent": "elsewhere"})).await.problem(), "no-such-parent");
        assert_eq!(admin.patch("/twins/d", "", json!({"parent": null})).await.status, 403);
    });
}

#[test]
fn a_list_holds_the_scope_and_what_is_below_it_whatever_the_page_size() {
    run(|world| async move {
        world.building(&["d1", "d2"]).await;
        let viewer = world.principal("viewer", Some("room")).await;
        for limit in 1..=4 {
            let (mut ids, mut path) = (Vec::new(), format!("/twins?limit={limit}"));
            loop {
                let page = viewer.get(&path).await.json;
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                ids.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
                let Some(cursor) = page["cursor"].as_str() else { break };
                path = format!("/twins?limit={limit}&cursor={cursor}");
            }
            assert_eq!(ids, ["d1", "d2", "room"], "limit {limit}");
        }
        assert_eq!(viewer.get("/twins?model=Room").await.json["items"][0]["id"], "room");
        assert_eq!(viewer.get("/twins?model=Site").await.json["items"], json!([]));
    });
}

#[test]
fn a_principals_key_is_shown_once_and_ends_with_it() {
    run(|world| async move {
        let made = world.admin.post("/principals", json!({"name": "ann", "roles": ["viewer"]})).await;
        assert_eq!(made.status, 201);
        let path = made.header("location").trim_start_matches("/api/v1").to_owned();
        let ann = world.with_key(made.json["key"].as_str().unwrap());
        assert_eq!(ann.get("/twins").await.status, 200);
        let listed = world.admin.get("/principals").await;
        assert_eq!(listed.json["items"][0]["name"], "ann");
        assert!(!listed.text.contains(made.json["key"].as_str().unwrap()));
        assert_eq!(world.admin.get(&path).await.json["grants"][0]["role"], "viewer");
        assert_eq!(world.admin.delete(&path).await.status, 204);
        assert_eq!(ann.get("/twins").await.status, 401);
        assert_eq!(world.admin.delete(&path).await.problem(), "no-such-principal");
    });
}

#[test]
fn a_confined_administrator_hands_out_no_more_than_it_has() {
    run(|world| async move {
        world.building(&[]).await;
        world.principal("viewer", None).await;
        let admin = world.principal("admin", Some("site")).await;
        let own = admin.post("/principals", json!({"name": "a", "role": "viewer"})).await;
        assert_eq!((own.status, &own.json["grants"][0]["under"]), (201, &json!("site")));
        assert_eq!(admin.post("/principals", json!({"name": "a", "role": "viewer", "scope": "room"})).await.status, 201);
        let out = admin.post("/principals", json!({"name": "a", "role": "viewer", "scope": "elsewhere"})).await;
        assert_eq!((out.status, out.problem(), &out.json["pointer"]), (422, "no-such-scope", &json!("/scope")));
        assert_eq!(admin.get("/principals").await.json["items"].as_array().unwrap().len(), 3);
        assert_eq!(world.admin.get("/principals").await.json["items"].as_array().unwrap().len(), 4);
    });
}
