//! A user's own worker, with handlers that do what the harness needs to see done.
//!
//! Written against the facade `haul` alone, as anybody's would be. Each handler first tells the witness that an attempt has
//! begun; nothing depends on the answer.

mod effects;
mod poison;

use effects::Outside;
use haul::{HandlerError, JobContext};
use haul_faults::work::Work;
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let worker = haul::Worker::from_env()?
        .data(Outside::from_env()?)
        .handler("effect", effects::effect)
        .transactional("ledger-effect", effects::ledger_effect)
        .handler("nap", nap)
        .handler("stubborn", stubborn)
        .handler("flaky", flaky)
        .handler("abort", poison::abort)
        .handler("overflow", poison::overflow)
        .builtin();
    worker.run().await?;
    Ok(())
}

/// Sleeps.
async fn nap(job: JobContext, work: Work) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    tokio::time::sleep(Duration::from_millis(work.ms)).await;
    Ok(())
}

/// Works without ever looking up: nobody can stop it half-way.
async fn stubborn(job: JobContext, work: Work) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(work.ms)));
    Ok(())
}

/// Fails as often as it is asked to.
async fn flaky(job: JobContext, work: Work) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    tokio::time::sleep(Duration::from_millis(work.ms)).await;
    match job.attempt() <= work.fails {
        true => Err(HandlerError::retry(format!("asked to fail, attempt {} of {}", job.attempt(), work.fails))),
        false => Ok(()),
    }
}
