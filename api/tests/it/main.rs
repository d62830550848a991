//! The API as clients meet it: a real listener, raw requests, the reference ledger and dispatch behind fault wrappers.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod audit;
mod bad_input;
mod bulk;
mod client;
mod destinations;
mod embedded;
mod faults;
mod idempotency;
mod jobs;
mod lists;
mod openapi;
mod payment_events;
mod payments;
mod queues;
mod schedules;
mod server;
mod traces;
mod webhooks;
mod wire;
mod workers;
mod world;
