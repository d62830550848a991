//! The one connection that writes, and what it knows by heart.
//!
//! One write transaction at a time, in the order asked for: the decisions of a batch (is the key free, has the job ended)
//! are made in Rust, on what the same transaction read, and no other writer can come between.
//!
//! A transaction that was not committed takes its connection with it: after a full disk or a caller that went away in the
//! middle, nobody has to know in which state it was left. The next one opens a new connection and learns anew.

use super::{error::ledger_error, rows::hex};
use haul_core::{JobId, Kind, Queue, Tenant, ledger::Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::{Deref, DerefMut},
};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Minutes of ended stragglers that are remembered until they are counted.
const ENDED_MINUTES_MAX: usize = 10_000;

/// Gives out write transactions.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    idle: Mutex<Option<Open>>,
}

/// An open connection with what it knows. Exact, because nobody else writes.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) conn: SqliteConnection,
    /// The known kinds of the known queues.
    pub(super) kinds: HashMap<Tenant, HashMap<Queue, HashSet<Kind>>>,
    /// Below this id every unsettled job is a straggler.
    pub(super) closed_through: JobId,
    /// How far retention has come.
    pub(super) retention: Retention,
    /// Minutes of which stragglers have ended since minutes were last closed.
    pub(super) ended_minutes: BTreeSet<i64>,
}

/// How far retention has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// No new job before this id is accepted any more.
    pub(super) closed_before: JobId,
    /// Where deleting goes on.
    pub(super) deleted_before: JobId,
    /// Where erasing goes on.
    pub(super) erased_before: JobId,
}

/// A write transaction. Dropped, it is rolled back.
pub(super) struct Tx<'a> {
    idle: MutexGuard<'a, Option<Open>>,
    open: Open,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        Self { options, idle: Mutex::new(None) }
    }

    /// Begins a write transaction, after those that were asked for before.
    pub(super) async fn begin(&self) -> Result<Tx<'_>> {
        let mut idle = self.idle.lock().await;
        let open = match idle.take() {
            Some(mut open) => {
                execute(&mut open.conn, "BEGIN IMMEDIATE").await?;
                open
            }
            None => {
                let mut conn = self.options.connect().await.map_err(ledger_error)?;
                // What it learns is read within its first transaction: one that was left behind may still be committing.
                execute(&mut conn, "BEGIN IMMEDIATE").await?;
                Open::learn(conn).await?
            }
        };
        Ok(Tx { idle, open })
    }

    /// Closes the connection, after the transactions that were asked for before.
    pub(super) async fn close(&self) -> Result<()> {
        match self.idle.lock().await.take() {
            Some(open) => open.conn.close().await.map_err(ledger_error),
            None => Ok(()),
        }
    }
}

impl Open {
    async fn learn(mut conn: SqliteConnection) -> Result<Self> {
        let name = |error| super::error::corrupt(error);
        let mut kinds: HashMap<Tenant, HashMap<Queue, HashSet<Kind>>> = HashMap::new();
        for row in sqlx::query_file!("sql/kinds.sql").fetch_all(&mut conn).await.map_err(ledger_error)? {
            let tenant = Tenant::new(row.tenant).map_err(name)?;
            let queue = Queue::new(row.queue).map_err(name)?;
            let kind = Kind::new(row.kind).map_err(name)?;
            kinds.entry(tenant).or_default().entry(queue).or_default().insert(kind);
        }
        let closing = sqlx::query_file!("sql/closed_through.sql").fetch_one(&mut conn).await.map_err(ledger_error)?;
        let row = sqlx::query_file!("sql/retention.sql").fetch_one(&mut conn).await.map_err(ledger_error)?;
        let retention = Retention {
            closed_before: JobId(row.closed_before),
            deleted_before: JobId(row.deleted_before),
            erased_before: JobId(row.erased_before),
        };
        let closed_through = JobId(closing.closed_through);
        Ok(Self { conn, kinds, closed_through, retention, ended_minutes: BTreeSet::new() })
    }
}

impl Tx<'_> {
    /// Commits, durably.
    pub(super) async fn commit(self) -> Result<()> {
        self.end("COMMIT").await
    }

    /// Rolls back, for a transaction that has changed nothing, in the database or in what is known.
    pub(super) async fn leave(self) -> Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<()> {
        execute(&mut self.open.conn, statement).await?;
        *self.idle = Some(self.open);
        Ok(())
    }

    /// To be told of jobs that have ended: those in closed history are stragglers no longer.
    pub(super) async fn settled(&mut self, ids: impl Iterator<Item = &JobId>) -> Result<()> {
        let closed_through = self.closed_through;
        let closed: Vec<&JobId> = ids.filter(|id| **id < closed_through).collect();
        if closed.is_empty() {
            return Ok(());
        }
        let ids = hex(closed);
        let ended = sqlx::query_file!("sql/stragglers_end.sql", ids).fetch_all(&mut self.conn).await;
        for row in ended.map_err(ledger_error)? {
            if self.ended_minutes.len() < ENDED_MINUTES_MAX {
                self.ended_minutes.insert(JobId(row.id).created_at().minute());
            }
        }
        Ok(())
    }
}

impl Deref for Tx<'_> {
    type Target = Open;
    fn deref(&self) -> &Open {
        &self.open
    }
}
impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Open {
        &mut self.open
    }
}

async fn execute(conn: &mut SqliteConnection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(conn).await.map_err(ledger_error)?;
    Ok(())
}
