//! What every adapter promises.

use async_trait::async_trait;
use haul_conformance::{
    books::{BooksHarness, BooksWorld},
    dispatch::{DispatchHarness, DispatchWorld},
    endpoints::{EndpointsHarness, EndpointsWorld},
    fleet::{FleetHarness, FleetWorld},
    ledger::{LedgerHarness, LedgerWorld},
    maintenance::{MaintenanceHarness, MaintenanceWorld},
    schedules::{SchedulesHarness, SchedulesWorld},
    statistics::{StatisticsHarness, StatisticsWorld},
};
use haul_core::{Books, Clock, Dispatch, Endpoints, Fleet, Ledger, Maintenance, Schedules, Statistics};
use haul_embedded::{MemoryDispatch, SqliteLedger};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

struct Sqlite;

struct SqliteWorld {
    ledger: Arc<SqliteLedger>,
    directory: TempDir,
}

impl SqliteWorld {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Arc::new(SqliteLedger::open(directory.path()).await.unwrap());
        Self { ledger, directory }
    }
}

#[async_trait]
impl LedgerHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn LedgerWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

#[async_trait]
impl SchedulesHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn SchedulesWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

#[async_trait]
impl StatisticsHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn StatisticsWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

#[async_trait]
impl BooksHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn BooksWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

#[async_trait]
impl FleetHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn FleetWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

impl FleetWorld for SqliteWorld {
    fn fleet(&self) -> Arc<dyn Fleet> {
        self.ledger.clone()
    }
}

impl StatisticsWorld for SqliteWorld {
    fn statistics(&self) -> Arc<dyn Statistics> {
        self.ledger.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }
}

impl BooksWorld for SqliteWorld {
    fn books(&self) -> Arc<dyn Books> {
        self.ledger.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }
}

#[async_trait]
impl EndpointsHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn EndpointsWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

#[async_trait]
impl MaintenanceHarness for Sqlite {
    async fn fresh(&self) -> Arc<dyn MaintenanceWorld> {
        Arc::new(SqliteWorld::new().await)
    }
}

impl EndpointsWorld for SqliteWorld {
    fn endpoints(&self) -> Arc<dyn Endpoints> {
        self.ledger.clone()
    }
}

impl MaintenanceWorld for SqliteWorld {
    fn maintenance(&self) -> Arc<dyn Maintenance> {
        self.ledger.clone()
    }
}

impl SchedulesWorld for SqliteWorld {
    fn schedules(&self) -> Arc<dyn Schedules> {
        self.ledger.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }
}

#[async_trait]
impl LedgerWorld for SqliteWorld {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    async fn age(&self, by: Duration) {
        let options = SqliteConnectOptions::new().filename(self.directory.path().join("haul.db"));
        let mut behind_its_back = SqliteConnection::connect_with(&options).await.unwrap();
        let by = i64::try_from(by.as_millis()).unwrap();
        for statement in [
            "UPDATE receipt SET created_at = created_at - ?1, taken_at = taken_at - ?1",
            "UPDATE process SET alive_at = alive_at - ?1",
            "UPDATE idempotency SET expires_at = expires_at - ?1",
        ] {
            sqlx::query(statement).bind(by).execute(&mut behind_its_back).await.unwrap();
        }
    }
}

struct Memory;

struct MemoryWorld(Arc<MemoryDispatch>);

#[async_trait]
impl DispatchHarness for Memory {
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        Arc::new(MemoryWorld(Arc::new(MemoryDispatch::new(Arc::new(Clock::new())))))
    }
}

#[async_trait]
impl DispatchWorld for MemoryWorld {
    fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.0.clone()
    }

    async fn lose(&self) {
        self.0.lose();
    }
}

mod ledger {
    use super::Sqlite;
    haul_conformance::ledger_tests!(Sqlite);
}

mod schedules {
    use super::Sqlite;
    haul_conformance::schedules_tests!(Sqlite);
}

mod fleet {
    use super::Sqlite;
    haul_conformance::fleet_tests!(Sqlite);
}

mod statistics {
    use super::Sqlite;
    haul_conformance::statistics_tests!(Sqlite);
}

mod books {
    use super::Sqlite;
    haul_conformance::books_tests!(Sqlite);
}

mod endpoints {
    use super::Sqlite;
    haul_conformance::endpoints_tests!(Sqlite);
}

mod maintenance {
    use super::Sqlite;
    haul_conformance::maintenance_tests!(Sqlite);
}

mod dispatch {
    use super::Memory;
    haul_conformance::dispatch_tests!(Memory);
}
