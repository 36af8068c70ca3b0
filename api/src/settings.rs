//! The HTTP edge's settings: every bound has a name, a unit and a default here, and the same name in the configuration file.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use actix_web::{HttpRequest, web::Data};

#[derive(Debug, Clone)]
pub struct Settings {
    /// `http.bind`; port 0 picks a free one.
    pub bind: SocketAddr,
    /// `http.tls.cert` and `http.tls.key`, both in PEM; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// `http.workers`: threads that serve requests. Twins live elsewhere, so few are enough.
    pub workers: usize,
    /// `http.connections_max`: open connections; one more waits in the kernel's queue.
    pub connections_max: usize,
    /// `http.head_timeout`: a request's head must have arrived after this long.
    pub head_timeout: Duration,
    /// `http.keep_alive`: how long an idle connection is kept.
    pub keep_alive: Duration,
    /// `http.body_max_bytes`: a request's body.
    pub body_max_bytes: usize,
    /// `http.models_body_max_bytes`: the body of `PUT /models/{dtmi}`, which may be a whole ontology.
    pub models_body_max_bytes: usize,
    /// `http.import_max_bytes`: the body of `POST /twins/import`.
    pub import_max_bytes: usize,
    /// `http.body_timeout`: a request's body must have arrived after this long.
    pub body_timeout: Duration,
    /// `http.request_timeout`: an answer that takes longer is a 503; a command's `wait` comes on top.
    pub request_timeout: Duration,
    /// `http.wait_max`: the longest `wait` of a command.
    pub wait_max: Duration,
    /// `http.stop_max`: how long a stop lets requests finish.
    pub stop_max: Duration,
    /// `http.tree_nodes_max`: twins in one answer of `tree`.
    pub tree_nodes_max: usize,
    /// `http.replays_max`: answers kept for `Idempotency-Key`; the oldest goes first.
    pub replays_max: usize,
    /// `http.replay_for`: how long such an answer is kept.
    pub replay_for: Duration,
    /// `http.live_heartbeat`: a comment is sent to a live reader when nothing else was for this long.
    pub live_heartbeat: Duration,
    /// `http.live_slow_max`: a live reader that takes nothing for this long is let go.
    pub live_slow_max: Duration,
    /// `http.live_snapshot_twins_max`: twins in one snapshot of the live stream.
    pub live_snapshot_twins_max: usize,
}

impl Settings {
    /// Those that a request is served with.
    pub fn of(request: &HttpRequest) -> Data<Self> {
        request.app_data::<Data<Self>>().cloned().unwrap_or_default()
    }
}

/// Where certificate chain and private key lie.
#[derive(Debug, Clone)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            tls: None,
            workers: 2,
            connections_max: 10_000,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            body_max_bytes: 1 << 20,
            models_body_max_bytes: 8 << 20,
            import_max_bytes: 1 << 30,
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            wait_max: Duration::from_secs(60),
            stop_max: Duration::from_secs(5),
            tree_nodes_max: 2_000,
            replays_max: 10_000,
            replay_for: Duration::from_secs(600),
            live_heartbeat: Duration::from_secs(15),
            live_slow_max: Duration::from_secs(30),
            live_snapshot_twins_max: 10_000,
        }
    }
}
