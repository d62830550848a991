//! Settings of a process: the typed config, and where its stores are.
//!
//! The one home of the environment and of the configuration file, for `haul` itself and for users' own binaries. What
//! the settings mean is [`Config`]'s. A URL is a secret: it is shown nowhere.

use haul_core::{
    Config, TraceContext,
    config::{ConfigError, Override, SECRETS_DIRECTORY},
    trace::TRACEPARENT,
};
use haul_outgoing::Secrets;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Why a process has no settings. The text names the key, and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A variable of ours holds what is no text.
    #[error("the variable {0} is not valid UTF-8")]
    NotText(String),
    /// A key or value is refused.
    #[error(transparent)]
    Refused(#[from] ConfigError),
}

/// Everything that a process is told from outside.
#[derive(Debug)]
pub struct Settings {
    /// The typed settings.
    pub config: Config,
    /// `DATABASE_URL`: the ledger in Postgres.
    pub database_url: Option<SecretString>,
    /// `REDIS_URL`: the dispatch in Redis.
    pub redis_url: Option<SecretString>,
    /// Secrets by name, for handlers: `HAUL_SECRET_*`, and the files in `HAUL_SECRETS_DIR`.
    pub secrets: Secrets,
    /// What the user should know about variables that have no effect.
    pub warnings: Vec<String>,
}

/// The texts that settings are made of, before they are.
#[derive(Default)]
pub struct Sources {
    /// The configuration file's content.
    pub file: Option<String>,
    /// The environment.
    pub variables: Vec<(String, String)>,
}

impl Settings {
    /// From the environment and the file that `HAUL_CONFIG` names.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::load(None, &[])
    }

    /// From the file (`HAUL_CONFIG`'s when `None`), the environment and flags; the later wins.
    pub fn load(file: Option<&Path>, flags: &[Override]) -> Result<Self, SettingsError> {
        let sources = Sources::read(file)?;
        let database_url = sources.secret("DATABASE_URL");
        let redis_url = sources.secret("REDIS_URL");
        let secrets = sources.secrets();
        let (config, warnings) = Config::load(sources.file.as_deref(), sources.variables, flags)?;
        Ok(Self { config, database_url, redis_url, secrets, warnings })
    }
}

impl Sources {
    /// Reads the environment, and the file (`HAUL_CONFIG`'s when `None`).
    pub fn read(file: Option<&Path>) -> Result<Self, SettingsError> {
        let variables = variables()?;
        let named = variables.iter().find(|(name, text)| name == "HAUL_CONFIG" && !text.is_empty());
        let path = file.map(Path::to_path_buf).or_else(|| named.map(|(_, text)| PathBuf::from(text)));
        let file = match path {
            None => None,
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text),
                Err(source) => return Err(SettingsError::Unreadable { path, source }),
            },
        };
        Ok(Self { file, variables })
    }

    /// The secret in this variable. An empty variable is one that is not set.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        let (_, text) = self.variables.iter().find(|(known, text)| known == name && !text.is_empty())?;
        Some(SecretString::from(text.as_str()))
    }

    fn secrets(&self) -> Secrets {
        let directory = self.variables.iter().find(|(name, text)| name == SECRETS_DIRECTORY && !text.is_empty());
        let variables = self.variables.iter().map(|(name, text)| (name.clone(), SecretString::from(text.as_str())));
        Secrets::new(variables, directory.map(|(_, path)| PathBuf::from(path)))
    }
}

/// The trace that whoever started this program works for: `TRACEPARENT`, as shells and build systems hand it on.
pub fn callers_trace() -> Option<TraceContext> {
    variable(&TRACEPARENT.to_uppercase())?.parse().ok()
}

/// A variable that is no setting.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
fn variables() -> Result<Vec<(String, String)>, SettingsError> {
    let ours = |name: &str| name.starts_with("HAUL_") || matches!(name, "DATABASE_URL" | "REDIS_URL");
    let mut variables = Vec::new();
    for (name, text) in std::env::vars_os() {
        // A name that is no text is none of ours.
        let Ok(name) = name.into_string() else { continue };
        if ours(&name) {
            let Ok(text) = text.into_string() else { return Err(SettingsError::NotText(name)) };
            variables.push((name, text));
        }
    }
    Ok(variables)
}
