//! The scheduler over the reference stores, with a clock that is moved, and over Postgres, with one that is not.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod crowd;
mod faults;
mod postgres;
mod run;
mod simulated;
mod trouble;
mod world;
