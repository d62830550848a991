//! What a handler is told about its attempt, and what it may ask for.

use crate::{
    follow_up::{EnqueueError, NewJob},
    registry::House,
};
use haul_core::{Job, JobId, Kind, Queue, Tenant, Timestamp, limits::FOLLOW_UPS_MAX};
use parking_lot::Mutex;
use std::{any::type_name, collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// One attempt, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct JobContext(Arc<Inner>);

struct Inner {
    job: Job,
    attempt: u32,
    stop: CancellationToken,
    follow_ups: Mutex<Vec<Job>>,
    house: Arc<House>,
}

/// Data that no [`data`](crate::WorkerBuilder::data) call gave to the worker.
#[derive(Debug, thiserror::Error)]
#[error("the worker has no data of type {0}; give it some with `Worker::builder().data(..)`")]
pub struct MissingData(&'static str);

impl JobContext {
    pub(crate) fn new(job: Job, attempt: u32, stop: CancellationToken, house: Arc<House>) -> Self {
        Self(Arc::new(Inner { job, attempt, stop, follow_ups: Mutex::new(Vec::new()), house }))
    }

    /// The job's id: the same in every attempt, so a good idempotency key.
    pub fn job_id(&self) -> JobId {
        self.0.job.id
    }
    /// Whose job it is.
    pub fn tenant(&self) -> &Tenant {
        &self.0.job.tenant
    }
    /// The queue that it waited in.
    pub fn queue(&self) -> &Queue {
        &self.0.job.queue
    }
    /// The kind that brought it here.
    pub fn kind(&self) -> &Kind {
        &self.0.job.kind
    }
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }
    /// After how many failed attempts the job is dead.
    pub fn max_attempts(&self) -> u32 {
        u32::from(self.0.job.options.retry.max_attempts)
    }
    /// The time past which the job is of no use, if it has one.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.job.options.deadline
    }
    /// How long an attempt may take; less where the deadline is near.
    pub fn timeout(&self) -> Duration {
        self.0.job.options.timeout.as_duration()
    }
    /// The submitter's marks.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.0.job.options.tags
    }
    /// When the job was accepted.
    pub fn created_at(&self) -> Timestamp {
        self.0.job.created_at()
    }
    /// The time now, on the ledger's clock.
    pub fn now(&self) -> Timestamp {
        self.0.house.mint.clock().now()
    }
    /// The largest result that is kept, in bytes; a larger one fails the job for good.
    pub fn result_bytes_max(&self) -> usize {
        self.0.house.result_bytes_max
    }

    /// Ends when the attempt is to stop: it ran out of time, the job was cancelled, its lease was lost, or the worker is
    /// shutting down. A handler that goes on all the same is dropped a moment later, at an `await`.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.stop.clone().cancelled_owned()
    }
    /// Whether the attempt is to stop: for loops that have nothing to await.
    pub fn is_cancelled(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// The shared data of this type.
    pub fn data<T: Send + Sync + 'static>(&self) -> Result<&T, MissingData> {
        self.0.house.data.get().ok_or(MissingData(type_name::<T>()))
    }

    /// Enqueues a further job: it is accepted together with the success of this attempt, and not at all when the attempt
    /// does not succeed.
    pub fn enqueue(&self, job: NewJob) -> Result<JobId, EnqueueError> {
        let mut follow_ups = self.0.follow_ups.lock();
        if follow_ups.len() >= FOLLOW_UPS_MAX {
            return Err(EnqueueError::TooMany);
        }
        let job = job.build(&self.0.job, &self.0.house.mint)?;
        let id = job.id;
        follow_ups.push(job);
        Ok(id)
    }

    pub(crate) fn job(&self) -> &Job {
        &self.0.job
    }
    pub(crate) fn house(&self) -> &Arc<House> {
        &self.0.house
    }
    /// Follow-ups that the attempt asked for in another process.
    pub(crate) fn take_over(&self, follow_ups: Vec<Job>) {
        self.0.follow_ups.lock().extend(follow_ups);
    }
    pub(crate) fn follow_ups(&self) -> Vec<Job> {
        self.0.follow_ups.lock().clone()
    }
}

impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("JobContext");
        shown.field("job_id", &self.job_id()).field("kind", self.kind()).field("attempt", &self.attempt());
        shown.finish_non_exhaustive()
    }
}
