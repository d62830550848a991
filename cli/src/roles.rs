//! Roles in a process: the wiring of `haul up`, `haul api`, `haul worker` and `haul scheduler`.
//!
//! Listeners are bound first, so that a port in use is known at once. The API serves from then on, and says 503 to submits
//! until the stores are reached; worker and scheduler begin when they are. All of it runs until a signal, or the first failure.
//!
//! A process that a worker has started for suspects does none of this: it runs them, and ends with that worker.

use crate::{exit::Exit, welcome::Welcome};
use anyhow::Context;
use haul::{
    doors::Doors,
    plan::Plan,
    process::{Process, Role, listen},
    scheduler,
    settings::Settings,
    stores::Stores,
    suspects,
    worker::{self, Auditor},
};
use haul_api::{Api, ApiDeps, PayloadFault, Refusals, check_exposure};
use haul_core::Kind;
use haul_handlers::{Equipment, Fault, Outgoing, SecretName};
use std::{fmt, io, sync::Arc};
use tokio::net::TcpListener;

/// Which roles a process has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) api: bool,
    pub(crate) worker: bool,
    pub(crate) scheduler: bool,
}

impl Parts {
    pub(crate) const ALL: Self = Self { api: true, worker: true, scheduler: true };
    pub(crate) const API: Self = Self { api: true, worker: false, scheduler: false };
    pub(crate) const WORKER: Self = Self { api: false, worker: true, scheduler: false };
    pub(crate) const SCHEDULER: Self = Self { api: false, worker: false, scheduler: true };
}

/// Runs a process with these parts. `welcome` is called when its stores are reached and its API, if it has one, serves.
pub(crate) async fn run(
    role: &str,
    settings: Settings,
    plan: Plan,
    parts: Parts,
    welcome: impl FnOnce(&Welcome) -> io::Result<()>,
) -> anyhow::Result<Exit> {
    let config = &settings.config;
    let equipment = Equipment::new(config, settings.secrets.clone())?;
    let handlers = || haul_handlers::builtin(haul_worker::Worker::builder(), &equipment);
    if suspects::is_their_process() {
        match suspects::serve(&settings, &plan, handlers()).await? {}
    }
    if parts.api {
        check_exposure(config.listen, config.admin_key.as_ref())?;
    }
    let mut process = Process::start(role, &settings).await?;
    let doors = Doors::default();
    let mut listens = None;
    if parts.api {
        let (listener, address) = listen(config.listen).await?;
        tracing::info!("the API listens on http://{address}");
        listens = Some(Welcome {
            address,
            wants_key: config.admin_key.is_some(),
            calls_loopback: equipment.outgoing.policy().allows_loopback(),
        });
        let role = api(&process, &doors, &settings, equipment.outgoing.clone(), listener)?;
        process.begin(role);
    }
    let on_open = |process: &Process, stores: &Stores| {
        let mut begun = if parts.worker {
            let builder = worker::with_stores(handlers(), stores);
            let builder = builder.config(config.worker.clone()).mint(doors.mint().clone());
            worker::roles(process, stores, builder, &config.repair, &config.pace)?
        } else {
            Vec::new()
        };
        if parts.scheduler {
            begun.push(scheduler::role(process, stores, doors.mint().clone()));
            begun.extend(scheduler::maintenance(
                process,
                stores,
                doors.mint().clone(),
                config,
                equipment.payments.clone(),
            )?);
            if !parts.worker {
                begun.push(scheduler::repair(process, stores, &config.repair));
            }
        }
        if let Some(Err(error)) = listens.map(|listens| welcome(&listens)) {
            tracing::warn!("standard output cannot be written: {error}");
        }
        Ok(begun)
    };
    process.run(&plan, &doors, on_open).await?;
    Ok(Exit::Done)
}

/// Refuses at the submit what this configuration's workers refuse for good.
struct Guard(Outgoing);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(..)")
    }
}

impl Refusals for Guard {
    fn judge_payload(&self, kind: &Kind, payload: &[u8]) -> Result<(), PayloadFault> {
        haul_handlers::check(kind, payload, self.0.policy())
            .map_err(|Fault { pointer, message }| PayloadFault { pointer, message })
    }

    fn judge_url(&self, url: &str) -> Result<(), String> {
        self.0.check(url).map(drop).map_err(|refusal| refusal.to_string())
    }
}

fn api(
    process: &Process,
    doors: &Doors,
    settings: &Settings,
    outgoing: Outgoing,
    listener: TcpListener,
) -> anyhow::Result<Role> {
    let metrics = process.metrics().clone();
    let auditor = Auditor::new(doors.ledger(), doors.dispatch(), &settings.config.repair);
    let webhook_secret = settings.config.payments.webhook_secret.as_deref().map(SecretName::new).transpose();
    let webhook_secret = webhook_secret.context("payments.webhook_secret is the name of a secret, not the secret")?;
    let api = Api::new(ApiDeps {
        ledger: doors.ledger(),
        schedules: doors.schedules(),
        endpoints: doors.endpoints(),
        statistics: doors.statistics(),
        books: doors.books(),
        fleet: doors.fleet(),
        dispatch: doors.dispatch(),
        pace: doors.pace(),
        audit: Arc::new(auditor),
        mint: doors.mint().clone(),
        process: process.id(),
        config: &settings.config,
        readiness: process.readiness().clone(),
        render_metrics: Arc::new(move || metrics.render()),
        log_filter: haul::telemetry::log_filter(),
        refusals: Arc::new(Guard(outgoing)),
    });
    let api = match webhook_secret {
        None => api,
        Some(name) => {
            let secrets = settings.secrets.clone();
            api.webhook_secret(Arc::new(move || {
                let (secrets, name) = (secrets.clone(), name.clone());
                Box::pin(async move { Ok(secrets.resolve(&name).await?) })
            }))
        }
    };
    Ok(Role::new("API", api.serve(listener, process.shutdown().clone())))
}
