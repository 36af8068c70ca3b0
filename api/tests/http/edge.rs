//! What holds for every request: addresses, methods, types, sizes, headers, health, HTTPS, and a clean stop.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{run, run_with, settings};

#[test]
fn unknown_addresses_and_wrong_methods_are_told_apart() {
    run(|world| async move {
        for path in ["/nonsense", "/twins/", "//nonsense", "//docs/nonsense.js"] {
            let answer = world.admin.get(path).await;
            assert_eq!((answer.status, answer.problem()), (404, "no-such-route"), "{path}");
        }
        let put = world.admin.call("PUT", "/twins/d", &[], "").await;
        assert_eq!((put.status, put.problem(), put.header("allow")), (405, "method-not-allowed", "GET, PATCH, DELETE, HEAD"));
        assert_eq!(world.without_key().call("POST", "//livez", &[], "").await.header("allow"), "GET, HEAD");
    });
}

#[test]
fn bodies_are_checked_before_they_are_read() {
    let small = api::Settings { body_max_bytes: 1000, body_timeout: Duration::from_millis(100), ..settings() };
    run_with(small, |world| async move {
        let json = [("content-type", "application/json")];
        let answer = world.admin.call("POST", "/twins", &[("content-type", "text/plain")], "{}").await;
        assert_eq!((answer.status, answer.problem()), (415, "unsupported-media-type"));
        let answer = world.admin.call("POST", "/twins", &json, "{\"model\":").await;
        assert_eq!((answer.status, answer.problem(), answer.json["line"].as_u64()), (400, "malformed-json", Some(1)));
        let answer = world.admin.call("POST", "/twins", &json, &"x".repeat(1001)).await;
        assert_eq!((answer.status, answer.problem()), (413, "body-too-large"));
        let answer = world.admin.call("POST", "/twins", &[("content-type", "application/json"), ("content-length", "10")], "").await;
        assert_eq!((answer.status, answer.problem()), (408, "body-too-slow"));
        let answer = world.without_key().call("POST", "/twins", &json, &"x".repeat(1001)).await;
        assert_eq!(answer.status, 401, "a stranger's body is not looked at");
    });
}

#[test]
fn head_is_get_without_the_body() {
    run(|world| async move {
        let (get, head) = (world.admin.get("/twins").await, world.admin.call("HEAD", "/twins", &[], "").await);
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), get.text.len().to_string());
    });
}

#[test]
fn every_answer_carries_the_safety_headers() {
    run(|world| async move {
        for path in ["/twins", "/nonsense", "//", "//docs/", "//openapi.json", "//livez"] {
            let answer = world.admin.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
            assert!(!answer.headers.contains_key("strict-transport-security"), "without TLS it would lock browsers out: {path}");
        }
        assert_eq!(world.admin.get("/twins").await.header("cache-control"), "no-store");
    });
}

#[test]
fn health_and_documents_need_no_key_on_this_machine() {
    run(|world| async move {
        let anyone = world.without_key();
        assert_eq!(anyone.get("//livez").await.json["status"], "ok");
        assert_eq!(anyone.get("//readyz").await.json["status"], "ready");
        assert_eq!(anyone.get("//metrics").await.status, 200);
        assert_eq!(anyone.get("//openapi.json").await.json["openapi"], "3.1.0");
        assert!(anyone.get("//").await.text.contains("How to get a key"));
        let passed_on = [("x-forwarded-for", "192.0.2.1")];
        assert_eq!(anyone.call("GET", "//metrics", &passed_on, "").await.status, 401);
        assert_eq!(world.admin.call("GET", "//metrics", &passed_on, "").await.status, 200);
        world.twins.shutdown().await;
        let not = anyone.get("//readyz").await;
        assert_eq!((not.status, not.problem(), not.header("retry-after")), (503, "not-ready", "1"));
        assert_eq!(world.admin.get("/twins/d").await.status, 503);
    });
}

#[test]
fn a_server_that_stands_aside_says_so_to_everybody() {
    run(|world| async move {
        world.register("t", "Device", None).await;
        let mut stream = world.admin.follow("/live", "").await;
        world.api.aside().begin();
        for path in ["/twins/t", "/twins", "/nonsense", "//", "//openapi.json", "//readyz"] {
            let refused = world.admin.get(path).await;
            assert_eq!((refused.status, refused.problem(), refused.header("retry-after")), (503, "taken-over", "5"), "{path}");
        }
        assert_eq!(world.admin.post("/twins", json!({"model": "Device"})).await.problem(), "taken-over");
        assert_eq!(world.admin.get("//livez").await.status, 200);
        assert_eq!(world.admin.get("//metrics").await.status, 200);
        while stream.next().await.is_some() {}
    });
}

#[test]
fn requests_are_counted_by_route_and_not_by_address() {
    run(|world| async move {
        world.admin.get("/twins/nobody").await;
        let metrics = world.admin.get("//metrics").await.text;
        let line = |route: &str| format!("twinfold_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"4xx\"}}");
        assert!(metrics.contains(&line("/api/v1/twins/{id}")), "{metrics}");
        assert!(!metrics.contains("nobody"));
        let seconds = "twinfold_http_request_seconds_count{method=\"GET\",route=\"/api/v1/twins/{id}\"}";
        assert!(metrics.contains(seconds), "{metrics}");
        // This one is being worked on while it is counted; other tests of the process may be, too.
        let in_flight = metrics.lines().find_map(|line| line.strip_prefix("twinfold_http_requests_in_flight ")?.parse::<f64>().ok());
        assert!(in_flight.is_some_and(|requests| requests >= 1.0), "{in_flight:?}");
        world.admin.call("BREW", "/nonsense", &[], "").await;
        let metrics = world.admin.get("//metrics").await.text;
        assert!(metrics.contains("{method=\"other\",route=\"unmatched\",status=\"4xx\"}"), "{metrics}");
    });
}

#[test]
fn a_stop_ends_live_streams_and_frees_the_port() {
    run(|world| async move {
        let mut stream = world.admin.follow("/live", "").await;
        stream.until("live").await;
        let (address, started) = (world.api.address, Instant::now());
        world.api.stop().await;
        assert!(started.elapsed() < Duration::from_secs(4), "a stop took {:?}", started.elapsed());
        assert_eq!(stream.next().await, None);
        assert!(std::net::TcpListener::bind(address).is_ok());
    });
}

#[test]
fn a_request_that_is_being_worked_on_is_answered_before_the_stop() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let body = serde_json::json!({"name": "a", "wait": 1});
        let waiting = world.admin.post("/twins/d/commands", body);
        let (api, twins) = (world.api, world.twins);
        let stopping = async move {
            // The command stands in the inbox, so its request is being worked on.
            while twins
                .commands(persistence::CommandQuery { twin: crate::world::id("d"), state: None, limit: 1, cursor: None })
                .await
                .unwrap()
                .items
                .is_empty()
            {
                tokio::task::yield_now().await;
            }
            api.stop().await;
        };
        let (answer, ()) = tokio::join!(waiting, stopping);
        assert_eq!(answer.status, 504);
    });
}

#[test]
fn a_certificate_makes_it_https() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings = api::Settings { tls: Some(api::Tls { cert, key }), ..settings() };
    let trusted = made.cert.der().clone();
    run_with(settings, |world| async move {
        let address = world.api.address;
        let answer = tokio::task::spawn_blocking(move || https_get(address, trusted)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    });
}

fn https_get(address: std::net::SocketAddr, trusted: rustls::pki_types::CertificateDer<'static>) -> String {
    use std::io::{Read, Write};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let mut session = rustls::ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let mut tls = rustls::Stream::new(&mut session, &mut socket);
    tls.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = tls.read_to_string(&mut answer);
    answer
}
