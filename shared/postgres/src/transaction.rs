//! Transactional handlers: what they write and how the attempt ended commit together, or not at all.
//!
//! Their connections are a pool of their own, opened at first use, so that handlers that keep transactions open take
//! nothing away from the ledger. The outcome is the last statement; if the job has one already, everything is rolled
//! back.

use crate::{
    ledger::Shared,
    pool::{Connections, in_time},
    record::record_within,
};
use async_trait::async_trait;
use haul_core::{
    ProcessId,
    ledger::{BatchRecorded, JobTransaction, Record, Recorded, Result, Transactions},
};
use sqlx::{PgConnection, Postgres};
use std::{
    any::Any,
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

/// The transaction of one attempt, for its handler: a [`PgConnection`] to run statements on.
///
/// It has begun, and the worker commits it with the outcome; dropped before that, it is rolled back. A handler may open
/// savepoints (`begin`), and must not end the transaction itself. What it `SET`s, it sets with `SET LOCAL`: the
/// connection is used again.
pub struct Transaction {
    transaction: sqlx::Transaction<'static, Postgres>,
    patience: Duration,
    shared: Arc<Shared>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl Deref for Transaction {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

/// Opens transactions.
pub(crate) struct OwnPool {
    pub(crate) connections: Connections,
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Transactions for OwnPool {
    async fn begin(&self, idle_max: Duration) -> Result<Box<dyn JobTransaction>> {
        let patience = self.connections.patience();
        let idle_max_ms = idle_max.as_millis().max(1).to_string();
        let begin = async {
            let mut transaction = self.connections.begin().await?;
            sqlx::query_file!("sql/limit_idleness.sql", idle_max_ms).fetch_one(&mut *transaction).await?;
            Ok(transaction)
        };
        let transaction = in_time(patience, begin).await?;
        Ok(Box::new(Transaction { transaction, patience, shared: self.shared.clone() }))
    }
}

#[async_trait]
impl JobTransaction for Transaction {
    fn as_any_mut(&mut self) -> &mut (dyn Any + Send) {
        self
    }

    async fn commit(self: Box<Self>, record: &Record, owner: ProcessId) -> Result<BatchRecorded> {
        let Self { mut transaction, patience, shared } = *self;
        let (recorded, registered) = record_within(&mut transaction, &shared, patience, record, owner).await?;
        if recorded.records.contains(&Recorded::Stale) {
            in_time(patience, transaction.rollback()).await?;
        } else {
            in_time(patience, transaction.commit()).await?;
            registered.into_iter().for_each(|registered| shared.queues.remember(registered));
        }
        Ok(recorded)
    }
}
