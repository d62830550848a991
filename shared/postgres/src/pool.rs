//! Connections, lent for one call each.
//!
//! A connection whose call was given up (by a timeout here, or by a caller that lost interest) is in an unknown state:
//! it is closed, never lent again. An answer that does not come within the pool's patience is
//! [`LedgerError::Unavailable`].

use crate::error::{Silence, ledger_error};
use haul_core::ledger::{LedgerError, PoolUse, Result};
use sqlx::{
    PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};
use std::{future::Future, time::Duration};

/// A connection that lay idle for longer is asked for a sign of life before it is lent.
const IDLE_UNASKED_MAX: Duration = Duration::from_secs(2);

/// A bounded number of connections with the same settings, opened when they are needed.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pool: PgPool,
    patience: Duration,
}

impl Connections {
    pub(crate) fn new(session: PgConnectOptions, max: u32, acquire_timeout: Duration, patience: Duration) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(max.max(1))
            .acquire_timeout(acquire_timeout)
            .idle_timeout(Duration::from_secs(300))
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > IDLE_UNASKED_MAX {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(session);
        Self { pool, patience }
    }

    /// Lends a connection, within the acquire timeout.
    pub(crate) async fn lend(&self) -> Result<Lent> {
        let connection = self.pool.acquire().await.map_err(ledger_error)?;
        Ok(Lent { connection, patience: self.patience, is_sound: false })
    }

    /// Closes all of them and lends no more.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction on a connection that goes back with its end.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.pool.begin().await
    }

    /// How long to wait for an answer.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// How many of them are in use. `pool` is their name.
    pub(crate) fn in_use(&self, pool: &'static str) -> PoolUse {
        let (open, idle) = (self.pool.size() as usize, self.pool.num_idle());
        let max = self.pool.options().get_max_connections() as usize;
        // Both are read without a lock, one after the other.
        PoolUse { pool, idle, used: open.saturating_sub(idle), max }
    }
}

/// A connection on loan. It goes back only by [`Lent::give_back`]; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Lent {
    connection: PoolConnection<Postgres>,
    patience: Duration,
    is_sound: bool,
}

impl Lent {
    /// The connection, for one statement after the other.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// How long to wait for an answer on it.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Back to the pool: nothing is under way on it.
    pub(crate) fn give_back(mut self) {
        self.is_sound = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

/// Waits for an answer of the server, but not for ever.
pub(crate) async fn in_time<T>(patience: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(ledger_error),
        Err(_) => Err(LedgerError::Unavailable(Box::new(Silence))),
    }
}

/// One statement on a connection of its own: `ask!(connections, c => query_file!("..").fetch_all(c))`.
///
/// A refused statement leaves its connection sound; one that got no answer does not.
macro_rules! ask {
    ($connections:expr, $connection:ident => $call:expr) => {{
        let mut lent = $connections.lend().await?;
        let patience = lent.patience();
        let $connection = lent.connection();
        let answer = $crate::pool::in_time(patience, $call).await;
        if !matches!(answer, Err(haul_core::ledger::LedgerError::Unavailable(_))) {
            lent.give_back();
        }
        answer
    }};
}
pub(crate) use ask;
