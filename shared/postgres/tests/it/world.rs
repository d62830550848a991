//! What every test begins with: a migrated database of its own on this test process's server.

use async_trait::async_trait;
use haul_conformance::{
    books::{BooksHarness, BooksWorld},
    endpoints::{EndpointsHarness, EndpointsWorld},
    fleet::{FleetHarness, FleetWorld},
    ledger::{LedgerHarness, LedgerWorld},
    maintenance::{MaintenanceHarness, MaintenanceWorld},
    schedules::{SchedulesHarness, SchedulesWorld},
    statistics::{StatisticsHarness, StatisticsWorld},
};
use haul_core::{
    Books, Endpoints, Fleet, Job, JobId, JobOptions, Kind, Ledger, Maintenance, Priority, ProcessId, Queue, Schedules,
    Statistics, Tenant,
    ledger::{Entry, NewJob, Record},
};
use haul_postgres::{PostgresLedger, PostgresOptions, migrate};
use haul_testkit::postgres;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;

/// Makes ledgers for the suite.
pub(crate) struct PostgresHarness;

#[async_trait]
impl LedgerHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn LedgerWorld> {
        Arc::new(World::new().await)
    }
}

/// A migrated database and two processes' ledgers over it.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) ledger: Arc<PostgresLedger>,
    second: Arc<PostgresLedger>,
    handles: AtomicU64,
}

#[async_trait]
impl SchedulesHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn SchedulesWorld> {
        Arc::new(World::new().await)
    }
}

#[async_trait]
impl StatisticsHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn StatisticsWorld> {
        let world = World::new().await;
        world.sql("SELECT haul.prepare_day(current_date - ago) FROM generate_series(1, 11) AS ago").await;
        Arc::new(world)
    }
}

#[async_trait]
impl FleetHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn FleetWorld> {
        Arc::new(World::new().await)
    }
}

impl FleetWorld for World {
    fn fleet(&self) -> Arc<dyn Fleet> {
        self.handle()
    }
}

impl StatisticsWorld for World {
    fn statistics(&self) -> Arc<dyn Statistics> {
        self.handle()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.handle()
    }
}

#[async_trait]
impl BooksHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn BooksWorld> {
        Arc::new(World::new().await)
    }
}

impl BooksWorld for World {
    fn books(&self) -> Arc<dyn Books> {
        self.handle()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.handle()
    }
}

#[async_trait]
impl EndpointsHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn EndpointsWorld> {
        Arc::new(World::new().await)
    }
}

#[async_trait]
impl MaintenanceHarness for PostgresHarness {
    async fn fresh(&self) -> Arc<dyn MaintenanceWorld> {
        Arc::new(World::new().await)
    }
}

impl EndpointsWorld for World {
    fn endpoints(&self) -> Arc<dyn Endpoints> {
        self.handle()
    }
}

impl MaintenanceWorld for World {
    fn maintenance(&self) -> Arc<dyn Maintenance> {
        self.handle()
    }
}

impl SchedulesWorld for World {
    fn schedules(&self) -> Arc<dyn Schedules> {
        self.handle()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.handle()
    }
}

#[async_trait]
impl LedgerWorld for World {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.handle()
    }

    async fn age(&self, by: Duration) {
        let by = format!("interval '{} milliseconds'", by.as_millis());
        self.sql(&format!(
            "UPDATE haul.receipt SET created_at = created_at - {by}, taken_at = taken_at - {by};
             UPDATE haul.process SET alive_at = alive_at - {by};
             UPDATE haul.idempotency SET expires_at = expires_at - {by}"
        ))
        .await;
    }
}

impl World {
    /// An empty ledger.
    pub(crate) async fn new() -> Self {
        let url = migrated_database().await;
        let ledger = connect(&url).await;
        let second = connect(&url).await;
        Self { url, ledger, second, handles: AtomicU64::new(0) }
    }

    /// One of the two processes' ledgers, in turn.
    fn handle(&self) -> Arc<PostgresLedger> {
        let is_even = self.handles.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        if is_even { self.ledger.clone() } else { self.second.clone() }
    }

    /// Runs statements.
    pub(crate) async fn sql(&self, sql: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the statements run");
    }

    /// The number that a statement gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let statement = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        statement.fetch_one(&mut self.connection().await).await.expect("a number comes back")
    }

    /// Waits until a statement gives a number above zero.
    pub(crate) async fn wait_for(&self, sql: &str) {
        for _ in 0..1_000 {
            if self.number(sql).await > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come true: {sql}");
    }

    /// A session of its own.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the server takes a connection")
    }

    /// A job that is accepted at this moment.
    pub(crate) async fn accepted(&self) -> Job {
        let job = job(now_id());
        self.accept(std::slice::from_ref(&job)).await;
        job
    }

    /// Accepts jobs as one batch.
    pub(crate) async fn accept(&self, jobs: &[Job]) {
        let new: Vec<NewJob> = jobs.iter().map(|job| NewJob { job: job.clone(), idempotency: None }).collect();
        self.ledger.accept(&new, ProcessId::NOBODY, &[]).await.expect("the jobs are accepted");
    }

    /// All unsettled jobs.
    pub(crate) async fn unsettled(&self) -> Vec<JobId> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = self.ledger.unsettled(after, None, 1_000).await.expect("unsettled jobs are read");
            ids.extend(page.jobs.iter().map(|job| job.id));
            let Some(next) = page.next else { return ids };
            after = Some(next);
        }
    }
}

/// An empty database.
pub(crate) async fn database() -> String {
    tokio::task::spawn_blocking(|| postgres::shared().database()).await.expect("a database is made")
}

/// A migrated database: a copy of one that is migrated once.
async fn migrated_database() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let template = TEMPLATE.get_or_init(async || {
        let url = database().await;
        migrate(&secret(&url)).await.expect("the schema is made");
        url.rsplit('/').next().expect("a URL ends in the database's name").to_owned()
    });
    let template = template.await.clone();
    let copy = format!("copy_{}", COPIES.fetch_add(1, Ordering::Relaxed));
    let create = tokio::task::spawn_blocking(move || {
        let server = postgres::shared();
        server.psql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {template}")).map(|_| server.url(&copy))
    });
    create.await.expect("no panic").expect("a database is copied")
}

pub(crate) fn secret(url: &str) -> SecretString {
    SecretString::from(url.to_owned())
}

/// A ledger over a migrated database.
pub(crate) async fn connect(url: &str) -> Arc<PostgresLedger> {
    let options = PostgresOptions { connections_max: 8, ..PostgresOptions::new(secret(url)) };
    Arc::new(PostgresLedger::connect(options).await.expect("the ledger is fit for use"))
}

/// A new id of this moment.
pub(crate) fn now_id() -> JobId {
    JobId(uuid::Uuid::now_v7())
}

/// A new id of a moment ago.
pub(crate) fn id_ago(ago: Duration) -> JobId {
    let ms = now_id().created_at().minus(ago).as_ms().unsigned_abs();
    let random = uuid::Uuid::new_v4();
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&random.as_bytes()[..10]);
    JobId(uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid())
}

pub(crate) fn job(id: JobId) -> Job {
    Job {
        id,
        tenant: Tenant::default(),
        queue: Queue::default(),
        kind: Kind::new("work").expect("a kind"),
        priority: Priority::default(),
        run_at: id.created_at(),
        payload: "{}".into(),
        options: JobOptions::shared_default(),
    }
}

pub(crate) fn success(job: &Job) -> Record {
    Record {
        job: job.id,
        tenant: job.tenant.clone(),
        attempt: 1,
        at: job.id.created_at(),
        entry: Entry::Succeeded(None),
        follow_ups: Vec::new(),
    }
}
