//! What every promise of the statistics suite begins with: an empty ledger, and jobs of hours that have passed.

use super::{StatisticsHarness, StatisticsWorld};
use bytes::Bytes;
use haul_core::{
    Job, JobError, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, QueueRef, Statistics, Tenant,
    Timestamp,
    ledger::{Entry, NewJob, Record},
    statistics::{HOUR, Hour, hour_of},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Steps after which counting must have come to its end.
const STEPS_MAX: usize = 500;

/// An empty ledger, and who writes to it.
pub struct Stage {
    /// The ledger's other side.
    pub world: Arc<dyn StatisticsWorld>,
    /// What counts.
    pub statistics: Arc<dyn Statistics>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The hour in which the stage was set.
    pub this_hour: Timestamp,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh ledger.
    pub async fn new(harness: Arc<dyn StatisticsHarness>) -> Self {
        let world = harness.fresh().await;
        let (statistics, ledger) = (world.statistics(), world.ledger());
        let this_hour = hour_of(ledger.now().await.expect("a fresh ledger tells the time"));
        Self { world, statistics, ledger, this_hour, ids: AtomicU64::new(1) }
    }

    /// An hour so many hours before this one.
    pub(crate) fn hour(&self, ago: u32) -> Timestamp {
        self.this_hour.minus(HOUR * ago)
    }

    /// A job of the tenth second of an hour.
    pub(crate) fn job(&self, hour: Timestamp, kind: &str) -> Job {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let at = hour.plus(Duration::from_secs(10));
        let id = JobId(uuid::Builder::from_unix_timestamp_millis(at.as_ms().unsigned_abs(), &low).into_uuid());
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new(kind).expect("a valid kind"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: JobOptions::shared_default(),
        }
    }

    pub(crate) async fn accept(&self, jobs: &[Job]) {
        let new: Vec<NewJob> = jobs.iter().map(|job| NewJob { job: job.clone(), idempotency: None }).collect();
        self.ledger.accept(&new, ProcessId::NOBODY, &[]).await.expect("jobs are accepted");
    }

    /// Accepts a job of an hour.
    pub(crate) async fn accepted(&self, hour: Timestamp, kind: &str) -> Job {
        let job = self.job(hour, kind);
        self.accept(std::slice::from_ref(&job)).await;
        job
    }

    /// Records how an attempt ended, so long after the job was due.
    pub(crate) async fn record(&self, job: &Job, after: Duration, entry: Entry) {
        let attempt = if matches!(entry, Entry::Failed(..)) { 1 } else { 2 };
        let at = job.run_at.plus(after);
        let record = Record { job: job.id, tenant: job.tenant.clone(), attempt, at, entry, follow_ups: Vec::new() };
        self.ledger.record(&[record], ProcessId::NOBODY).await.expect("an end is recorded");
    }

    pub(crate) async fn succeed(&self, job: &Job, after: Duration) {
        self.record(job, after, Entry::Succeeded(None)).await;
    }

    /// Counts until nothing is left, and tells in how many steps of at least one queue and kind.
    pub(crate) async fn count(&self) -> usize {
        let mut steps = 0;
        for _ in 0..STEPS_MAX {
            let progress = self.statistics.count_hour().await.expect("an hour is counted");
            steps += usize::from(progress.done > 0);
            if !progress.more {
                return steps;
            }
        }
        panic!("counting does not end");
    }

    /// All hours of the default queue.
    pub(crate) async fn hours(&self) -> Vec<Hour> {
        self.hours_of(&QueueRef::default(), None).await
    }

    pub(crate) async fn hours_of(&self, queue: &QueueRef, kind: Option<&str>) -> Vec<Hour> {
        let kind = kind.map(|kind| Kind::new(kind).expect("a valid kind"));
        let (from, to) = (self.hour(1_000), self.hour(0).plus(HOUR));
        self.statistics.hours(queue, kind.as_ref(), from, to).await.expect("hours are read")
    }
}

pub(crate) fn error() -> JobError {
    JobError::new("it broke")
}
