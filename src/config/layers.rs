//! Four layers, the later one wins: defaults, file, environment, flags.

use std::{ffi::OsString, fmt, path::PathBuf};

use super::{Config, file, setting::Setting, table::SETTINGS};

/// Names in the environment that are not settings: what the client commands read, and where the file is.
pub const OTHER_ENV: [&str; 4] = ["TWINFOLD_CA", "TWINFOLD_CONFIG", "TWINFOLD_TOKEN", "TWINFOLD_URL"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// Why there is no configuration. Each is one clear line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{source_} has an unknown setting {name}; the nearest known one is {nearest}")]
    Unknown { name: String, source_: String, nearest: String },
    #[error("{key} ({source_}): {reason}")]
    Bad { key: &'static str, source_: Source, reason: String },
    #[error("the configuration file {} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("the configuration file {} is not valid TOML: {reason}", path.display())]
    NotToml { path: PathBuf, reason: String },
    #[error("{0}")]
    Conflict(String),
}

/// The layers above the defaults, before anything is parsed.
#[derive(Default)]
pub struct Layers {
    pub file: Option<PathBuf>,
    /// All variables whose name starts with `TWINFOLD_`.
    pub environment: Vec<(String, OsString)>,
    /// By key of the setting.
    pub flags: Vec<(&'static str, String)>,
}

/// A value in force and where it came from.
#[derive(Clone)]
pub struct InForce {
    pub setting: &'static Setting,
    pub text: String,
    pub source: Source,
}

impl fmt::Debug for InForce {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.setting.key, self.source)
    }
}

impl Layers {
    /// What this process was started with.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("TWINFOLD_"))
            .collect();
        let file = file.or_else(|| std::env::var_os("TWINFOLD_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from));
        Self { file, environment, flags }
    }

    /// The configuration and where each of its values came from.
    pub fn load(&self) -> Result<(Config, Vec<InForce>), ConfigError> {
        let mut in_force: Vec<InForce> =
            SETTINGS.iter().map(|setting| InForce { setting, text: setting.default.to_owned(), source: Source::Default }).collect();
        self.lay_file(&mut in_force)?;
        self.lay_environment(&mut in_force)?;
        self.lay_flags(&mut in_force);
        let config = apply(&in_force)?;
        Ok((config, in_force))
    }

    fn lay_file(&self, in_force: &mut [InForce]) -> Result<(), ConfigError> {
        let Some(path) = &self.file else { return Ok(()) };
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
        let entries = file::parse(&text).map_err(|reason| ConfigError::NotToml { path: path.clone(), reason })?;
        for entry in entries {
            let source = Source::File { path: path.clone(), line: entry.line };
            let place = in_force.iter_mut().find(|v| v.setting.key == entry.key);
            let place = place.ok_or_else(|| unknown(entry.key, source.to_string(), |s| s.key.to_owned()))?;
            (place.text, place.source) = (entry.text, source);
        }
        Ok(())
    }

    fn lay_environment(&self, in_force: &mut [InForce]) -> Result<(), ConfigError> {
        for (name, value) in &self.environment {
            if OTHER_ENV.contains(&name.as_str()) {
                continue;
            }
            let place = in_force.iter_mut().find(|v| v.setting.env() == *name);
            let place = place.ok_or_else(|| unknown(name.clone(), "the environment".into(), Setting::env))?;
            let source = Source::Environment(name.clone());
            let Some(text) = value.to_str() else {
                return Err(ConfigError::Bad { key: place.setting.key, source_: source, reason: "the value is not UTF-8".into() });
            };
            (place.text, place.source) = (text.to_owned(), source);
        }
        Ok(())
    }

    fn lay_flags(&self, in_force: &mut [InForce]) {
        for (key, text) in &self.flags {
            if let Some(place) = in_force.iter_mut().find(|v| v.setting.key == *key) {
                let flag = place.setting.flag.unwrap_or(place.setting.key);
                (place.text, place.source) = (text.clone(), Source::Flag(flag.to_owned()));
            }
        }
    }
}

fn apply(in_force: &[InForce]) -> Result<Config, ConfigError> {
    let mut config = Config::blank();
    for InForce { setting, text, source } in in_force {
        setting.apply(&mut config, text).map_err(|reason| ConfigError::Bad { key: setting.key, source_: source.clone(), reason })?;
    }
    config.settle().map_err(ConfigError::Conflict)?;
    Ok(config)
}

fn unknown(name: String, source_: String, written: impl Fn(&Setting) -> String) -> ConfigError {
    let likeness = |candidate: &String| strsim::normalized_damerau_levenshtein(candidate, &name);
    let nearest = SETTINGS.iter().map(written).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default();
    ConfigError::Unknown { name, source_, nearest }
}
