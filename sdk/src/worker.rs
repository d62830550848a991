//! A worker as a program of its own: handlers, and everything around them.

use crate::{
    doors::Doors,
    plan::{Plan, PlanError},
    process::{Process, ProcessError, Role},
    settings::{Settings, SettingsError},
    stores::Stores,
    suspects,
};
use haul_core::config::{PaceConfig, RepairConfig};
use haul_handlers::{Equipment, Pacer};
pub use haul_repair::Auditor;

use haul_repair::Repairer;
use haul_worker::{BuildError, HandlerError, JobContext, TransactionalHandler, WorkerBuilder};
use serde::{Serialize, de::DeserializeOwned};
use std::{convert::Infallible, future::Future, sync::Arc};
use tokio::sync::Notify;

/// Why a worker could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings name no stores that a worker can share.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What surrounds it failed, or the worker itself.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A worker for your own handlers, on the Postgres and the Redis that `DATABASE_URL` and `REDIS_URL` name.
///
/// It reads the same settings as `haul worker`: `HAUL_WORKER_CONCURRENCY`, `HAUL_OPS_LISTEN`, the file in `HAUL_CONFIG`.
pub struct Worker {
    settings: Settings,
    builder: WorkerBuilder,
    builtin: bool,
}

impl Worker {
    /// A worker with the settings of the environment, and of the file that `HAUL_CONFIG` names.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self::new(Settings::from_env()?))
    }

    /// A worker with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, builder: haul_worker::Worker::builder(), builtin: false }
    }

    /// Gives all handlers a value to share, such as a client. One value per type: see [`JobContext::data`].
    #[must_use]
    pub fn data<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.builder = self.builder.data(value);
        self
    }

    /// Lets a function run the jobs of a kind: an `async fn(JobContext, P) -> Result<R, HandlerError>`. The payload is
    /// read as `P`, the result is kept as JSON.
    #[must_use]
    pub fn handler<F, Fut, P, R>(mut self, kind: impl AsRef<str>, handler: F) -> Self
    where
        F: Fn(JobContext, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
    {
        self.builder = self.builder.handler(kind, handler);
        self
    }

    /// Lets a function run the jobs of a kind within the job's own transaction: what it writes through it and the job's
    /// outcome are committed together, or not at all. An
    /// `async fn(JobContext, P, &mut haul::postgres::Transaction) -> Result<R, HandlerError>`.
    #[must_use]
    pub fn transactional<Tx, P, R, F>(mut self, kind: impl AsRef<str>, handler: F) -> Self
    where
        F: for<'t> TransactionalHandler<'t, Tx, P, R>,
        Tx: Send + 'static,
        P: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        self.builder = self.builder.transactional(kind, handler);
        self
    }

    /// Also handles the kinds that `haul worker` handles, such as `http.request`: see [`haul_handlers`]. Your own handlers
    /// find the guarded HTTP client ([`Outgoing`](haul_handlers::Outgoing)) and the secrets among their data then.
    #[must_use]
    pub fn builtin(mut self) -> Self {
        self.builtin = true;
        self
    }

    /// Works until SIGTERM or SIGINT, then drains. Logs, metrics and health are set up as for `haul worker`.
    ///
    /// Jobs whose worker may have died of them run in processes of their own, for which your program is started again, with
    /// the same arguments; their `main` runs up to here, and no further. See [`suspects`].
    pub async fn run(self) -> Result<(), RunError> {
        let plan = Plan::shared(&self.settings, "worker")?;
        let mut builder = self.builder;
        if self.builtin {
            let equipment = Equipment::new(&self.settings.config, self.settings.secrets.clone());
            builder = haul_handlers::builtin(builder, &equipment.map_err(ProcessError::from)?);
        }
        if suspects::is_their_process() {
            match suspects::serve(&self.settings, &plan, builder).await? {}
        }
        let process = Process::start("worker", &self.settings).await?;
        let doors = Doors::default();
        let config = self.settings.config;
        let builder = builder.config(config.worker).mint(doors.mint().clone());
        let builtin = self.builtin;
        let running = process.run(&plan, &doors, |process, stores| {
            let builder = if builtin { with_stores(builder, stores) } else { builder };
            roles(process, stores, builder, &config.repair, &config.pace)
        });
        Ok(running.await?)
    }
}

/// Adds the built-in kinds that need stores to those that do not.
pub fn with_stores(builder: WorkerBuilder, stores: &Stores) -> WorkerBuilder {
    haul_handlers::webhooks(builder.data(stores.books.clone()), stores.endpoints.clone(), stores.ledger.clone())
}

/// A worker, and the reconciler and the auditor that every worker brings along, as roles of a process. The builder has its mint.
pub fn roles(
    process: &Process,
    stores: &Stores,
    builder: WorkerBuilder,
    repair: &RepairConfig,
    pace: &PaceConfig,
) -> Result<Vec<Role>, BuildError> {
    let signal = Arc::new(Notify::new());
    let builder = builder.ledger(stores.ledger.clone()).dispatch(stores.dispatch.clone());
    let builder = builder.data(Pacer::new(stores.pace.clone(), pace.rules()));
    let builder = builder.process(process.id()).repair_signal(signal.clone()).isolation(suspects::isolation());
    let worker = builder.build()?;
    let worker = {
        let busy = process.tell_work(worker.config());
        worker.telling_busy(busy)
    };
    let repairer = Repairer::new(process.id(), stores.ledger.clone(), stores.dispatch.clone(), repair, signal);
    let shutdown = process.shutdown().clone();
    let repairing = repairer.run(shutdown.clone());
    let auditor = Arc::new(Auditor::new(stores.ledger.clone(), stores.dispatch.clone(), repair));
    let auditing = auditor.run(shutdown.clone());
    Ok(vec![
        Role::new("worker", worker.run(shutdown)),
        Role::new("repair", async move {
            repairing.await;
            Ok::<(), Infallible>(())
        }),
        Role::new("audit", async move {
            auditing.await;
            Ok::<(), Infallible>(())
        }),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;
    use haul_outgoing::Secrets;

    async fn nothing(_job: JobContext, _payload: ()) -> Result<(), HandlerError> {
        Ok(())
    }

    #[tokio::test]
    async fn a_worker_may_be_spawned_and_says_which_stores_it_lacks() {
        let settings = Settings {
            config: Config::defaults(),
            database_url: None,
            redis_url: None,
            secrets: Secrets::default(),
            warnings: Vec::new(),
        };
        let running = tokio::spawn(Worker::new(settings).handler("nothing", nothing).run());
        let error = running.await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("DATABASE_URL and REDIS_URL are not set"), "{error}");
    }
}
