//! Connecting: refuses servers that cannot keep the promise, with words that say what to do.

use crate::{migrate, options::PostgresOptions};
use haul_core::ledger::LedgerError;
use sqlx::{Connection, PgConnection};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// PostgreSQL 15.
const VERSION_MIN: i32 = 150_000;

/// Why a server is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It cannot be reached now; try again.
    #[error(transparent)]
    Unavailable(LedgerError),
    /// The URL is not one, or the server refuses the user or the database.
    #[error("the database refuses us; check DATABASE_URL")]
    Refused(#[source] sqlx::Error),
    /// The schema is missing or older than this program.
    #[error("the database lacks {missing} of Haul's migrations; run `haul migrate`")]
    NotMigrated {
        /// How many are missing.
        missing: usize,
    },
    /// Too old.
    #[error("the database is PostgreSQL {version}; Haul needs 15 or later")]
    TooOld {
        /// What it says that it is.
        version: String,
    },
    /// It answers before it has written.
    #[error(
        "the database runs with {setting}=off: a crash would lose jobs that were accepted. Set `{setting} = on` in \
         postgresql.conf and restart it"
    )]
    NotDurable {
        /// Which setting.
        setting: &'static str,
    },
}

impl ConnectError {
    /// Whether to try again later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Checks that the server is fit to be a ledger.
pub(crate) async fn check(options: &PostgresOptions) -> Result<(), ConnectError> {
    let session = options.session().map_err(ConnectError::Refused)?;
    let silence = || ConnectError::Unavailable(LedgerError::Unavailable(Box::new(crate::error::Silence)));
    let connect = PgConnection::connect_with(&session);
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| silence())?;
    let mut connection = connection.map_err(failed)?;
    let fitness = fitness(&mut connection);
    tokio::time::timeout(CONNECT_TIMEOUT, fitness).await.map_err(|_| silence())??;
    // All is known: whether the goodbye arrives does not matter.
    drop(tokio::time::timeout(CONNECT_TIMEOUT, connection.close()).await);
    Ok(())
}

async fn fitness(connection: &mut PgConnection) -> Result<(), ConnectError> {
    let server = sqlx::query_file!("sql/server.sql").fetch_one(&mut *connection).await.map_err(failed)?;
    if server.version < VERSION_MIN {
        return Err(ConnectError::TooOld { version: server.version_text });
    }
    for (setting, value) in [("fsync", server.fsync), ("full_page_writes", server.full_page_writes)] {
        if value == "off" {
            return Err(ConnectError::NotDurable { setting });
        }
    }
    let missing =
        if server.has_migrations { migrate::missing(connection).await.map_err(failed)? } else { migrate::count() };
    if missing > 0 { Err(ConnectError::NotMigrated { missing }) } else { Ok(()) }
}

fn failed(error: sqlx::Error) -> ConnectError {
    if is_refusal(&error) {
        return ConnectError::Refused(error);
    }
    ConnectError::Unavailable(LedgerError::Unavailable(Box::new(error)))
}

/// Whether somebody has to do something before the same connection can succeed: authorization, an unknown database,
/// lack of privileges, what a URL says wrongly.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|refusal| refusal.code());
    let is_refused = code.is_some_and(|code| matches!(code.get(..2), Some("28" | "3D" | "42")));
    is_refused || matches!(error, sqlx::Error::Configuration(_))
}
