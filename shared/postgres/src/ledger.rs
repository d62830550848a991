//! The ledger itself: connections, what is known of queues, and the way to each method's module.

use crate::{
    accept, cancel,
    caution::Caution,
    closing,
    connect::{self, ConnectError},
    events, fleet, list, load,
    lock::{self, ExclusiveLock, LockError},
    options::PostgresOptions,
    partitions,
    pool::{Connections, ask},
    queues::{self, Queues},
    receipts, record, retention,
    transaction::OwnPool,
    unsettled,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use haul_core::{
    FinalState, Fleet, JobId, Ledger, Maintenance, ProcessId, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    fleet::{Member, Receipts, Report},
    ledger::{
        BatchAccepted, BatchRecorded, Cancelled, Filter, Loaded, NewJob, Page, PoolUse, ProcessInfo, QueueInfo,
        Receipt, ReceiptId, Record, Result, Transactions, UnsettledPage,
    },
    maintenance::{Progress, Retained, Retention},
    outcome::JobRecord,
};
use sqlx::postgres::PgConnectOptions;
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// The ledger in PostgreSQL.
pub struct PostgresLedger {
    shared: Arc<Shared>,
    options: PostgresOptions,
    plain_session: PgConnectOptions,
    user_session: PgConnectOptions,
    transactions: OnceLock<Arc<OwnPool>>,
}

/// What the ledger and its transactions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connections: Connections,
    pub(crate) queues: Queues,
    /// About jobs that are there already.
    pub(crate) sent_again: Caution,
    /// About outcomes that are there already.
    pub(crate) stale: Caution,
}

impl Shared {
    fn new(connections: Connections) -> Self {
        Self { connections, queues: Queues::default(), sent_again: Caution::default(), stale: Caution::default() }
    }
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLedger").field("options", &self.options).finish_non_exhaustive()
    }
}

impl PostgresLedger {
    /// Checks that the server is fit to be a ledger and that the schema is up to date, and returns the ledger.
    ///
    /// Its connections are opened when they are needed.
    pub async fn connect(options: PostgresOptions) -> std::result::Result<Self, ConnectError> {
        connect::check(&options).await?;
        let session = options.session().map_err(ConnectError::Refused)?;
        let connections =
            Connections::new(session, options.connections_max, options.acquire_timeout, options.patience());
        Ok(Self {
            shared: Arc::new(Shared::new(connections)),
            plain_session: options.plain_session().map_err(ConnectError::Refused)?,
            user_session: options.user_session().map_err(ConnectError::Refused)?,
            options,
            transactions: OnceLock::new(),
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes the lock of the one process that may keep a memory dispatch over this ledger. On a connection of its own.
    pub async fn lock_exclusively(&self) -> std::result::Result<ExclusiveLock, LockError> {
        lock::lock_exclusively(&self.options).await
    }

    /// Closes the connections that lie idle and waits for those that are lent; lends no more.
    pub async fn close(&self) {
        self.shared.connections.close().await;
        if let Some(transactions) = self.transactions.get() {
            transactions.connections.close().await;
        }
    }
}

impl PostgresLedger {
    /// How many connections are in use.
    pub fn pools(&self) -> Vec<PoolUse> {
        let transactions = self.transactions.get().map(|pool| pool.connections.in_use("transactions"));
        [self.shared.connections.in_use("statements")].into_iter().chain(transactions).collect()
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn now(&self) -> Result<Timestamp> {
        let row = ask!(self.shared.connections, c => sqlx::query_file!("sql/now.sql").fetch_one(c))?;
        Ok(row.now.into())
    }

    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        accept::accept(&self.shared, jobs, owner, done).await
    }

    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        receipts::drop_receipts(&self.shared.connections, receipts).await
    }

    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        receipts::release_receipts(&self.shared.connections, receipts).await
    }

    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        load::load(&self.shared.connections, ids).await
    }

    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        record::record(&self.shared, records, owner).await
    }

    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        cancel::cancel(&self.shared, tenant, ids, at).await
    }

    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        load::settled(&self.shared.connections, ids).await
    }

    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        list::job(&self.shared.connections, tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        list::list(&self.shared.connections, tenant, filter, before, limit).await
    }

    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        queues::queues(&self.shared.connections).await
    }

    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        queues::configure(&self.shared.connections, queue, change).await
    }

    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        receipts::heartbeat(&self.shared.connections, process).await
    }

    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        receipts::take_receipts(&self.shared.connections, taker, limit).await
    }

    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        unsettled::unsettled(&self.shared, after, last, limit).await
    }

    async fn reopen(&self, first: JobId, last: JobId) -> Result<()> {
        closing::reopen(&self.shared, first, last).await
    }

    async fn close_minutes(&self) -> Result<u64> {
        closing::close_minutes(&self.shared).await
    }

    async fn prepare_ahead(&self) -> Result<()> {
        partitions::prepare_ahead(&self.shared.connections).await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        events::events(self.plain_session.clone())
    }

    fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        let open = || {
            let (max, timeout) = (self.options.transactions_max, self.options.acquire_timeout);
            let connections = Connections::new(self.user_session.clone(), max, timeout, self.options.patience());
            Arc::new(OwnPool { connections, shared: self.shared.clone() })
        };
        let transactions: Arc<OwnPool> = self.transactions.get_or_init(open).clone();
        Some(transactions)
    }
}

#[async_trait]
impl Fleet for PostgresLedger {
    async fn report(&self, report: &Report) -> Result<()> {
        fleet::report(&self.shared.connections, report).await
    }

    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
        fleet::alive(&self.shared.connections, after, limit).await
    }

    async fn receipts(&self) -> Result<Receipts> {
        fleet::receipts(&self.shared.connections).await
    }
}

#[async_trait]
impl Maintenance for PostgresLedger {
    async fn retain(&self, retention: &Retention) -> Result<Retained> {
        let now = self.now().await?;
        retention::retain(&self.shared.connections, retention, now).await
    }

    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress> {
        retention::erase_payloads(&self.shared.connections, before).await
    }

    async fn expire_keys(&self, limit: usize) -> Result<Progress> {
        retention::expire_keys(&self.shared.connections, limit).await
    }

    async fn analyze(&self) -> Result<Progress> {
        retention::analyze(&self.shared.connections).await
    }
}
