//! Breaks real servers under load, and checks that no job is lost: the library of `cargo xtask faults`.
//!
//! A [`scenario`] breaks a [`stage`] of real Postgres, Redis and Haul processes that a client [`load`] keeps busy and whose effects
//! reach a third [`party`]. What is left behind ([`evidence`]) is judged by the [`checker`]. `docs/faults.md` tells which
//! faults there are and what came of them.
//!
//! Promise: a run is bounded in time, leaves no process behind, and fails when it shows too little. Its choices follow from its
//! seed; what the machine does in between does not. It uses Haul from outside only: its binaries, its API, its tables.

pub mod books;
pub mod broken;
pub mod checker;
pub mod evidence;
pub mod load;
pub mod party;
pub mod payments;
pub mod redises;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod scenarios;
pub mod stage;
pub mod timetable;
pub mod work;
