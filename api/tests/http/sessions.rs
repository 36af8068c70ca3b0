//! Browsers: a key is shown once, then a cookie stands for it.

use serde_json::json;

use crate::world::{Answer, World, run};

const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");

fn cookie(login: &Answer) -> String {
    assert_eq!(login.status, 200, "{login:?}");
    login.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn with(world: &World, method: &str, path: &str, cookie: &str, more: &[(&str, &str)]) -> Answer {
    let headers: Vec<(&str, &str)> = [("cookie", cookie)].into_iter().chain(more.iter().copied()).collect();
    world.without_key().call(method, path, &headers, "").await
}

#[test]
fn a_cookie_opens_what_its_key_opens_until_it_is_closed() {
    run(|world| async move {
        world.building(&["d"]).await;
        let ann = world.principal("viewer", Some("room")).await;
        let login = ann.call("POST", "/login", &[], "").await;
        assert!(login.header("set-cookie").contains("; HttpOnly; SameSite=Strict; Max-Age=43200"), "{login:?}");
        assert_eq!((&login.json["name"], &login.json["expires_at"]), (&json!("a viewer"), &json!("2026-01-01T12:00:00.000Z")));
        let cookie = cookie(&login);
        assert_eq!(with(&world, "GET", "/twins/d", &cookie, &[]).await.status, 200);
        assert_eq!(with(&world, "GET", "/twins/elsewhere", &cookie, &[]).await.problem(), "no-such-twin");
        assert_eq!(with(&world, "POST", "/logout", &cookie, &[OURS]).await.status, 204);
        assert_eq!(with(&world, "GET", "/twins/d", &cookie, &[]).await.status, 401);
        assert_eq!(ann.get("/twins/d").await.status, 200, "the key itself goes on");
    });
}

#[test]
fn a_write_by_cookie_must_come_from_a_page_of_ours() {
    run(|world| async move {
        world.building(&["d"]).await;
        let cookie = cookie(&world.admin.call("POST", "/login", &[], "").await);
        for site in ["cross-site", "same-site", "none"] {
            let refused = with(&world, "POST", "/twins/d/deactivate", &cookie, &[("sec-fetch-site", site)]).await;
            assert_eq!((refused.status, refused.problem()), (403, "cross-site"), "{site}");
        }
        assert_eq!(with(&world, "POST", "/twins/d/deactivate", &cookie, &[]).await.problem(), "cross-site");
        assert_eq!(with(&world, "POST", "/twins/d/deactivate", &cookie, &[("x-twinfold-request", "1")]).await.status, 200);
        assert_eq!(with(&world, "POST", "/twins/d/activate", &cookie, &[OURS]).await.status, 200);
    });
}

#[test]
fn a_session_ends_with_its_key_and_with_its_time() {
    run(|world| async move {
        let made = world.admin.post("/principals", json!({"name": "ann", "role": "viewer"})).await.json;
        let ann = world.with_key(made["key"].as_str().unwrap());
        let cookie = cookie(&ann.call("POST", "/login", &[], "").await);
        world.admin.delete(&format!("/principals/{}", made["id"].as_str().unwrap())).await;
        assert_eq!(with(&world, "GET", "/twins", &cookie, &[]).await.status, 401);
        let own = self::cookie(&world.admin.call("POST", "/login", &[], "").await);
        assert_eq!(with(&world, "GET", "/twins", &own, &[]).await.status, 200);
        world.clock.advance(std::time::Duration::from_secs(12 * 3600));
        assert_eq!(with(&world, "GET", "/twins", &own, &[]).await.status, 401);
    });
}

#[test]
fn behind_https_the_cookie_is_bound_to_the_host() {
    run(|world| async move {
        let login = world.admin.call("POST", "/login", &[("x-forwarded-proto", "https")], "").await;
        let line = login.header("set-cookie");
        assert!(line.starts_with("__Host-twinfold=") && line.ends_with("; Secure") && !line.contains("Domain"), "{line}");
        assert_eq!(with(&world, "GET", "/twins", &cookie(&login), &[]).await.status, 200);
        // One that somebody on the way set in clear is not taken there.
        let in_clear = cookie(&world.admin.call("POST", "/login", &[], "").await);
        let https = [("x-forwarded-proto", "https")];
        assert_eq!(with(&world, "GET", "/twins", &cookie(&login), &https).await.status, 200);
        assert_eq!(with(&world, "GET", "/twins", &in_clear, &https).await.status, 401);
    });
}

#[test]
fn nobody_gets_a_session_without_a_key() {
    run(|world| async move {
        assert_eq!(world.without_key().call("POST", "/login", &[], "").await.status, 401);
        let own = cookie(&world.admin.call("POST", "/login", &[], "").await);
        assert_eq!(with(&world, "POST", "/login", &own, &[OURS]).await.status, 401, "a session begets no session");
    });
}

#[test]
fn no_other_site_is_told_that_it_may_read_answers() {
    run(|world| async move {
        for method in ["GET", "OPTIONS"] {
            let answer = world
                .admin
                .call(method, "/twins", &[("origin", "https://evil.example"), ("access-control-request-method", "GET")], "")
                .await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method}");
        }
    });
}
