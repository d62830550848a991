//! Migrations: embedded in the binary, applied under a lock, so that any number of processes may start at once.

use crate::{connect::is_refusal, options::PostgresOptions, partitions};
use secrecy::SecretString;
use sqlx::{
    migrate::{Migrate, Migration, Migrator},
    postgres::{PgConnection, PgPoolOptions},
};
use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

/// While versions are mixed, processes of the older one start, and migrate, too: what a later version has applied is not theirs
/// to complain about.
static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
});

/// Where the migrator keeps what it has done; named in `sqlx.toml`, too.
const TABLE: &str = "haul._sqlx_migrations";
/// How long another process may migrate before this one gives up.
const LOCK_TIMEOUT: &str = "10min";

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server cannot be reached.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The URL is not one, or the server refuses the user or the database.
    #[error("the database refuses us; check DATABASE_URL")]
    Refused(#[source] sqlx::Error),
    /// A migration failed; it was rolled back.
    #[error("the database's schema `haul` could not be brought up to date")]
    Failed(#[source] sqlx::migrate::MigrateError),
    /// The partitions of the days ahead could not be made.
    #[error("the partitions of the days ahead could not be made")]
    Partitions(#[source] sqlx::Error),
}

/// Brings the schema `haul` up to date and prepares the days ahead. Waits while another process does so.
pub async fn migrate(url: &SecretString) -> Result<(), MigrateError> {
    let session = PostgresOptions::new(url.clone()).plain_session().map_err(MigrateError::Refused)?;
    let session = session.options([("lock_timeout", LOCK_TIMEOUT)]);
    // A pool of one: the migrator does not compile inside a spawned task with a bare connection.
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_with(session).await.map_err(|error| {
        let is_refusal = is_refusal(&error);
        if is_refusal { MigrateError::Refused(error) } else { MigrateError::Unavailable(error) }
    })?;
    let done = run(&pool).await;
    pool.close().await;
    done
}

async fn run(pool: &sqlx::PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await.map_err(MigrateError::Failed)?;
    let mut connection = pool.acquire().await.map_err(MigrateError::Unavailable)?;
    partitions::prepare_missing(&mut connection).await.map_err(MigrateError::Partitions)
}

/// How many of our migrations this database lacks. Those of a later version are no fault: processes are upgraded one by
/// one.
///
/// The table must exist.
pub(crate) async fn missing(connection: &mut PgConnection) -> sqlx::Result<usize> {
    let applied = connection.list_applied_migrations(TABLE).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })?;
    let applied: BTreeMap<i64, _> = applied.into_iter().map(|applied| (applied.version, applied.checksum)).collect();
    let lacks = |migration: &&Migration| applied.get(&migration.version) != Some(&migration.checksum);
    Ok(MIGRATOR.iter().filter(lacks).count())
}

/// How many migrations there are.
pub(crate) fn count() -> usize {
    MIGRATOR.iter().count()
}
