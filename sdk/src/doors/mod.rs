//! Doors: the stores as an API sees them, before and after they are reached.
//!
//! Behind a closed door everything is answered as by a store that is down, by the same code: submits are 503, probes say
//! not ready, and all of it goes on by itself when the door opens. So an API serves from its first moment on, and a
//! dispatch in memory can be taken away while the lock on its ledger is lost.

mod dispatch;
mod ledger;
mod schedules;

pub(crate) use dispatch::DispatchDoor;
use haul_core::{Clock, Dispatch, IdMint, Ledger, Schedules};
use ledger::LedgerDoor;
use schedules::SchedulesDoor;
use std::sync::Arc;

use crate::stores::Stores;

/// What is known of a process's stores before they are reached, and leads to them afterwards.
pub struct Doors {
    mint: Arc<IdMint>,
    ledger: Arc<LedgerDoor>,
    schedules: Arc<SchedulesDoor>,
    dispatch: Arc<DispatchDoor>,
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
            dispatch: Arc::new(DispatchDoor::new("it was not reached yet")),
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
    /// The dispatch; unavailable until it is reached.
    pub fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.dispatch.clone()
    }

    /// The stores are reached.
    pub(crate) fn open(&self, stores: &Stores) {
        self.dispatch.open(stores.dispatch.clone());
        self.schedules.open(stores.schedules.clone());
        self.ledger.open(stores.ledger.clone());
    }
}
