//! Maintenance as jobs: kinds `maintenance.*`, with schedules that come along, written as anybody would write them.
//!
//! | kind | what it does | its payload may say |
//! | --- | --- | --- |
//! | `maintenance.partitions` | prepares storage for the days ahead | |
//! | `maintenance.retention` | closes days, and drops those whose time has come | `keep_days` |
//! | `maintenance.payloads` | erases payloads, results and details of errors | `payload_days` |
//! | `maintenance.keys` | forgets idempotency keys that have expired | |
//! | `maintenance.statistics` | counts the hours that have ended | `statistics_days` |
//! | `maintenance.audit` | compares ledger and dispatch; dead when jobs had got lost | |
//! | `maintenance.analyze` | refreshes what the planner knows of the tables | |
//!
//! Each may also say `for_at_most`, such as `"10m"`: no step is begun after that, and the result says that more is left.
//! A run is a series of bounded steps, each safe for any number of processes at once, and ends between two of them when
//! it is told to stop. While the ledger is away it fails, and is tried again as its job says.
//!
//! What is not done here: deciding when. That is the schedules' ([`bring`]), and whoever edits these has the last word.

mod jobs;
mod schedules;
mod steps;
mod watch;

use haul_core::{
    Ledger, Maintenance, Queue, Statistics,
    audit::Audit,
    config::{MaintenanceConfig, WorkerConfig},
};
use haul_worker::WorkerBuilder;
pub use schedules::{bring, bring_patiently};
use std::{collections::BTreeMap, sync::Arc};
use watch::Watch;

/// The queue that maintenance waits in, and that its workers work on: no other queue's jobs wait for it.
pub const QUEUE: &str = "maintenance";
/// Maintenance jobs that a process runs at a time.
pub const SLOTS: usize = 2;

/// What maintenance works with.
#[derive(Clone)]
pub struct Tools {
    /// The truth about jobs.
    pub ledger: Arc<dyn Ledger>,
    /// What forgets.
    pub maintenance: Arc<dyn Maintenance>,
    /// What counts.
    pub statistics: Arc<dyn Statistics>,
    /// What compares.
    pub audit: Arc<dyn Audit>,
    /// What holds where a payload says nothing.
    pub config: MaintenanceConfig,
    /// Whether payments are made: then their reconciliation, which comes with the other kinds of payments, is scheduled too.
    pub reconciles: bool,
}

/// Adds the kinds to a worker. They need its stores, so they run in its process also as suspects.
#[must_use]
pub fn handlers(builder: WorkerBuilder, tools: &Tools) -> WorkerBuilder {
    let watch = Arc::new(Watch::default());
    let builder = watch::add(builder, "maintenance.partitions", &watch, tools, jobs::partitions);
    let builder = watch::add(builder, "maintenance.statistics", &watch, tools, jobs::statistics);
    let builder = watch::add(builder, "maintenance.audit", &watch, tools, jobs::audit);
    let builder = watch::add(builder, "maintenance.retention", &watch, tools, jobs::retention);
    let builder = watch::add(builder, "maintenance.payloads", &watch, tools, jobs::payloads);
    let builder = watch::add(builder, "maintenance.keys", &watch, tools, jobs::keys);
    watch::add(builder, "maintenance.analyze", &watch, tools, jobs::analyze)
}

/// The settings of a worker for these kinds alone, where others have these.
#[must_use]
pub fn worker_config(config: &WorkerConfig) -> WorkerConfig {
    let queue = Queue::new(QUEUE).unwrap_or_else(|error| unreachable!("checked by a test: {error}"));
    WorkerConfig {
        queues: vec![(queue, 1)],
        concurrency: SLOTS,
        kind_concurrency: BTreeMap::new(),
        suspects: 0,
        ..config.clone()
    }
}
