//! The ledger and the dispatch of a process, opened by its plan.
//!
//! A store that is not there yet is waited for. A dispatch in memory comes with the exclusive right to its ledger: a
//! lock on the data directory, or on the Postgres database. The latter can be lost with its connection; then nothing is
//! claimed until it is regained, and then the dispatch is rebuilt from the ledger.

use crate::{
    chain::chain,
    connect::{CONNECT_MAX, MayPass, Target, until_reached},
    doors::DispatchDoor,
    metered::{MeteredDispatch, MeteredLedger},
    plan::Plan,
    upkeep::{DutyError, sync_clock},
};
use haul_core::{
    Books, Clock, Dispatch, Endpoints, Fleet, Ledger, Maintenance, Pace, Readiness, Schedules, Statistics,
    dispatch::DispatchError, ledger::PoolUse, pace::FallbackPace,
};
use haul_embedded::{MemoryDispatch, MemoryPace, SqliteLedger};
use haul_postgres::{ConnectError, ExclusiveLock, LockError, MigrateError, PostgresLedger, PostgresOptions};
use haul_redis::{RedisDispatch, Timeouts};
use secrecy::SecretString;
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// How long the lock of a process that has just ended may linger.
const LOCK_LINGERS_MAX: Duration = Duration::from_secs(5);
/// Beside the database: the jobs that are leased.
const RUNNING_FILE: &str = "haul.running";
const LOCK_PAUSE: Duration = Duration::from_millis(250);
const LOCK_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest that migrating may take; another process's migration is waited for.
const MIGRATE_MAX: Duration = Duration::from_secs(15 * 60);

/// Why the stores cannot be used. Waiting would not mend it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory is in use, or unusable.
    #[error(transparent)]
    Sqlite(#[from] haul_embedded::OpenError),
    /// Postgres refuses us, or its schema is not ours.
    #[error("the ledger in Postgres cannot be used")]
    Postgres(#[from] ConnectError),
    /// The schema cannot be brought up to this version.
    #[error("the ledger in Postgres cannot be migrated")]
    Migrate(#[from] MigrateError),
    /// Another process has its dispatch in memory on this ledger.
    #[error("a dispatch in memory needs this database for itself")]
    Lock(#[source] LockError),
    /// The ledger's clock cannot be read.
    #[error("the ledger's clock cannot be read")]
    Clock(#[from] DutyError),
    /// A suspect's process needs a connection for its transaction.
    #[error("no connection to the ledger within {} s", CONNECT_MAX.as_secs())]
    Connect,
    /// The ledger in SQLite has no transactions for handlers.
    #[error("this ledger has no transactions for handlers")]
    NoTransactions,
    /// Redis refuses us.
    #[error("the dispatch in Redis cannot be used")]
    Redis(#[source] DispatchError),
}

/// The ledger and the dispatch, and the ledger's clock.
#[derive(Clone)]
pub struct Stores {
    /// The truth.
    pub ledger: Arc<dyn Ledger>,
    /// The schedules beside it.
    pub schedules: Arc<dyn Schedules>,
    /// The endpoints of webhooks beside it.
    pub endpoints: Arc<dyn Endpoints>,
    /// What is counted of the jobs by the hour.
    pub statistics: Arc<dyn Statistics>,
    /// What keeps it from growing for ever.
    pub maintenance: Arc<dyn Maintenance>,
    /// The payments beside it.
    pub books: Arc<dyn Books>,
    /// Which processes are alive.
    pub fleet: Arc<dyn Fleet>,
    /// The hint.
    pub dispatch: Arc<dyn Dispatch>,
    /// How fast third parties are called.
    pub pace: Arc<dyn Pace>,
    /// Set by the ledger's.
    pub clock: Arc<Clock>,
    /// How many connections this process has to the ledger.
    pub pools: Arc<dyn Fn() -> Vec<PoolUse> + Send + Sync>,
}

/// Keeps the exclusive right; runs beside the roles.
pub(crate) type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Stores {
    /// The same, with round trips measured.
    pub(crate) fn measured(self) -> Self {
        let ledger = Arc::new(MeteredLedger::new(self.ledger));
        let dispatch = Arc::new(MeteredDispatch::new(self.dispatch));
        Self { ledger, dispatch, ..self }
    }

    /// All ports of one ledger.
    fn over<L: Ledger + Schedules + Endpoints + Maintenance + Statistics + Books + Fleet>(
        ledger: Arc<L>,
        pools: fn(&L) -> Vec<PoolUse>,
        dispatch: Arc<dyn Dispatch>,
        pace: Arc<dyn Pace>,
        clock: Arc<Clock>,
    ) -> Self {
        Self {
            schedules: ledger.clone(),
            endpoints: ledger.clone(),
            statistics: ledger.clone(),
            maintenance: ledger.clone(),
            books: ledger.clone(),
            fleet: ledger.clone(),
            pools: Arc::new({
                let ledger = ledger.clone();
                move || pools(&ledger)
            }),
            ledger,
            dispatch,
            pace,
            clock,
        }
    }

    /// Opens both, waiting for those that are not there yet.
    pub(crate) async fn open(
        plan: &Plan,
        clock: Arc<Clock>,
        readiness: &Readiness,
    ) -> Result<(Self, Option<Watch>), OpenError> {
        match plan {
            Plan::Embedded(directory) => {
                let ledger = Arc::new(SqliteLedger::open(directory).await?);
                let running = directory.join(RUNNING_FILE);
                let dispatch = Arc::new(MemoryDispatch::with_running_file(clock.clone(), running));
                let pace = Arc::new(MemoryPace::default());
                Ok((Self::over(ledger, SqliteLedger::pools, dispatch, pace, clock), None))
            }
            Plan::PostgresAlone(database) => {
                let ledger = postgres(database, true, &clock, readiness).await?;
                let lock = first_lock(&ledger, readiness).await?;
                let door = Arc::new(DispatchDoor::new("the lock on its ledger is not held"));
                door.open(Arc::new(MemoryDispatch::new(clock.clone())));
                let watch = watch(lock, ledger.clone(), door.clone(), clock.clone(), readiness.clone());
                let pace = Arc::new(MemoryPace::default());
                Ok((Self::over(ledger, PostgresLedger::pools, door, pace, clock), Some(Box::pin(watch))))
            }
            Plan::Production { database, redis, migrate } => {
                let ledger = postgres(database, *migrate, &clock, readiness).await?;
                let target = Target { store: "Redis", check: "dispatch", readiness };
                let connect = || RedisDispatch::connect(redis, Timeouts::default());
                let dispatch = until_reached(target, CONNECT_MAX, connect).await.map_err(OpenError::Redis)?;
                let pace = FallbackPace::new(Arc::new(dispatch.pace()), Arc::new(MemoryPace::default()));
                Ok((Self::over(ledger, PostgresLedger::pools, Arc::new(dispatch), Arc::new(pace), clock), None))
            }
        }
    }
}

/// Connects to the ledger in Postgres and sets the clock by its.
async fn postgres(
    url: &SecretString,
    migrate: bool,
    clock: &Clock,
    readiness: &Readiness,
) -> Result<Arc<PostgresLedger>, OpenError> {
    let target = Target { store: "Postgres", check: "ledger", readiness };
    if migrate {
        until_reached(target, MIGRATE_MAX, || haul_postgres::migrate(url)).await?;
    }
    let connect = || PostgresLedger::connect(PostgresOptions::new(url.clone()));
    let ledger = until_reached(target, CONNECT_MAX, connect).await?;
    // Ids must be made on the ledger's clock from the first one on.
    until_reached(target, CONNECT_MAX, || sync_clock(&ledger, clock)).await?;
    Ok(Arc::new(ledger))
}

/// The ledger of a process that runs suspects: one connection, for one transaction at a time.
pub(crate) async fn connect_for_transactions(url: &SecretString) -> Result<Arc<dyn Ledger>, OpenError> {
    let options = PostgresOptions { connections_max: 1, transactions_max: 1, ..PostgresOptions::new(url.clone()) };
    match timeout(CONNECT_MAX, PostgresLedger::connect(options)).await {
        Ok(ledger) => Ok(Arc::new(ledger?)),
        Err(_) => Err(OpenError::Connect),
    }
}

/// Takes the lock, with a little patience for a process that has just been killed and whose session still ends.
async fn first_lock(ledger: &PostgresLedger, readiness: &Readiness) -> Result<ExclusiveLock, OpenError> {
    let target = Target { store: "the exclusive lock on the database", check: "lock", readiness };
    let give_up_at = Instant::now() + LOCK_LINGERS_MAX;
    loop {
        match until_reached(target, CONNECT_MAX, || ledger.lock_exclusively()).await {
            Ok(lock) => return Ok(lock),
            Err(_) if Instant::now() < give_up_at => sleep(LOCK_PAUSE).await,
            Err(error) => return Err(OpenError::Lock(error)),
        }
    }
}

/// Takes the dispatch away when the lock is lost, and brings a new one when it is regained.
async fn watch(
    mut lock: ExclusiveLock,
    ledger: Arc<PostgresLedger>,
    door: Arc<DispatchDoor>,
    clock: Arc<Clock>,
    readiness: Readiness,
) {
    loop {
        lock.lost().await;
        door.close("the lock on its ledger is lost");
        readiness.set_unready("lock", "another process may work on this database");
        tracing::warn!("the exclusive lock on the database is lost: nothing is claimed until it is regained");
        let mut pause = LOCK_PAUSE;
        lock = loop {
            match ledger.lock_exclusively().await {
                Ok(lock) => break lock,
                Err(error) => tracing::warn!("the lock is not regained yet: {}", chain(&error)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOCK_PAUSE_MAX);
        };
        door.open(Arc::new(MemoryDispatch::new(clock.clone())));
        readiness.set_ready("lock");
        tracing::info!("the exclusive lock on the database is regained");
    }
}

impl MayPass for ConnectError {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }
}

impl MayPass for MigrateError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl MayPass for LockError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl MayPass for DutyError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Ledger(error) => error.may_pass(),
            Self::TimedOut(_) => true,
        }
    }
}
