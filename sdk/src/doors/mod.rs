//! Doors: the stores as an API sees them, before and after they are reached.
//!
//! Behind a closed door everything is answered as by a store that is down, by the same code: submits are 503, probes say
//! not ready, and all of it goes on by itself when the door opens. So an API serves from its first moment on, and a
//! dispatch in memory can be taken away while the lock on its ledger is lost.

mod books;
mod dispatch;
mod endpoints;
mod fleet;
mod ledger;
mod pace;
mod schedules;
mod statistics;

use books::BooksDoor;
pub(crate) use dispatch::DispatchDoor;
use endpoints::EndpointsDoor;
use fleet::FleetDoor;
use haul_core::{Books, Clock, Dispatch, Endpoints, Fleet, IdMint, Ledger, Pace, Schedules, Statistics};
use ledger::LedgerDoor;
use pace::PaceDoor;
use schedules::SchedulesDoor;
use statistics::StatisticsDoor;
use std::sync::Arc;

use crate::stores::Stores;

/// What is known of a process's stores before they are reached, and leads to them afterwards.
pub struct Doors {
    mint: Arc<IdMint>,
    ledger: Arc<LedgerDoor>,
    schedules: Arc<SchedulesDoor>,
    endpoints: Arc<EndpointsDoor>,
    statistics: Arc<StatisticsDoor>,
    dispatch: Arc<DispatchDoor>,
    pace: Arc<PaceDoor>,
    books: Arc<BooksDoor>,
    fleet: Arc<FleetDoor>,
}

/// Behind a closed door.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Closed(&'static str);

impl Default for Doors {
    fn default() -> Self {
        Self {
            mint: Arc::new(IdMint::new(Arc::new(Clock::new()))),
            ledger: Arc::new(LedgerDoor::default()),
            schedules: Arc::default(),
            endpoints: Arc::default(),
            statistics: Arc::default(),
            dispatch: Arc::new(DispatchDoor::new("it was not reached yet")),
            pace: Arc::default(),
            books: Arc::default(),
            fleet: Arc::default(),
        }
    }
}

impl Doors {
    /// Makes the process's ids. On the ledger's clock from the moment on when the ledger is reached.
    pub fn mint(&self) -> &Arc<IdMint> {
        &self.mint
    }
    /// The clock of the ids, which upkeep sets by the ledger's.
    pub fn clock(&self) -> &Arc<Clock> {
        self.mint.clock()
    }
    /// The ledger; unavailable until it is reached.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }
    /// The schedules; unavailable until the ledger is reached.
    pub fn schedules(&self) -> Arc<dyn Schedules> {
        self.schedules.clone()
    }
    /// The endpoints; unavailable until the ledger is reached.
    pub fn endpoints(&self) -> Arc<dyn Endpoints> {
        self.endpoints.clone()
    }
    /// The statistics; unavailable until the ledger is reached.
    pub fn statistics(&self) -> Arc<dyn Statistics> {
        self.statistics.clone()
    }
    /// The dispatch; unavailable until it is reached.
    pub fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.dispatch.clone()
    }
    /// The store of pace; unavailable until it is reached.
    pub fn pace(&self) -> Arc<dyn Pace> {
        self.pace.clone()
    }
    /// The books; unavailable until they are reached.
    pub fn books(&self) -> Arc<dyn Books> {
        self.books.clone()
    }

    /// The fleet; unavailable until the ledger is reached.
    pub fn fleet(&self) -> Arc<dyn Fleet> {
        self.fleet.clone()
    }

    /// The stores are reached.
    pub(crate) fn open(&self, stores: &Stores) {
        self.fleet.open(stores.fleet.clone());
        self.dispatch.open(stores.dispatch.clone());
        self.pace.open(stores.pace.clone());
        self.schedules.open(stores.schedules.clone());
        self.endpoints.open(stores.endpoints.clone());
        self.statistics.open(stores.statistics.clone());
        self.books.open(stores.books.clone());
        self.ledger.open(stores.ledger.clone());
    }
}
