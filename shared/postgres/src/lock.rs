//! The exclusive lock: one process keeps a memory dispatch over a ledger, never two.
//!
//! The lock belongs to a session of the server, and is gone with it: when this process dies, or is cut off for half a
//! minute. Holding an [`ExclusiveLock`] therefore does not prove that the lock is still held: watch
//! [`ExclusiveLock::lost`], and stop claiming when it resolves.

use crate::options::PostgresOptions;
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the server is asked whether the session still exists, and how long it may take to answer.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "another process keeps its dispatch in memory over this database; stop it, or give all of them the same \
         REDIS_URL"
    )]
    Held,
    /// The server cannot be reached.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
}

/// The lock. Dropped, it is given back.
#[derive(Debug)]
pub struct ExclusiveLock {
    lost: watch::Receiver<bool>,
    guard: JoinHandle<()>,
}

impl ExclusiveLock {
    /// Resolves when the lock's connection is gone, and with it the lock.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // The guard's end without a word is a loss, too.
        drop(lost.wait_for(|lost| *lost).await);
    }
}

impl Drop for ExclusiveLock {
    fn drop(&mut self) {
        self.guard.abort();
    }
}

pub(crate) async fn lock_exclusively(options: &PostgresOptions) -> Result<ExclusiveLock, LockError> {
    let session = options.plain_session().map_err(LockError::Unavailable)?;
    let connect = async {
        let mut connection = PgConnection::connect_with(&session).await?;
        let locked = sqlx::query_file!("sql/lock_exclusively.sql").fetch_one(&mut connection).await?.locked;
        Ok((connection, locked))
    };
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, connect).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let (connection, locked) = answer.map_err(LockError::Unavailable)?;
    if !locked {
        return Err(LockError::Held);
    }
    let (tell, lost) = watch::channel(false);
    let guard = tokio::spawn(async move {
        hold(connection).await;
        tracing::error!("the exclusive lock on the ledger is lost: its connection is gone");
        tell.send_replace(true);
    });
    Ok(ExclusiveLock { lost, guard })
}

/// Returns when the session no longer answers.
async fn hold(mut connection: PgConnection) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, connection.ping()).await;
        if !matches!(answer, Ok(Ok(()))) {
            return;
        }
    }
}
