//! The scheduler as a role of a process.

use crate::{
    process::{Process, Role},
    stores::Stores,
};
use haul_core::{IdMint, config::RepairConfig};
use haul_repair::Repairer;
use haul_scheduler::{Scheduler, SchedulerDeps};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Notify;

/// A scheduler, as a role of a process. The mint is the one whose clock upkeep sets.
pub fn role(process: &Process, stores: &Stores, mint: Arc<IdMint>) -> Role {
    let scheduler = Scheduler::new(SchedulerDeps {
        ledger: stores.ledger.clone(),
        schedules: stores.schedules.clone(),
        dispatch: stores.dispatch.clone(),
        mint,
        process: process.id(),
    });
    without_failure("scheduler", scheduler.run(process.shutdown().clone()))
}

/// The reconciler that a scheduler brings along where no worker does: what it fires reaches the dispatch without one.
pub fn repair(process: &Process, stores: &Stores, config: &RepairConfig) -> Role {
    let signal = Arc::new(Notify::new());
    let repairer = Repairer::new(process.id(), stores.ledger.clone(), stores.dispatch.clone(), config, signal);
    without_failure("repair", repairer.run(process.shutdown().clone()))
}

fn without_failure(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Role {
    Role::new(name, async move {
        work.await;
        Ok::<(), Infallible>(())
    })
}
