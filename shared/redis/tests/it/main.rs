//! What the Redis adapter promises beyond the conformance suite, on real servers.

#![expect(clippy::unwrap_used, reason = "a test ends where its world breaks")]

mod claims;
mod cluster;
mod conformance;
mod door;
mod failover;
mod faults;
mod leases;
mod loss;
mod measure;
mod pace;
mod turns;
mod wakeups;
mod world;
