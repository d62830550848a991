//! The fleet suite: one promise per sentence of [`Fleet`]'s documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod alive;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod receipts;
mod stage;

pub use stage::Stage;

use crate::ledger::LedgerWorld;
use async_trait::async_trait;
use haul_core::Fleet;
use std::sync::Arc;

/// Makes ledgers that keep a fleet, for the suite.
#[async_trait]
pub trait FleetHarness: Send + Sync + 'static {
    /// An empty ledger, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn FleetWorld>;
}

/// A ledger, and its fleet.
pub trait FleetWorld: LedgerWorld {
    /// The fleet. Called again, it may give another handle to the same, as a second process has one.
    fn fleet(&self) -> Arc<dyn Fleet>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fleet_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { fleet $args
            alive {
                what_a_process_tells_is_shown_whole,
                what_was_told_before_is_forgotten_but_not_since_when,
                a_heartbeat_alone_shows_a_process_and_changes_nothing_that_it_told,
                a_process_that_is_silent_is_gone_until_it_is_heard_of_again,
                pages_come_in_order_and_name_each_process_once,
                who_reports_keeps_its_receipts,
            }
            receipts {
                an_empty_ledger_has_no_receipts,
                receipts_are_counted_whoever_owns_them_until_they_are_dropped,
                the_oldest_receipt_is_as_old_as_its_jobs,
            }
        }
    };
}

__fleet_promises! { promises () }
