//! Handlers with an effect: at the third party, or in the job's own transaction.

use anyhow::Context;
use haul::{HandlerError, JobContext, postgres::Transaction};
use haul_faults::work::Work;
use haul_testkit::http::Client;
use std::time::Duration;

/// The world outside of the worker: the third party, and the witness.
pub(crate) struct Outside {
    party: Client,
    witness: Client,
}

impl Outside {
    /// Where `FAULTS_PARTY` and `FAULTS_WITNESS` say.
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness tells its worker where the party is; no setting of Haul"
    )]
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let client = |name: &str| {
            let url = std::env::var(name).with_context(|| format!("{name} is not set"))?;
            anyhow::Ok(Client::new(&url))
        };
        Ok(Self { party: client("FAULTS_PARTY")?, witness: client("FAULTS_WITNESS")? })
    }

    /// Tells the witness that an attempt has begun.
    pub(crate) async fn begin(&self, job: &JobContext, work: &Work) {
        if let Err(error) = post(&self.witness, "began", job, work).await {
            eprintln!("the witness was not told: {error:#}");
        }
    }
}

/// One effect, under the job's id: the third party applies it once, however often it is sent.
pub(crate) async fn effect(job: JobContext, work: Work) -> Result<(), HandlerError> {
    let outside = job.data::<Outside>()?;
    outside.begin(&job, &work).await;
    tokio::time::sleep(Duration::from_millis(work.ms)).await;
    let status =
        post(&outside.party, "effect", &job, &work).await.map_err(|error| HandlerError::retry(format!("{error:#}")))?;
    match status {
        200 => Ok(()),
        status => Err(HandlerError::retry(format!("the third party answered {status}"))),
    }
}

/// One row, written in the job's own transaction: no key, no check, and still it is there once.
pub(crate) async fn ledger_effect(job: JobContext, work: Work, tx: &mut Transaction) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    sqlx::query("INSERT INTO faults.row (job, ref) VALUES ($1, $2)")
        .bind(job.job_id().0)
        .bind(&work.key)
        .execute(&mut **tx)
        .await?;
    tokio::time::sleep(Duration::from_millis(work.ms)).await;
    Ok(())
}

async fn post(to: &Client, what: &str, job: &JobContext, work: &Work) -> anyhow::Result<u16> {
    let request =
        http::Request::post(format!("/{what}/{}", work.key)).header("idempotency-key", job.job_id().to_string());
    Ok(to.send(request, bytes::Bytes::new()).await?.status)
}
