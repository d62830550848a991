//! The scheduler: fires schedules, each tick once, in any number of processes.
//!
//! Nobody leads. Every scheduler looks at what is due by the ledger's clock, computes steps (pure: see `plan.rs`), and asks
//! the ledger to take them; the ledger takes each from exactly one of them, in the transaction that accepts its jobs. A
//! scheduler that was stopped for a minute, that has an old definition in its memory, or whose clock is off, has its steps
//! refused, or arrives at those that the others arrive at.
//!
//! Promise: no tick has two jobs; and none is forgotten, as long as some scheduler runs again one day: what has become of
//! ticks that were missed is each schedule's own policy. A schedule that cannot be read is put off with its problem written
//! beside it, and holds nobody up.
//!
//! What is not done here: running jobs, and managing schedules. Both need no scheduler.

mod batch;
mod cache;
mod courier;
mod engine;
mod meters;
mod plan;
mod receipts;

pub use engine::{Scheduler, SchedulerDeps, Turn};
