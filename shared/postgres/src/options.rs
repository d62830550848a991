//! How to reach the server, and what every session of ours is set to.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::{str::FromStr, time::Duration};

/// How to reach the server, and the bounds of using it.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=...`
    pub url: SecretString,
    /// Connections of the ledger itself. Transactional handlers, events and the exclusive lock have their own besides.
    pub connections_max: u32,
    /// Connections of transactional handlers; as many can run at a time.
    pub transactions_max: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// How long the server works on one statement of the ledger before it gives up.
    pub statement_timeout: Duration,
    /// How long a statement of the ledger waits for a lock: another's idempotency key, or rows that are being sent
    /// twice.
    pub lock_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults: 10 connections, 20 transactions, 5 s to get one, 30 s a statement, 500 ms a lock.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            connections_max: 10,
            transactions_max: 20,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_millis(500),
        }
    }

    /// The sessions of the ledger.
    pub(crate) fn session(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options = self.plain_session()?.options([
            ("statement_timeout", ms(self.statement_timeout)),
            ("lock_timeout", ms(self.lock_timeout)),
            // One of our processes that is paused within a transaction keeps the others waiting no longer than this.
            ("idle_in_transaction_session_timeout", "10000".to_owned()),
        ]);
        // Plans are made for the ids at hand, so that they name only the partitions of these; and always by index,
        // whatever statistics say about a partition that was empty when they were taken. See docs/decisions/0011.
        let options = options.options([("plan_cache_mode", "force_custom_plan"), ("enable_seqscan", "off")]);
        Ok(options.options([("jit", "off")]))
    }

    /// The sessions that run users' statements too: their time is the attempt's.
    pub(crate) fn user_session(&self) -> Result<PgConnectOptions, sqlx::Error> {
        Ok(self.plain_session()?.options([("plan_cache_mode", "force_custom_plan")]))
    }

    /// What all sessions share: a commit is on disk when it is answered, and a server notices that we are gone.
    pub(crate) fn plain_session(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options = PgConnectOptions::from_str(self.url.expose_secret())?;
        let named = options.get_application_name().is_some();
        let options = if named { options } else { options.application_name("haul") };
        let options = options.options([
            ("synchronous_commit", "on"),
            ("client_connection_check_interval", "5s"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("TimeZone", "UTC"),
        ]);
        Ok(options.disable_statement_logging())
    }

    /// How long this side waits for an answer: longer than the server may work, so that its own answer comes first.
    pub(crate) fn patience(&self) -> Duration {
        self.statement_timeout + Duration::from_secs(5)
    }
}

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}
