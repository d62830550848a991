//! The scheduler as a role of a process.

use crate::{
    process::{Process, Role},
    stores::Stores,
};
use haul_core::{Config, IdMint, ProcessId, config::RepairConfig};
use haul_handlers::HttpProvider;
use haul_maintenance::Tools;
use haul_repair::{Auditor, Repairer};
use haul_scheduler::{Scheduler, SchedulerDeps};
use haul_worker::{BuildError, Worker};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Notify;

/// A scheduler, as a role of a process. The mint is the one whose clock upkeep sets.
pub fn role(process: &Process, stores: &Stores, mint: Arc<IdMint>) -> Role {
    process.watch_over(stores);
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

/// What whoever fires schedules brings along: the schedules of maintenance, and a small worker of its own for its queue,
/// so that it waits for nobody's jobs and holds none of them up.
pub fn maintenance(
    process: &Process,
    stores: &Stores,
    mint: Arc<IdMint>,
    config: &Config,
    payments: Option<Arc<HttpProvider>>,
) -> Result<Vec<Role>, BuildError> {
    let tools = Tools {
        ledger: stores.ledger.clone(),
        maintenance: stores.maintenance.clone(),
        statistics: stores.statistics.clone(),
        audit: Arc::new(Auditor::new(stores.ledger.clone(), stores.dispatch.clone(), &config.repair)),
        config: config.maintenance.clone(),
        reconciles: payments.is_some(),
    };
    // Not the process's own id: the worker beside it is waited for, and woken, by that.
    let builder = Worker::builder()
        .process(ProcessId::random())
        .mint(mint)
        .config(haul_maintenance::worker_config(&config.worker));
    let builder = builder.ledger(stores.ledger.clone()).dispatch(stores.dispatch.clone());
    let mut builder = haul_maintenance::handlers(builder, &tools);
    if let Some(provider) = payments {
        builder = haul_handlers::reconciliation(builder.data(stores.books.clone()), provider);
    }
    let worker = builder.build()?;
    let mut roles = vec![Role::new("maintenance", worker.run(process.shutdown().clone()))];
    if config.maintenance.schedules {
        let (schedules, stop) = (stores.schedules.clone(), process.shutdown().clone());
        roles.push(without_failure("schedules of maintenance", async move {
            haul_maintenance::bring_patiently(&*schedules, &tools, stop.clone()).await;
            stop.cancelled().await;
        }));
    }
    Ok(roles)
}

fn without_failure(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Role {
    Role::new(name, async move {
        work.await;
        Ok::<(), Infallible>(())
    })
}
