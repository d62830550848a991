//! Configuration: parsed once, into typed values with units.
//!
//! Three sources, the later wins: a TOML file, `HAUL_*` variables, flags. Their union is laid over `default.toml`, which
//! is the reference of every key. Unknown keys in a file are errors, unknown `HAUL_*` variables are warnings (another
//! program's, perhaps). This module reads neither files nor the environment: it is given their content.

use crate::{
    job::{JobOptions, Priority},
    limits::{ATTEMPTS_MAX, TIMEOUT_MS_MAX},
    name::{Kind, Queue},
    pace::{HostRules, PaceRules, Rules},
    policy::RetryPolicy,
    span::Span,
};
use secrecy::SecretString;
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use toml::{Table, Value};

mod email;
mod outgoing;
mod payments;
mod tracing;

pub use email::{EmailConfig, MailProtection, MailServer};
pub use outgoing::{Allow, AllowList, OutgoingConfig, Scheme};
pub use payments::PaymentsConfig;
pub use tracing::TracingConfig;

/// The commented defaults, for `--help` and for copying.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Processes that one worker may have for suspects.
const SUSPECTS_MAX: usize = 1_000;

/// Variables that are no settings of the file, but no mistakes either.
const OTHER_VARIABLES: [&str; 5] = ["HAUL_CONFIG", "HAUL_URL", "HAUL_API_KEY", "HAUL_SUSPECTS_OF", SECRETS_DIRECTORY];

/// The directory of secrets in files: whoever may set it may as well set the secrets.
pub const SECRETS_DIRECTORY: &str = "HAUL_SECRETS_DIR";
/// What the variables begin with that hold secrets.
pub const SECRET_PREFIX: &str = "HAUL_SECRET_";

/// Why a configuration is refused. The text names the key and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("the configuration file is not valid TOML: {0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("the configuration file sets `{0}`, which is no setting; `haul config` prints all of them")]
    UnknownKey(String),
    /// A value that is not accepted.
    #[error("{0}")]
    Value(String),
}

/// All settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API listens.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Where a role's health and metrics are served besides.
    #[serde(deserialize_with = "optional_address")]
    pub ops_listen: Option<SocketAddr>,
    /// Where `haul up` keeps its ledger.
    pub data: PathBuf,
    /// The bearer token of every request under `/v1`.
    #[serde(deserialize_with = "optional_secret")]
    pub admin_key: Option<SecretString>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// What is measured.
    pub metrics: MetricsConfig,
    /// Where spans are sent.
    pub tracing: TracingConfig,
    /// What a job gets when its submit does not say.
    pub jobs: JobDefaults,
    /// The API's limits.
    pub api: ApiConfig,
    /// The worker's settings.
    pub worker: WorkerConfig,
    /// The reconciler's settings.
    pub repair: RepairConfig,
    /// What maintenance keeps.
    pub maintenance: MaintenanceConfig,
    /// Whom handlers may call.
    pub outgoing: OutgoingConfig,
    /// Where payments are made.
    pub payments: PaymentsConfig,
    /// How fast third parties are called.
    pub pace: PaceConfig,
    /// Where mail is handed over.
    pub email: EmailConfig,
}

/// What is measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Whether metrics are gathered at all.
    pub enabled: bool,
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Directives of tracing-subscriber.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// What a job gets when its submit does not say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobDefaults {
    /// Its queue.
    pub queue: Queue,
    /// Its priority, 0 to 9.
    pub priority: u8,
    /// The timeout of one attempt.
    pub timeout: Span,
    /// Attempts in all.
    pub max_attempts: u16,
    /// The upper bound of the first pause.
    pub retry_base: Span,
    /// The longest pause.
    pub retry_cap: Span,
    /// No retry starts later than this after `run_at`.
    pub retry_max_age: Span,
}

impl JobDefaults {
    /// The priority, checked when the configuration was read.
    pub fn priority(&self) -> Priority {
        Priority::new(self.priority).unwrap_or_default()
    }
    /// The retry policy.
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts,
            base: self.retry_base,
            cap: self.retry_cap,
            max_age: self.retry_max_age,
        }
    }
    /// The options of a job that says nothing.
    pub fn options(&self) -> JobOptions {
        JobOptions { timeout: self.timeout, retry: self.retry(), ..JobOptions::default() }
    }
}

/// The API's limits. See `default.toml` for their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct ApiConfig {
    pub body_bytes_max: usize,
    pub payload_bytes_max: usize,
    pub depth_max: usize,
    pub batch_jobs_max: usize,
    pub schedules_max: usize,
    pub wait_max: Span,
    pub idempotency_lifetime: Span,
    pub intake_rows_max: usize,
    pub intake_bytes_max: usize,
    pub commit_rows_max: usize,
    pub ticket_buffer_max: usize,
    pub header_timeout: Span,
    pub request_timeout: Span,
    pub connections_max: usize,
    pub drain: Span,
}

/// The worker's settings. See `default.toml` for their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct WorkerConfig {
    #[serde(deserialize_with = "queue_weights")]
    pub queues: Vec<(Queue, u32)>,
    pub concurrency: usize,
    #[serde(deserialize_with = "kind_limits")]
    pub kind_concurrency: BTreeMap<Kind, usize>,
    pub suspects: usize,
    pub lease: Span,
    pub drain: Span,
    pub result_bytes_max: usize,
    pub commit_rows_max: usize,
}

/// The reconciler's settings. See `default.toml` for their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct RepairConfig {
    pub interval: Span,
    pub grace: Span,
    pub audit_interval: Span,
}

/// How fast third parties are called. See `default.toml` for their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct PaceConfig {
    pub failures: u32,
    pub window: Span,
    pub window_calls: u32,
    pub window_percent: u32,
    pub open_base: Span,
    pub open_cap: Span,
    pub probes: u32,
    pub rate: u32,
    pub burst: u32,
    pub in_flight: u32,
    pub returns: u32,
    pub permit: Span,
    #[serde(deserialize_with = "host_rules")]
    pub hosts: BTreeMap<String, HostRules>,
}

impl PaceConfig {
    /// The rules that these settings make.
    pub fn rules(&self) -> PaceRules {
        let default = Rules {
            failures: self.failures,
            window: self.window.as_duration(),
            window_calls: self.window_calls,
            window_percent: self.window_percent,
            open_base: self.open_base.as_duration(),
            open_cap: self.open_cap.as_duration(),
            probes: self.probes,
            rate: self.rate,
            burst: self.burst,
            in_flight: self.in_flight,
            returns: self.returns,
            permit: self.permit.as_duration(),
        };
        PaceRules { default, hosts: self.hosts.clone() }
    }
}

/// What maintenance keeps. See `default.toml` for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct MaintenanceConfig {
    pub schedules: bool,
    pub keep_days: u32,
    pub payload_days: u32,
    pub statistics_days: u32,
}

/// A setting given on the command line: its path (`worker.lease`) and its text.
pub type Override = (String, String);

impl Config {
    /// Lays file, variables and flags over the defaults. Returns the settings and warnings about unknown variables.
    pub fn load(
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &[Override],
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let (settings, warnings) = Self::merge(file, variables, flags)?;
        let config: Self = settings.try_into().map_err(|error| ConfigError::Value(with_key(&error)))?;
        config.check()?;
        Ok((config, warnings))
    }

    /// The same before its values are checked, for printing. Holds the admin key in plain.
    pub fn merge(
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &[Override],
    ) -> Result<(Table, Vec<String>), ConfigError> {
        let mut settings = parse(DEFAULT_TOML)?;
        if let Some(text) = file {
            lay_over(&mut settings, parse(text)?, "")?;
        }
        let mut leaves = BTreeMap::new();
        collect_leaves(&settings, "", &mut leaves);
        let paths: BTreeMap<String, String> = leaves.keys().map(|path| (variable_name(path), path.clone())).collect();
        let mut warnings = Vec::new();
        for (name, text) in variables {
            match paths.get(&name) {
                Some(path) => set(&mut settings, path, &text, &name)?,
                None if name.starts_with("HAUL_") && !is_known_elsewhere(&name) => {
                    warnings.push(format!("the variable {name} is no setting of Haul and has no effect"));
                }
                None => {}
            }
        }
        for (path, text) in flags {
            set(&mut settings, path, text, path)?;
        }
        Ok((settings, warnings))
    }

    /// The built-in defaults, without file, variables or flags.
    pub fn defaults() -> Self {
        match Self::load(None, [], &[]) {
            Ok((config, _)) => config,
            Err(error) => unreachable!("default.toml is checked by a test: {error}"),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.to_owned()));
        if self.worker.lease < Span::from_secs(2) {
            return refuse("worker.lease must be at least \"2s\"");
        }
        if !(1..=100_000).contains(&self.worker.concurrency) {
            return refuse("worker.concurrency must lie between 1 and 100000");
        }
        if self.worker.suspects > SUSPECTS_MAX {
            return refuse("worker.suspects must lie between 0 and 1000");
        }
        if self.jobs.priority > 9 {
            return refuse("jobs.priority must lie between 0 and 9");
        }
        if !(1..=ATTEMPTS_MAX).contains(&self.jobs.max_attempts) {
            return refuse("jobs.max_attempts must lie between 1 and 1000");
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&self.jobs.timeout.as_ms()) {
            return refuse("jobs.timeout must lie between \"1ms\" and \"24h\"");
        }
        let rows = [self.api.commit_rows_max, self.worker.commit_rows_max];
        if rows.iter().any(|rows| !(1..=5_000).contains(rows)) {
            return refuse("api.commit_rows_max and worker.commit_rows_max must lie between 1 and 5000");
        }
        let sizes = [
            self.api.body_bytes_max,
            self.api.payload_bytes_max,
            self.api.batch_jobs_max,
            self.api.schedules_max,
            self.api.intake_rows_max,
            self.api.intake_bytes_max,
            self.api.ticket_buffer_max,
            self.api.connections_max,
            self.worker.result_bytes_max,
        ];
        if sizes.contains(&0) {
            return refuse("sizes and counts under [api] and [worker] must be at least 1");
        }
        if !(1..=127).contains(&self.api.depth_max) {
            return refuse("api.depth_max must lie between 1 and 127");
        }
        self.tracing.check().or_else(refuse)?;
        self.payments.check().or_else(refuse)?;
        self.pace.rules().check().or_else(refuse)?;
        self.outgoing.check().or_else(refuse)
    }
}

fn is_known_elsewhere(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name) || name.starts_with(SECRET_PREFIX)
}

fn parse(text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| ConfigError::Syntax(sentence(&error)))
}

/// toml's message without the source excerpt, which may hold a secret.
fn sentence(error: &toml::de::Error) -> String {
    error.message().to_owned()
}

/// toml's message with the key that it is about, which toml writes on a line of its own.
fn with_key(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let key = text.lines().find_map(|line| line.strip_prefix("in "));
    key.map_or_else(|| sentence(error), |key| format!("{key}: {}", error.message()))
}

fn variable_name(path: &str) -> String {
    format!("HAUL_{}", path.replace('.', "_").to_uppercase())
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn collect_leaves(table: &Table, prefix: &str, into: &mut BTreeMap<String, ()>) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            Value::Table(inner) => collect_leaves(inner, &path, into),
            _ => {
                into.insert(path, ());
            }
        }
    }
}

fn lay_over(base: &mut Table, over: Table, prefix: &str) -> Result<(), ConfigError> {
    for (key, value) in over {
        let path = join(prefix, &key);
        match (base.get_mut(&key), value) {
            (None, _) => return Err(ConfigError::UnknownKey(path)),
            (Some(Value::Table(inner)), Value::Table(value)) => lay_over(inner, value, &path)?,
            (Some(Value::Table(_)), _) => {
                return Err(ConfigError::Value(format!("`{path}` is a section, not a value")));
            }
            (Some(slot), value) => *slot = same_kind(slot, value, &path)?,
        }
    }
    Ok(())
}

fn same_kind(default: &Value, value: Value, path: &str) -> Result<Value, ConfigError> {
    if default.type_str() == value.type_str() {
        return Ok(value);
    }
    let accepted = default.type_str();
    Err(ConfigError::Value(format!(
        "`{path}` must be a {accepted}, for example {default}; it is a {}",
        value.type_str()
    )))
}

fn set(settings: &mut Table, path: &str, text: &str, named: &str) -> Result<(), ConfigError> {
    let mut table = settings;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let Some(slot) = table.get_mut(key) else { return Err(ConfigError::UnknownKey(path.to_owned())) };
        if keys.peek().is_none() {
            *slot = match slot {
                Value::Integer(default) => Value::Integer(text.trim().parse().map_err(|_| {
                    ConfigError::Value(format!("{named} must be a whole number, for example {default}"))
                })?),
                Value::Boolean(_) => Value::Boolean(
                    text.trim().parse().map_err(|_| ConfigError::Value(format!("{named} must be true or false")))?,
                ),
                _ => Value::String(text.to_owned()),
            };
            return Ok(());
        }
        let Value::Table(inner) = slot else { return Err(ConfigError::UnknownKey(path.to_owned())) };
        table = inner;
    }
    Ok(())
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(
            "is not an address with a port; write for example \"127.0.0.1:8080\" or \"[::1]:8080\"",
        )
    })
}

fn optional_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    address(serde::de::value::StringDeserializer::new(text)).map(Some)
}

fn optional_secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

fn optional_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then_some(text))
}

fn optional_path<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

fn comma_separated(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn queue_weights<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(Queue, u32)>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = |part: &str| {
        let (name, weight) = part.split_once(':').unwrap_or((part, "1"));
        let queue = Queue::new(name).map_err(|error| format!("queue {name:?} {error}"))?;
        match weight.parse() {
            Ok(weight @ 1..=1_000) => Ok((queue, weight)),
            _ => Err(format!("the weight of queue {name:?} must be a number from 1 to 1000")),
        }
    };
    comma_separated(&text).map(read).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

fn host_rules<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, HostRules>, D::Error> {
    let text = String::deserialize(deserializer)?;
    PaceRules::parse_hosts(&text).map_err(serde::de::Error::custom)
}

fn kind_limits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Kind, usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = |part: &str| {
        let (name, limit) = part.split_once('=').unwrap_or((part, ""));
        let kind = Kind::new(name).map_err(|error| format!("kind {name:?} {error}"))?;
        match limit.parse() {
            Ok(limit) if limit > 0 => Ok((kind, limit)),
            _ => Err(format!("the concurrency of kind {name:?} must be a number from 1 on, as in \"{name}=3\"")),
        }
    };
    comma_separated(&text).map(read).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn the_defaults_are_whole_and_match_what_is_stored() {
        let config = Config::defaults();
        assert_eq!(config.jobs.options(), JobOptions::default());
        assert_eq!(config.worker.lease, Span::from_secs(30));
    }

    #[test]
    fn variables_win_over_the_file_and_flags_over_both() {
        let file = "listen = \"127.0.0.1:1\"\n[worker]\nconcurrency = 1\nlease = \"3s\"\nqueues = \"a,b:3\"";
        let given = variables(&[("HAUL_WORKER_CONCURRENCY", "2"), ("HAUL_LISTEN", "127.0.0.1:2")]);
        let flags = [("listen".to_owned(), "127.0.0.1:3".to_owned())];
        let (config, warnings) = Config::load(Some(file), given, &flags).unwrap();
        assert_eq!((config.worker.concurrency, config.listen.port()), (2, 3));
        assert_eq!(config.worker.lease, Span::from_secs(3));
        assert_eq!(config.worker.queues, [(Queue::new("a").unwrap(), 1), (Queue::new("b").unwrap(), 3)]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn unknown_keys_are_refused_and_unknown_variables_warn() {
        let error = Config::load(Some("[worker]\nconcurency = 3"), [], &[]).unwrap_err();
        assert!(error.to_string().contains("`worker.concurency`"), "{error}");
        let (_, warnings) = Config::load(None, variables(&[("HAUL_LISTN", "x"), ("HOME", "/")]), &[]).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("HAUL_LISTN"));
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_is_accepted() {
        for (file, words) in [
            ("[worker]\nlease = 30", "`worker.lease` must be a string, for example \"30s\""),
            ("[worker]\nlease = \"1s\"", "at least \"2s\""),
            ("[worker]\nlease = \"soon\"", "`worker.lease`: is not a duration; write for example \"30s\""),
            ("listen = \"8080\"", "`listen`: is not an address with a port; write for example \"127.0.0.1:8080\""),
            ("[worker]\nqueues = \"a b\"", "`worker.queues`: queue \"a b\" may hold only letters"),
            ("[pace]\nhosts = \"a rate=x\"", "`pace.hosts`: rate of \"a\" must be a number from 0 to 100000"),
            ("[pace]\nin_flight = 0", "pace.in_flight must lie between 1 and 10000"),
            ("[jobs]\nmax_attempts = 0", "jobs.max_attempts must lie between 1 and 1000"),
        ] {
            let error = Config::load(Some(file), [], &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{file}: {error}");
        }
        let error = Config::load(None, variables(&[("HAUL_WORKER_CONCURRENCY", "many")]), &[]).unwrap_err();
        assert!(error.to_string().contains("HAUL_WORKER_CONCURRENCY must be a whole number"), "{error}");
    }

    #[test]
    fn the_admin_key_never_shows_in_debug_output() {
        let (config, _) = Config::load(None, variables(&[("HAUL_ADMIN_KEY", "hush")]), &[]).unwrap();
        assert!(config.admin_key.is_some() && !format!("{config:?}").contains("hush"));
    }
}
