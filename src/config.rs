//! Configuration: every setting has one name, in the file, the environment and (for the usual ones) as a flag.
//!
//! [`table`] lists them all, [`layers`] says which source wins, [`show`] prints what is in force. The `config` and
//! `figment` crates were the alternatives: neither names the nearest known key nor tells a value's source line.

mod file;
mod layers;
mod setting;
mod show;
mod table;
#[cfg(test)]
mod tests;
pub mod value;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use actors::access::{OidcSettings, check_url};
use hierarchy_models::dtdl::UndefinedExtensions;
pub use layers::{ConfigError, InForce, Layers, OTHER_ENV, Source};
pub use setting::{NONE, Setting};
pub use show::{manual_table, print};
pub use table::SETTINGS;

/// Everything the program can be told, parsed and checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    /// A filter of `tracing-subscriber`; `None` logs nothing.
    pub log: Option<String>,
    pub http: api::Settings,
    pub mqtt: gateway::Settings,
    /// As given; [`Config::settle`] hands them to `http` and `mqtt`.
    tls: TlsFiles,
    pub store: StoreKind,
    pub embedded: persistence_embedded::Options,
    pub scylla: Scylla,
    pub redis_url: Option<Secret>,
    /// `None`: generated into `data_dir`.
    pub admin_token: Option<Secret>,
    /// As given; [`Config::settle`] hands it to `twins`.
    oidc: Oidc,
    pub twins: actors::Settings,
}

/// The settings about TLS one by one, before it is known whether they make a whole.
#[derive(Debug, Clone, Default)]
struct TlsFiles {
    http_cert: Option<PathBuf>,
    http_key: Option<PathBuf>,
    mqtt_bind: Option<SocketAddr>,
    mqtt_cert: Option<PathBuf>,
    mqtt_key: Option<PathBuf>,
    mqtt_client_ca: Option<PathBuf>,
    mqtt_client_crl: Option<PathBuf>,
}

/// The settings about the identity provider one by one.
#[derive(Debug, Clone, Default)]
struct Oidc {
    issuer: Option<String>,
    audience: Option<String>,
    jwks_url: Option<String>,
    roles_claim: Option<String>,
}

impl Oidc {
    fn settings(&self) -> Result<Option<OidcSettings>, String> {
        let (issuer, audience) = match (&self.issuer, &self.audience) {
            (Some(issuer), Some(audience)) => (issuer.clone(), audience.clone()),
            (Some(_), None) => {
                return Err("auth.oidc.issuer is set, but auth.oidc.audience is not: tokens for anybody would be taken".into());
            }
            (None, Some(_)) => return Err("auth.oidc.audience is set, but auth.oidc.issuer is not".into()),
            (None, None) if self.jwks_url.is_some() => return Err("auth.oidc.jwks_url is set, but auth.oidc.issuer is not".into()),
            (None, None) => return Ok(None),
        };
        for (key, url) in [("auth.oidc.issuer", Some(&issuer)), ("auth.oidc.jwks_url", self.jwks_url.as_ref())] {
            url.map_or(Ok(()), |url| check_url(url)).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(Some(OidcSettings { issuer, audience, jwks_url: self.jwks_url.clone(), roles_claim: self.roles_claim.clone() }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Embedded,
    Scylla,
}

/// What is said about the cluster; [`Config::settle`] puts the two halves of the credentials together.
#[derive(Debug, Clone, Default)]
pub struct Scylla {
    pub options: persistence_scylla::Options,
    /// Read when the store is opened.
    pub tls: Option<persistence_scylla::TlsFiles>,
    username: Option<String>,
    password: Option<Secret>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_name: Option<String>,
}

impl Scylla {
    fn set_nodes(&mut self, text: &str) -> Result<(), String> {
        let nodes: Vec<String> = text.split(',').map(|node| node.trim().to_owned()).filter(|node| !node.is_empty()).collect();
        if nodes.is_empty() {
            return Err("it names no node; write host:port, several joined by commas".into());
        }
        self.options.nodes = nodes;
        Ok(())
    }

    fn set_keyspace(&mut self, text: &str) -> Result<(), String> {
        if !persistence_scylla::is_keyspace_name(text) {
            return Err(format!("{text:?} is not a keyspace name: a lower-case letter, then letters, digits and _, at most 48"));
        }
        self.options.keyspace = text.to_owned();
        Ok(())
    }

    fn set_replication(&mut self, text: &str) -> Result<(), String> {
        self.options.replication = match text {
            "" | setting::NONE => persistence_scylla::Replication::AsNodesAllow,
            text => persistence_scylla::Replication::parse(text)?,
        };
        Ok(())
    }

    fn set_logs(&mut self, logs: u64) -> Result<(), String> {
        let fits = u16::try_from(logs).ok().filter(|logs| (1..=persistence::SHARDS).contains(logs));
        self.options.logs = fits.ok_or_else(|| format!("there can be 1 to {} logs", persistence::SHARDS))?;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.options.credentials = match (&self.username, &self.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.0.clone())),
            (None, None) => None,
            (Some(_), None) => return Err("scylla.username is set, but scylla.password is not".into()),
            (None, Some(_)) => return Err("scylla.password is set, but scylla.username is not".into()),
        };
        let client = pair("scylla.tls.cert", &self.tls_cert, "scylla.tls.key", &self.tls_key)?;
        self.tls = match &self.tls_ca {
            Some(ca) => Some(persistence_scylla::TlsFiles { ca: ca.clone(), client, name: self.tls_name.clone() }),
            None if client.is_some() => return Err("scylla.tls.cert is set, but scylla.tls.ca is not: nothing would be encrypted".into()),
            None if self.tls_name.is_some() => {
                return Err("scylla.tls.name is set, but scylla.tls.ca is not: nothing would be encrypted".into());
            }
            None => None,
        };
        Ok(())
    }
}

/// Text that no log and no listing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads what becomes of extensions that are not known here.
pub fn undefined_extensions(text: &str) -> Result<UndefinedExtensions, String> {
    match text {
        "allow" => Ok(UndefinedExtensions::Allow),
        "refuse" => Ok(UndefinedExtensions::Refuse),
        _ => Err(format!("{text:?} is neither allow nor refuse")),
    }
}

impl StoreKind {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "scylla" => Ok(Self::Scylla),
            _ => Err(format!("{text:?} is not a store; there are embedded and scylla")),
        }
    }
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Config {
    /// The defaults, with data in `data_dir` and both listeners on free ports of the loopback interface: what a test wants.
    pub fn on_free_ports(data_dir: impl Into<PathBuf>) -> Self {
        let mut config = Self { data_dir: data_dir.into(), ..Self::default() };
        config.http.bind = ANY_PORT;
        config.mqtt.bind = Some(ANY_PORT);
        config
    }

    /// A place for the table's values; each setting fills its field.
    fn blank() -> Self {
        Self {
            data_dir: PathBuf::new(),
            log: None,
            http: api::Settings::default(),
            mqtt: gateway::Settings::default(),
            tls: TlsFiles::default(),
            store: StoreKind::Embedded,
            embedded: persistence_embedded::Options::default(),
            scylla: Scylla::default(),
            redis_url: None,
            admin_token: None,
            oidc: Oidc::default(),
            twins: actors::Settings::default(),
        }
    }

    /// What no single setting can see.
    fn settle(&mut self) -> Result<(), String> {
        self.scylla.settle()?;
        self.scylla.options.history_ttl = self.twins.history_retention;
        let tls = &self.tls;
        self.http.tls = pair("http.tls.cert", &tls.http_cert, "http.tls.key", &tls.http_key)?.map(|(cert, key)| api::Tls { cert, key });
        self.mqtt.tls = tls.mqtt()?;
        self.twins.oidc = self.oidc.settings()?;
        match &self.admin_token {
            Some(token) if token.0.len() < ADMIN_TOKEN_BYTES_MIN => {
                Err(format!("auth.admin_token is shorter than {ADMIN_TOKEN_BYTES_MIN} bytes, so it could be guessed"))
            }
            _ => Ok(()),
        }
    }
}

impl TlsFiles {
    fn mqtt(&self) -> Result<Option<gateway::TlsSettings>, String> {
        let files = pair("mqtt.tls.cert", &self.mqtt_cert, "mqtt.tls.key", &self.mqtt_key)?;
        match (self.mqtt_bind, files) {
            (Some(bind), Some((cert, key))) => Ok(Some(gateway::TlsSettings {
                bind,
                cert,
                key,
                client_ca: self.mqtt_client_ca.clone(),
                client_crl: self.mqtt_client_crl.clone(),
            })),
            (Some(_), None) => Err("mqtt.tls.bind is set, but mqtt.tls.cert and mqtt.tls.key are not".into()),
            (None, Some(_)) => Err("mqtt.tls.cert is set, but mqtt.tls.bind is not: nothing would listen".into()),
            (None, None) if self.mqtt_client_ca.is_some() || self.mqtt_client_crl.is_some() => {
                let key = if self.mqtt_client_ca.is_some() { "client_ca" } else { "client_crl" };
                Err(format!("mqtt.tls.{key} is set, but mqtt.tls.bind is not: nothing would listen"))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Shortest key an operator may choose for the first administrator.
pub const ADMIN_TOKEN_BYTES_MIN: usize = 16;

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::blank();
        for setting in SETTINGS {
            // A test proves that every default of the table parses.
            let _ = setting.apply(&mut config, setting.default);
        }
        config
    }
}

/// Both or none.
fn pair(a: &str, a_path: &Option<PathBuf>, b: &str, b_path: &Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, String> {
    match (a_path, b_path) {
        (Some(a), Some(b)) => Ok(Some((a.clone(), b.clone()))),
        (Some(_), None) => Err(format!("{a} is set, but {b} is not")),
        (None, Some(_)) => Err(format!("{b} is set, but {a} is not")),
        (None, None) => Ok(None),
    }
}
