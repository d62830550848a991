//! What is told of runs: metrics, and a line when a kind begins to fail and when it works again.

use crate::Tools;
use haul_core::telemetry;
use haul_worker::{HandlerError, JobContext, WorkerBuilder};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{collections::HashSet, sync::Arc};

/// The kinds whose last run in this process failed.
#[derive(Default)]
pub(crate) struct Watch(Mutex<HashSet<&'static str>>);

/// Adds a kind. Its payload is read here, so that one that is refused is a failure like any other.
pub(crate) fn add<F, Fut, P, R>(
    builder: WorkerBuilder,
    kind: &'static str,
    watch: &Arc<Watch>,
    tools: &Tools,
    run: F,
) -> WorkerBuilder
where
    F: Fn(Tools, JobContext, P) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    // Also before the first run: a counter that is there from the beginning can be watched.
    for end in ["succeeded", "failed"] {
        metrics::counter!(telemetry::MAINTENANCE_RUNS_TOTAL, "kind" => kind, "end" => end).increment(0);
    }
    let (watch, tools) = (watch.clone(), tools.clone());
    builder.resident(kind).handler(kind, move |job: JobContext, payload: Box<RawValue>| {
        let (watch, tools) = (watch.clone(), tools.clone());
        async move {
            let ended = match serde_json::from_str(payload.get()) {
                Ok(wishes) => run(tools, job.clone(), wishes).await,
                Err(error) => Err(HandlerError::do_not_retry(format!("its payload is not accepted: {error}"))),
            };
            // One that was told to stop has neither failed nor succeeded.
            if ended.is_ok() || !job.is_cancelled() {
                watch.tell(kind, &job, ended.as_ref().err());
            }
            ended
        }
    })
}

impl Watch {
    fn tell(&self, kind: &'static str, job: &JobContext, error: Option<&HandlerError>) {
        let end = if error.is_some() { "failed" } else { "succeeded" };
        metrics::counter!(telemetry::MAINTENANCE_RUNS_TOTAL, "kind" => kind, "end" => end).increment(1);
        match error {
            Some(error) => {
                if self.0.lock().insert(kind) {
                    tracing::warn!(kind, job_id = %job.job_id(), "maintenance fails: {error}");
                }
            }
            None => {
                let now_seconds = job.now().as_ms() as f64 / 1_000.0;
                metrics::gauge!(telemetry::MAINTENANCE_LAST_TIMESTAMP_SECONDS, "kind" => kind).set(now_seconds);
                if self.0.lock().remove(kind) {
                    tracing::info!(kind, "maintenance works again");
                }
            }
        }
    }
}
