//! Repair between the reference ledger and the reference dispatch: every way of losing tickets, and what comes back.
//!
//! Time is tokio's paused clock where a promise is about time. Real stores are met by the suites of the adapters and by the
//! tests of the command line.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod audit;
mod chaos;
mod faulty;
mod rebuild;
mod receipts;
mod world;
