//! Grants and roles: who may do what where, given and taken while all goes on.

use serde_json::{Value as Json, json};

use crate::world::{Client, World, run};

impl World {
    /// A principal without any right, and its id.
    async fn nobody(&self) -> (Client, String) {
        let made = self.admin.post("/principals", json!({"name": "ann", "role": "viewer", "scope": "room"})).await;
        assert_eq!(made.status, 201, "{made:?}");
        let grant = made.json["grants"][0]["id"].as_str().unwrap();
        assert_eq!(self.admin.delete(&format!("/grants/{grant}")).await.status, 204);
        (self.with_key(made.json["key"].as_str().unwrap()), made.json["id"].as_str().unwrap().to_owned())
    }

    async fn grant(&self, principal: &str, role: &str, under: Option<&str>) -> String {
        let made = self.admin.post("/grants", json!({"principal": principal, "role": role, "under": under})).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json["id"].as_str().unwrap().to_owned()
    }
}

fn ids(answer: &Json) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn rights_add_up_over_the_places_they_were_granted_over() {
    run(|world| async move {
        world.building(&["d"]).await;
        world.register("hall", "Room", Some("elsewhere")).await;
        let (ann, id) = world.nobody().await;
        assert_eq!(ann.get("/twins").await.problem(), "forbidden");
        world.grant(&id, "viewer", Some("site")).await;
        world.grant(&id, "operator", Some("hall")).await;
        assert_eq!(ids(&ann.get("/twins").await.json), ["d", "hall", "room", "site"]);
        // Seen and not allowed is said; what is not seen is not there.
        assert_eq!(ann.post("/twins/d/commands", json!({"name": "a"})).await.problem(), "forbidden");
        assert_eq!(ann.post("/twins/hall/commands", json!({"name": "a"})).await.status, 202);
        assert_eq!(ann.post("/twins/elsewhere/commands", json!({"name": "a"})).await.problem(), "no-such-twin");
        assert_eq!(ann.get("/twins/elsewhere").await.problem(), "no-such-twin");
        world.grant(&id, "operator", Some("room")).await;
        assert_eq!(ann.post("/twins/d/commands", json!({"name": "a"})).await.status, 202);
        assert_eq!(ann.patch("/twins/site", "", json!({"desired": {"a": 1}})).await.problem(), "forbidden");
    });
}

#[test]
fn a_page_is_filled_with_what_may_be_seen_from_several_places() {
    run(|world| async move {
        world.building(&["d1", "d4"]).await;
        for (name, parent) in [("d2", "elsewhere"), ("d3", "elsewhere"), ("hall", "site")] {
            world.register(name, "Device", Some(parent)).await;
        }
        let (ann, id) = world.nobody().await;
        // One lies within another, and shows once all the same.
        for place in ["room", "d1", "d3"] {
            world.grant(&id, "viewer", Some(place)).await;
        }
        for limit in 1..=5 {
            let (mut seen, mut path) = (Vec::new(), format!("/twins?limit={limit}"));
            loop {
                let page = ann.get(&path).await.json;
                let more = page["cursor"].as_str().map(str::to_owned);
                assert_eq!(page["items"].as_array().unwrap().len() == limit, more.is_some() || (seen.len() + limit) == 4, "limit {limit}");
                seen.extend(ids(&page).into_iter().map(str::to_owned));
                let Some(cursor) = more else { break };
                path = format!("/twins?limit={limit}&cursor={cursor}");
            }
            assert_eq!(seen, ["d1", "d3", "d4", "room"], "limit {limit}");
        }
        assert_eq!(ids(&ann.get("/twins?model=Room").await.json), ["room"]);
    });
}

#[test]
fn a_grant_that_is_taken_back_is_gone_with_the_answer() {
    run(|world| async move {
        world.building(&["d"]).await;
        let (ann, id) = world.nobody().await;
        let grant = world.grant(&id, "viewer", Some("room")).await;
        assert_eq!(ann.get("/twins/d").await.status, 200);
        assert_eq!(world.admin.delete(&format!("/grants/{grant}")).await.status, 204);
        assert_eq!(ann.get("/twins/d").await.problem(), "forbidden");
        assert_eq!(world.admin.get(&format!("/grants/{grant}")).await.problem(), "no-such-grant");
        assert_eq!(world.admin.delete(&format!("/grants/{grant}")).await.problem(), "no-such-grant");
    });
}

#[test]
fn a_live_stream_ends_when_what_it_may_show_changes() {
    run(|world| async move {
        world.building(&["d"]).await;
        let (ann, id) = world.nobody().await;
        let grant = world.grant(&id, "viewer", Some("room")).await;
        let mut stream = ann.follow("/live", "").await;
        stream.until("live").await;
        // Somebody else's change is none of this reader's.
        let (_, other) = world.nobody().await;
        world.grant(&other, "viewer", None).await;
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 1}"#).await;
        assert_eq!(stream.until("state").await.data["twin"], "d");
        world.admin.delete(&format!("/grants/{grant}")).await;
        world.telemetry("d", "2026-01-01T00:00:01Z", r#"{"t": 2}"#).await;
        let last = stream.next().await.unwrap();
        assert_eq!((last.name.as_str(), last.id.as_deref()), ("reset", Some("")), "the reader is told to begin again");
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn a_confined_reader_follows_all_of_its_places_and_nothing_else() {
    run(|world| async move {
        world.building(&["d"]).await;
        world.register("hall", "Room", Some("elsewhere")).await;
        world.register("other", "Room", Some("elsewhere")).await;
        let (ann, id) = world.nobody().await;
        world.grant(&id, "viewer", Some("room")).await;
        world.grant(&id, "viewer", Some("hall")).await;
        let mut stream = ann.follow("/live?kinds=state", "").await;
        let mut seen = Vec::new();
        loop {
            let event = stream.next().await.unwrap();
            match event.name.as_str() {
                "snapshot" => seen.push(event.data["id"].as_str().unwrap().to_owned()),
                "live" => break,
                _ => {}
            }
        }
        assert_eq!(seen, ["d", "hall", "room"]);
        for twin in ["other", "site", "hall"] {
            world.admin.patch(&format!("/twins/{twin}"), "", json!({"metadata": {"a": 1}})).await;
        }
        let mut changed = String::new();
        while changed != "hall" {
            changed = stream.until("state").await.data["twin"].as_str().unwrap().to_owned();
            assert!(["d", "room", "hall"].contains(&changed.as_str()), "{changed} is none of its places");
        }
    });
}

#[test]
fn a_role_of_ones_own_gives_what_it_says_and_changes_at_once() {
    run(|world| async move {
        world.building(&["d"]).await;
        let put = |rights: Json| {
            let admin = world.admin.clone();
            async move {
                admin
                    .call("PUT", "/roles/night-desk", &[("content-type", "application/json")], &json!({"rights": rights}).to_string())
                    .await
            }
        };
        assert_eq!(world.admin.post("/principals", json!({"name": "n", "role": "night-desk"})).await.problem(), "unknown-role");
        let made = put(json!(["read", "acknowledge"])).await;
        assert_eq!(
            (made.status, made.header("location"), &made.json["rights"]),
            (201, "/api/v1/roles/night-desk", &json!(["read", "acknowledge"]))
        );
        let made = world.admin.post("/principals", json!({"name": "n", "role": "night-desk", "scope": "site"})).await;
        let desk = world.with_key(made.json["key"].as_str().unwrap());
        assert_eq!(desk.get("/twins/d").await.status, 200);
        assert_eq!(desk.post("/twins/d/commands", json!({"name": "a"})).await.problem(), "forbidden");
        assert_eq!(put(json!(["command"])).await.status, 200);
        assert_eq!(desk.post("/twins/d/commands", json!({"name": "a"})).await.status, 202);
        assert_eq!(desk.get("/twins/d").await.problem(), "forbidden");
        assert_eq!(world.admin.delete("/roles/night-desk").await.problem(), "role-in-use");
        assert_eq!(world.admin.delete("/roles/viewer").await.problem(), "role-fixed");
        assert_eq!(put(json!(["root"])).await.json["pointer"], "/rights/0");
        let names: Vec<Json> =
            world.admin.get("/roles").await.json["items"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect();
        assert_eq!(names, ["admin", "night-desk", "operator", "viewer"]);
    });
}

#[test]
fn nobody_hands_out_or_takes_away_more_than_they_have() {
    run(|world| async move {
        world.building(&["d"]).await;
        let rights = json!({"rights": ["read", "principals"]}).to_string();
        let typed = [("content-type", "application/json")];
        assert_eq!(world.admin.call("PUT", "/roles/host", &typed, &rights).await.status, 201);
        let host = world.principal("host", Some("site")).await;
        let boss = world.admin.post("/principals", json!({"name": "boss", "role": "admin", "scope": "site"})).await.json;
        let (boss_id, boss_grant) = (boss["id"].as_str().unwrap(), boss["grants"][0]["id"].as_str().unwrap());
        let far = world.admin.post("/principals", json!({"name": "far", "role": "viewer", "scope": "elsewhere"})).await.json;
        let far_id = far["id"].as_str().unwrap();
        // What it has it gives, where it has it.
        let made = host.post("/principals", json!({"name": "guest", "role": "viewer", "scope": "room"})).await;
        assert_eq!(made.status, 201);
        let guest = made.json["id"].as_str().unwrap();
        assert_eq!(
            host.post("/grants", json!({"principal": guest, "role": "viewer"})).await.json["under"],
            "site",
            "its one place is meant"
        );
        // No more.
        assert_eq!(host.post("/grants", json!({"principal": guest, "role": "operator", "under": "room"})).await.problem(), "forbidden");
        assert_eq!(host.post("/principals", json!({"name": "x", "role": "admin", "scope": "room"})).await.problem(), "forbidden");
        assert_eq!(
            host.post("/grants", json!({"principal": guest, "role": "viewer", "under": "elsewhere"})).await.problem(),
            "no-such-scope"
        );
        assert_eq!(host.call("PUT", "/roles/more", &typed, &rights).await.problem(), "forbidden", "roles are everybody's");
        // Seen and not governed; not seen at all.
        assert_eq!(host.get(&format!("/principals/{boss_id}")).await.status, 200);
        assert_eq!(host.delete(&format!("/principals/{boss_id}")).await.problem(), "forbidden");
        assert_eq!(host.delete(&format!("/grants/{boss_grant}")).await.problem(), "forbidden");
        assert_eq!(host.get(&format!("/principals/{far_id}")).await.problem(), "no-such-principal");
        assert_eq!(host.post("/grants", json!({"principal": far_id, "role": "viewer"})).await.problem(), "unknown-principal");
        assert_eq!(host.delete(&format!("/principals/{guest}")).await.status, 204);
    });
}

#[test]
fn a_principal_shows_a_confined_administrator_only_what_lies_in_its_place() {
    run(|world| async move {
        world.building(&["d"]).await;
        let (_, id) = world.nobody().await;
        world.grant(&id, "viewer", Some("elsewhere")).await;
        let inside = world.grant(&id, "viewer", Some("room")).await;
        let admin = world.principal("admin", Some("site")).await;
        let shown = admin.get(&format!("/principals/{id}")).await.json;
        assert_eq!(shown["grants"].as_array().unwrap().len(), 1);
        assert_eq!(shown["grants"][0]["id"], inside.as_str());
        assert_eq!(ids(&admin.get(&format!("/grants?principal={id}")).await.json), [inside.as_str()]);
        assert_eq!(admin.delete(&format!("/principals/{id}")).await.problem(), "forbidden", "the other place is not its own");
        assert_eq!(admin.delete(&format!("/grants/{inside}")).await.status, 204);
    });
}

#[test]
fn a_twin_that_is_removed_takes_the_grants_over_it_along() {
    run(|world| async move {
        world.building(&["d"]).await;
        let (ann, id) = world.nobody().await;
        world.grant(&id, "viewer", Some("d")).await;
        assert_eq!(world.admin.delete("/twins/d").await.status, 204);
        world.register("d", "Device", Some("elsewhere")).await;
        assert_eq!(ann.get("/twins/d").await.problem(), "forbidden");
        assert_eq!(ids(&world.admin.get(&format!("/grants?principal={id}")).await.json), Vec::<&str>::new());
    });
}

#[test]
fn a_place_that_is_removed_leaves_nothing_to_one_of_its_name() {
    run(|world| async move {
        world.building(&["d"]).await;
        let put = [("content-type", "application/json")];
        let rule = |id: &str, under: Json| json!({"id": id, "when": "t > 1.0", "under": under});
        for (id, under) in [("of-room", json!("room")), ("of-site", json!("site")), ("of-all", Json::Null)] {
            assert_eq!(world.admin.post("/rules", rule(id, under)).await.status, 201, "{id}");
        }
        for (id, parent) in [("into-room", "room"), ("into-site", "site")] {
            let body = json!({"by": "key", "model": "Device", "parent": parent}).to_string();
            assert_eq!(world.admin.call("PUT", &format!("/enrolments/{id}"), &put, &body).await.status, 201, "{id}");
        }
        assert_eq!(world.admin.delete("/twins/room?recursive=true").await.status, 204);
        world.register("room", "Room", Some("elsewhere")).await;
        let rules = world.admin.get("/rules").await.json;
        assert_eq!(ids(&rules), ["of-all", "of-site"]);
        assert_eq!(ids(&world.admin.get("/enrolments").await.json), ["into-site"]);
        let log = world.admin.get("/audit?limit=1000").await.json;
        let told: Vec<_> = log["items"].as_array().unwrap().iter().filter(|r| r["from"] == "server").collect();
        let mut told: Vec<_> = told.iter().map(|r| [&r["action"], &r["target"]["id"], &r["path"]].map(|v| v.as_str().unwrap())).collect();
        told.sort_unstable();
        assert_eq!(told, [["REMOVE", "into-room", "site/room"], ["REMOVE", "of-room", "site/room"]]);
    });
}

#[test]
fn who_governs_a_place_gives_nobody_a_name_at_the_identity_provider() {
    run(|world| async move {
        world.building(&["d"]).await;
        let confined = world.principal("admin", Some("room")).await;
        let wanted = json!({"name": "ann", "role": "viewer", "scope": "room", "subject": "ann@example.com"});
        let refused = confined.post("/principals", wanted.clone()).await;
        assert_eq!((refused.status, &refused.json["pointer"]), (403, &json!("/subject")));
        assert_eq!(world.admin.post("/principals", wanted).await.status, 201);
    });
}

#[test]
fn nobody_wins_rights_by_a_move() {
    run(|world| async move {
        world.building(&["d"]).await;
        let rights = json!({"rights": ["read", "write", "provision"]}).to_string();
        world.admin.call("PUT", "/roles/installer", &[("content-type", "application/json")], &rights).await;
        let (ann, id) = world.nobody().await;
        world.grant(&id, "installer", Some("site")).await;
        world.grant(&id, "admin", Some("elsewhere")).await;
        let refused = ann.patch("/twins/d", "", json!({"parent": "elsewhere"})).await;
        assert_eq!((refused.status, &refused.json["pointer"]), (403, &json!("/parent")), "{refused:?}");
        world.grant(&id, "admin", Some("site")).await;
        assert_eq!(ann.patch("/twins/d", "", json!({"parent": "elsewhere"})).await.status, 200);
    });
}

#[test]
fn who_governs_one_place_does_not_take_the_devices_of_an_authority() {
    run(|world| async move {
        world.building(&[]).await;
        let pem = rcgen::generate_simple_self_signed(vec!["maker".into()]).unwrap().cert.pem();
        let wanted = json!({"by": "certificate", "authorities": pem, "model": "Device", "parent": "room"}).to_string();
        let put = async |client: &Client| client.call("PUT", "/enrolments/e", &[("content-type", "application/json")], &wanted).await;
        let refused = put(&world.principal("admin", Some("room")).await).await;
        assert_eq!((refused.status, &refused.json["pointer"]), (403, &json!("/by")), "{refused:?}");
        assert_eq!(put(&world.admin).await.status, 201);
    });
}

#[test]
fn a_rule_does_by_itself_only_what_its_writer_may() {
    run(|world| async move {
        world.building(&["d"]).await;
        let rights = json!({"rights": ["read", "rules"]}).to_string();
        world.admin.call("PUT", "/roles/author", &[("content-type", "application/json")], &rights).await;
        let author = world.principal("author", Some("site")).await;
        let rule = |action: Json| json!({"when": "t > 1.0", "under": "room", "actions": [action]});
        let alert = author.post("/rules", rule(json!({"alert": {"severity": "warning", "text": "hot"}}))).await;
        assert_eq!(alert.status, 201, "{alert:?}");
        let command = author.post("/rules", rule(json!({"command": {"name": "open", "ttl": 5}}))).await;
        assert_eq!((command.problem(), &command.json["right"]), ("forbidden", &json!("command")));
        let webhook = author.post("/rules", rule(json!({"webhook": {"url": "https://example.com/"}}))).await;
        assert_eq!((webhook.problem(), &webhook.json["right"]), ("forbidden", &json!("sinks")));
        // Nor does it take away what it may not do.
        let others = world
            .admin
            .post(
                "/rules",
                json!({"id": "safety", "when": "t > 90.0", "under": "room", "actions": [{"command": {"name": "off", "ttl": 5}}]}),
            )
            .await;
        assert_eq!(others.status, 201, "{others:?}");
        for (method, body) in [("DELETE", ""), ("PATCH", r#"{"enabled": false}"#)] {
            let refused = author.call(method, "/rules/safety", &[("content-type", "application/merge-patch+json")], body).await;
            assert_eq!((refused.problem(), &refused.json["right"]), ("forbidden", &json!("command")), "{method}");
        }
    });
}

#[test]
fn a_key_with_an_end_is_refused_after_it() {
    run(|world| async move {
        let made = world.admin.post("/principals", json!({"name": "ann", "role": "viewer", "expires_in": 60})).await;
        assert_eq!(made.json["expires_at"], "2026-01-01T00:01:00.000Z");
        let ann = world.with_key(made.json["key"].as_str().unwrap());
        assert_eq!(ann.get("/twins").await.status, 200);
        world.clock.advance(std::time::Duration::from_secs(60));
        let refused = ann.get("/twins").await;
        assert_eq!((refused.status, refused.problem()), (401, "unauthenticated"));
        assert!(refused.header("www-authenticate").contains("invalid_token"));
    });
}
