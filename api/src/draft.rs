//! A job that was asked for and has no id yet, and the bounds and defaults that it is measured against.

use crate::refusals::Refusals;
use bytes::Bytes;
use haul_core::{
    Job, JobId, JobOptions, Kind, Priority, Queue, Span, Tenant, Timestamp, batch::Weight, config::Config,
    ledger::Idempotency, trace,
};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// What a job takes up besides its payload, roughly.
const ROW_BYTES: usize = 256;

/// Bounds and defaults that submits are measured against.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) queue: Queue,
    pub(crate) priority: Priority,
    pub(crate) options: Arc<JobOptions>,
    pub(crate) payload_bytes_max: usize,
    pub(crate) depth_max: usize,
    pub(crate) refusals: Arc<dyn Refusals>,
    idempotency_lifetime: Duration,
}

impl Rules {
    pub(crate) fn new(config: &Config, refusals: Arc<dyn Refusals>) -> Self {
        let options = config.jobs.options();
        let options = if options == JobOptions::default() { JobOptions::shared_default() } else { Arc::new(options) };
        Self {
            queue: config.jobs.queue.clone(),
            priority: config.jobs.priority(),
            options,
            payload_bytes_max: config.api.payload_bytes_max,
            depth_max: config.api.depth_max,
            refusals,
            idempotency_lifetime: config.api.idempotency_lifetime.as_duration(),
        }
    }

    /// The promise that comes with a key: the request is told by its canonical text.
    pub(crate) fn idempotency(&self, key: String, request: &[u8]) -> Idempotency {
        Idempotency { key, fingerprint: Sha256::digest(request).into(), lifetime: self.idempotency_lifetime }
    }
}

/// When a job may run first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    At(Timestamp),
    In(Span),
}

/// A job that was asked for and has no id yet.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) queue: Queue,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) start: Start,
    pub(crate) payload: Bytes,
    pub(crate) options: Arc<JobOptions>,
}

impl Draft {
    /// The same, with the trace of the request that is being handled; a request without one leaves it as it is.
    pub(crate) fn traced(mut self) -> Self {
        self.options = JobOptions::traced(self.options, trace::current());
        self
    }

    /// The job under this id. A time that has passed means "at once".
    pub(crate) fn into_job(self, id: JobId, tenant: Tenant) -> Job {
        let created_at = id.created_at();
        let run_at = match self.start {
            Start::Now => created_at,
            Start::At(time) => time.max(created_at),
            Start::In(delay) => created_at.plus(delay.as_duration()),
        };
        let Self { queue, kind, priority, payload, options, .. } = self;
        Job { id, tenant, queue, kind, priority, run_at, payload, options }
    }

    pub(crate) fn weight(&self) -> Weight {
        Weight { rows: 1, bytes: self.payload.len() + ROW_BYTES }
    }
}
