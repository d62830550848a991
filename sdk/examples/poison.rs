//! A worker whose handlers kill their process, for tests: `poison worker` on Postgres and Redis, `poison up` on nothing.
//!
//! Also the smallest program that wires all roles by itself and handles kinds of its own.

use haul::{
    HandlerError, JobContext, NewJob,
    doors::Doors,
    plan::Plan,
    postgres::Transaction,
    process::{Process, Role, listen},
    settings::Settings,
    suspects, worker,
};
use haul_api::{Api, ApiDeps, NoRefusals};
use haul_repair::Auditor;
use haul_worker::WorkerBuilder;
use serde::{Deserialize, Serialize};
use std::{error::Error, fs::File, io::Write, path::PathBuf, process::Command, sync::Arc, time::Duration};

/// What a handler does before it succeeds, if it does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Abort,
    Exit,
    Kill,
    Overflow,
    Sleep(u64),
    /// Writes one byte more into a file twenty times a second, this often.
    Tick(PathBuf, u32),
    /// Waits; a suspect starts a program before that would outlive it by a day.
    Spawn,
}

/// Where it ran.
#[derive(Debug, Serialize)]
struct Ran {
    process: u32,
    attempt: u32,
    is_alone: bool,
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn overflow(depth: u64) -> u64 {
    let room = [depth; 1_000];
    std::hint::black_box(&room).iter().sum::<u64>() + overflow(std::hint::black_box(depth + 1))
}

async fn run(job: JobContext, deed: Deed) -> Result<Ran, HandlerError> {
    let process = std::process::id();
    match deed {
        Deed::Abort => std::process::abort(),
        Deed::Exit => std::process::exit(0),
        Deed::Kill => drop(Command::new("kill").args(["-9", &process.to_string()]).status()?),
        Deed::Overflow => drop(overflow(0)),
        Deed::Sleep(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Deed::Tick(file, times) => {
            let mut file = File::options().create(true).append(true).open(file)?;
            for _ in 0..times {
                file.write_all(b".")?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Deed::Spawn => {
            if suspects::is_their_process() {
                Command::new("sleep").arg("86400").spawn()?;
            }
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
    }
    Ok(Ran { process, attempt: job.attempt(), is_alone: suspects::is_their_process() })
}

/// The same in the job's own transaction. What it leaves behind is a job.
async fn run_within(job: JobContext, deed: Deed, _: &mut Transaction) -> Result<Ran, HandlerError> {
    let left = NewJob::new("deed", &serde_json::json!({ "sleep": 0 }));
    job.enqueue(left.tag("left-by", job.job_id().to_string()))?;
    run(job, deed).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => {
            let worker = haul::Worker::from_env()?.handler("deed", run);
            Ok(worker.transactional("deed.within", run_within).run().await?)
        }
        Some("up") => up(Settings::from_env()?).await,
        _ => Err("say `worker` or `up`".into()),
    }
}

fn handlers() -> WorkerBuilder {
    haul_worker::Worker::builder().handler("deed", run)
}

async fn up(settings: Settings) -> Result<(), Box<dyn Error>> {
    let plan = Plan::one_process(&settings)?;
    if suspects::is_their_process() {
        match suspects::serve(&settings, &plan, handlers()).await? {}
    }
    let config = &settings.config;
    let mut process = Process::start("up", &settings).await?;
    let doors = Doors::default();
    let (listener, _) = listen(config.listen).await?;
    let metrics = process.metrics().clone();
    let api = Api::new(ApiDeps {
        ledger: doors.ledger(),
        schedules: doors.schedules(),
        endpoints: doors.endpoints(),
        statistics: doors.statistics(),
        books: doors.books(),
        fleet: doors.fleet(),
        dispatch: doors.dispatch(),
        pace: doors.pace(),
        audit: Arc::new(Auditor::new(doors.ledger(), doors.dispatch(), &config.repair)),
        mint: doors.mint().clone(),
        process: process.id(),
        config,
        readiness: process.readiness().clone(),
        render_metrics: Arc::new(move || metrics.render()),
        log_filter: haul::telemetry::log_filter(),
        refusals: Arc::new(NoRefusals),
    });
    let shutdown = process.shutdown().clone();
    process.begin(Role::new("API", api.serve(listener, shutdown)));
    let on_open = |process: &Process, stores: &_| {
        let builder = handlers().config(config.worker.clone()).mint(doors.mint().clone());
        worker::roles(process, stores, builder, &config.repair, &config.pace)
    };
    Ok(process.run(&plan, &doors, on_open).await?)
}
