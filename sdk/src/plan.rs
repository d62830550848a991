//! Which stores a process uses, by what it was told: the rules of deployment, without any I/O.

use crate::settings::Settings;
use secrecy::SecretString;
use std::path::PathBuf;

/// Where ledger and dispatch are.
#[derive(Debug, Clone)]
pub enum Plan {
    /// SQLite in this directory, and memory.
    Embedded(PathBuf),
    /// Postgres, and memory: one process at a time.
    PostgresAlone(SecretString),
    /// Postgres and Redis: any number of processes.
    Production {
        /// The ledger.
        database: SecretString,
        /// The dispatch.
        redis: SecretString,
        /// Whether to bring the ledger's schema up to date first; else somebody else has to.
        migrate: bool,
    },
}

/// Why the settings name no deployment. The text says what to set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

impl Plan {
    /// For all roles in one process: neither URL, `DATABASE_URL` alone, or both.
    pub fn one_process(settings: &Settings) -> Result<Self, PlanError> {
        match (settings.database_url.clone(), settings.redis_url.clone()) {
            (None, None) => Ok(Self::Embedded(settings.config.data.clone())),
            (Some(database), None) => Ok(Self::PostgresAlone(database)),
            (Some(database), Some(redis)) => Ok(Self::Production { database, redis, migrate: true }),
            (None, Some(_)) => Err(PlanError(
                "REDIS_URL is set, but DATABASE_URL is not: Redis holds no jobs, only hints about them. Set \
                 DATABASE_URL too, or unset REDIS_URL to run on SQLite and memory"
                    .to_owned(),
            )),
        }
    }

    /// For one role of several processes: both URLs.
    pub fn shared(settings: &Settings, role: &str) -> Result<Self, PlanError> {
        let missing = match (settings.database_url.clone(), settings.redis_url.clone()) {
            (Some(database), Some(redis)) => return Ok(Self::Production { database, redis, migrate: false }),
            (None, Some(_)) => "DATABASE_URL is not set",
            (Some(_), None) => "REDIS_URL is not set",
            (None, None) => "DATABASE_URL and REDIS_URL are not set",
        };
        Err(PlanError(format!(
            "{missing}: a {role} shares its jobs with other processes, through Postgres and Redis. `haul up` runs \
             every role in one process and needs neither"
        )))
    }

    /// In words, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Embedded(directory) => format!("SQLite in {}, dispatch in memory", directory.display()),
            Self::PostgresAlone(_) => "Postgres, dispatch in memory".to_owned(),
            Self::Production { .. } => "Postgres and Redis".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;
    use haul_outgoing::Secrets;

    fn settings(database: bool, redis: bool) -> Settings {
        let url = |set: bool| set.then(|| SecretString::from("scheme://user:hush@host"));
        let config = Config::defaults();
        Settings {
            config,
            database_url: url(database),
            redis_url: url(redis),
            secrets: Secrets::default(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn one_process_needs_nothing_but_never_redis_alone() {
        assert!(matches!(Plan::one_process(&settings(false, false)), Ok(Plan::Embedded(_))));
        assert!(matches!(Plan::one_process(&settings(true, false)), Ok(Plan::PostgresAlone(_))));
        assert!(matches!(Plan::one_process(&settings(true, true)), Ok(Plan::Production { .. })));
        let error = Plan::one_process(&settings(false, true)).unwrap_err().to_string();
        assert!(error.contains("Set DATABASE_URL too"), "{error}");
    }

    #[test]
    fn a_role_of_its_own_needs_both_and_says_which_is_missing() {
        assert!(Plan::shared(&settings(true, true), "worker").is_ok());
        for (database, redis, words) in [
            (false, true, "DATABASE_URL is not set"),
            (true, false, "REDIS_URL is not set"),
            (false, false, "DATABASE_URL and REDIS_URL are not set"),
        ] {
            let error = Plan::shared(&settings(database, redis), "worker").unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn a_url_is_never_shown() {
        let plan = Plan::one_process(&settings(true, true)).unwrap();
        assert!(!format!("{plan:?} {}", plan.describe()).contains("hush"));
    }
}
