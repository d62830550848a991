//! Harnesses over the reference, whole or behind a wrapper that breaks a promise.

use async_trait::async_trait;
use haul_conformance::{
    books::{BooksHarness, BooksWorld},
    dispatch::{DispatchHarness, DispatchWorld},
    endpoints::{EndpointsHarness, EndpointsWorld},
    fleet::{FleetHarness, FleetWorld},
    ledger::{LedgerHarness, LedgerWorld},
    maintenance::{MaintenanceHarness, MaintenanceWorld},
    reference::{ReferenceDispatch, ReferenceLedger},
    schedules::{SchedulesHarness, SchedulesWorld},
    statistics::{StatisticsHarness, StatisticsWorld},
};
use haul_core::{Books, Clock, Dispatch, Endpoints, Fleet, Ledger, Maintenance, Schedules, Statistics};
use std::{sync::Arc, time::Duration};

/// Makes ledgers: the reference, as the function wraps it.
pub(crate) struct Ledgers<W>(pub(crate) W);

struct LedgerOver {
    reference: Arc<ReferenceLedger>,
    ledger: Arc<dyn Ledger>,
}

#[async_trait]
impl<W> LedgerHarness for Ledgers<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Ledger> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn LedgerWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(LedgerOver { ledger: (self.0)(reference.clone()), reference })
    }
}

#[async_trait]
impl LedgerWorld for LedgerOver {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }
    async fn age(&self, by: Duration) {
        self.reference.age(by);
    }
}

/// Makes dispatches: the reference, as the function wraps it.
pub(crate) struct Dispatches<W>(pub(crate) W);

struct DispatchOver {
    reference: Arc<ReferenceDispatch>,
    dispatch: Arc<dyn Dispatch>,
}

#[async_trait]
impl<W> DispatchHarness for Dispatches<W>
where
    W: Fn(Arc<ReferenceDispatch>) -> Arc<dyn Dispatch> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        let reference = Arc::new(ReferenceDispatch::new(Arc::new(Clock::new())));
        Arc::new(DispatchOver { dispatch: (self.0)(reference.clone()), reference })
    }
}

#[async_trait]
impl DispatchWorld for DispatchOver {
    fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.dispatch.clone()
    }
    async fn lose(&self) {
        self.reference.lose();
    }
}

/// Makes ledgers with maintenance: the reference, its maintenance as the function wraps it.
pub(crate) struct Maintained<W>(pub(crate) W);

struct MaintenanceOver {
    reference: Arc<ReferenceLedger>,
    maintenance: Arc<dyn Maintenance>,
}

#[async_trait]
impl<W> MaintenanceHarness for Maintained<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Maintenance> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn MaintenanceWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(MaintenanceOver { maintenance: (self.0)(reference.clone()), reference })
    }
}

#[async_trait]
impl LedgerWorld for MaintenanceOver {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.reference.clone()
    }
    async fn age(&self, by: Duration) {
        self.reference.age(by);
    }
}

impl MaintenanceWorld for MaintenanceOver {
    fn maintenance(&self) -> Arc<dyn Maintenance> {
        self.maintenance.clone()
    }
}

/// Makes stores of schedules: the reference, as the function wraps it.
pub(crate) struct ScheduleStores<W>(pub(crate) W);

struct SchedulesOver {
    reference: Arc<ReferenceLedger>,
    schedules: Arc<dyn Schedules>,
}

#[async_trait]
impl<W> SchedulesHarness for ScheduleStores<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Schedules> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn SchedulesWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(SchedulesOver { schedules: (self.0)(reference.clone()), reference })
    }
}

impl SchedulesWorld for SchedulesOver {
    fn schedules(&self) -> Arc<dyn Schedules> {
        self.schedules.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.reference.clone()
    }
}

/// Makes stores of endpoints: the reference, as the function wraps it.
pub(crate) struct EndpointStores<W>(pub(crate) W);

struct EndpointsOver(Arc<dyn Endpoints>);

#[async_trait]
impl<W> EndpointsHarness for EndpointStores<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Endpoints> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn EndpointsWorld> {
        Arc::new(EndpointsOver((self.0)(Arc::new(ReferenceLedger::new(Arc::new(Clock::new()))))))
    }
}

impl EndpointsWorld for EndpointsOver {
    fn endpoints(&self) -> Arc<dyn Endpoints> {
        self.0.clone()
    }
}

/// Makes ledgers that count: the reference, as the function wraps it.
pub(crate) struct Counters<W>(pub(crate) W);

struct CounterOver {
    reference: Arc<ReferenceLedger>,
    statistics: Arc<dyn Statistics>,
}

#[async_trait]
impl<W> StatisticsHarness for Counters<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Statistics> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn StatisticsWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(CounterOver { statistics: (self.0)(reference.clone()), reference })
    }
}

impl StatisticsWorld for CounterOver {
    fn statistics(&self) -> Arc<dyn Statistics> {
        self.statistics.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.reference.clone()
    }
}

/// Makes ledgers that keep a fleet: the reference, as the function wraps it.
pub(crate) struct Fleets<W>(pub(crate) W);

struct FleetOver {
    reference: Arc<ReferenceLedger>,
    fleet: Arc<dyn Fleet>,
}

#[async_trait]
impl<W> FleetHarness for Fleets<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Fleet> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn FleetWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(FleetOver { fleet: (self.0)(reference.clone()), reference })
    }
}

#[async_trait]
impl LedgerWorld for FleetOver {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.reference.clone()
    }

    async fn age(&self, by: Duration) {
        self.reference.age(by);
    }
}

impl FleetWorld for FleetOver {
    fn fleet(&self) -> Arc<dyn Fleet> {
        self.fleet.clone()
    }
}

/// Makes stores of payments: the reference, as the function wraps it.
pub(crate) struct BookStores<W>(pub(crate) W);

struct BooksOver {
    reference: Arc<ReferenceLedger>,
    books: Arc<dyn Books>,
}

#[async_trait]
impl<W> BooksHarness for BookStores<W>
where
    W: Fn(Arc<ReferenceLedger>) -> Arc<dyn Books> + Send + Sync + 'static,
{
    async fn fresh(&self) -> Arc<dyn BooksWorld> {
        let reference = Arc::new(ReferenceLedger::new(Arc::new(Clock::new())));
        Arc::new(BooksOver { books: (self.0)(reference.clone()), reference })
    }
}

impl BooksWorld for BooksOver {
    fn books(&self) -> Arc<dyn Books> {
        self.books.clone()
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.reference.clone()
    }
}
