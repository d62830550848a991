//! The handler of every kind: it does what its payload says, and tells the history of it.

use crate::{history::History, plan::Task};
use haul_core::ProcessId;
use haul_worker::{HandlerError, JobContext, NewJob};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Which process runs it, under whose eyes.
pub(crate) struct Place {
    pub(crate) process: ProcessId,
    pub(crate) history: Arc<History>,
}

pub(crate) async fn run(context: JobContext, task: Task) -> Result<u32, HandlerError> {
    let place = context.data::<Place>()?;
    let (process, history, job) = (place.process, place.history.clone(), context.job_id());
    let _running = history.starts(process, job, context.attempt());
    for _ in 0..task.steps {
        sleep(Duration::from_millis(task.step_ms)).await;
        if task.heeds && context.is_cancelled() {
            return Err(HandlerError::retry("it was told to stop"));
        }
    }
    if history.defers(job) < task.defers {
        return Err(HandlerError::defer(Duration::from_millis(500)));
    }
    if context.attempt() <= task.failures {
        return Err(HandlerError::retry("as planned"));
    }
    history.effect(process, job);
    for number in 0..task.follow_ups {
        let follow_up = Task { step_ms: 10, steps: number, ..Task::default() };
        context.enqueue(NewJob::new(context.kind().as_str(), &follow_up))?;
    }
    Ok(context.attempt())
}
