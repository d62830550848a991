//! The yardstick: a ledger and a dispatch in memory that are small enough to be obviously right.
//!
//! They keep every promise of the two traits and nothing else: no durability, no speed, no second process. The suites
//! prove that they pass, the property tests measure the adapters by them, and simulations run over them.

mod books;
mod dispatch;
mod endpoints;
mod fleet;
mod ledger;
mod maintenance;
mod pace;
mod queue;
mod schedules;
mod state;
mod statistics;

pub use dispatch::{DispatchCopy, ReferenceDispatch};
pub use ledger::ReferenceLedger;
pub use pace::ReferencePace;
