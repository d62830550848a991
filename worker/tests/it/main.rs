//! The worker's promises, over the reference ledger and dispatch.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod attempts;
mod cancel;
mod drain;
mod echo;
mod faulty;
mod follow_ups;
mod leases;
mod limits;
mod outages;
mod suspects;
mod tickets;
mod transactional;
mod world;
