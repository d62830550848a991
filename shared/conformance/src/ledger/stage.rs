//! What every promise of the ledger suite begins with: an empty ledger and the means to write to it tersely.

use super::{LedgerHarness, LedgerWorld};
use bytes::Bytes;
use haul_core::{
    Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, Tenant, Timestamp,
    ledger::{
        BatchAccepted, Entry, Filter, Idempotency, NewJob, ProcessInfo, Receipt, ReceiptId, Record, Recorded, Unsettled,
    },
    outcome::{JobError, JobRecord},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An empty ledger and who writes to it.
pub struct Stage {
    /// Makes further ledgers.
    pub harness: Arc<dyn LedgerHarness>,
    /// The ledger's other side.
    pub world: Arc<dyn LedgerWorld>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// When the stage was set, on the ledger's clock.
    pub begun: Timestamp,
    /// The process that everything is done by.
    pub me: ProcessId,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh ledger. Its process has told that it is alive.
    pub async fn new(harness: Arc<dyn LedgerHarness>) -> Self {
        let world = harness.fresh().await;
        let ledger = world.ledger();
        let begun = ledger.now().await.expect("a fresh ledger tells the time");
        let stage = Self { harness, world, ledger, begun, me: ProcessId::random(), ids: AtomicU64::new(1) };
        stage.beat(stage.me).await;
        stage
    }

    /// A new id of the time when the stage was set. Ids only grow.
    pub(crate) fn id(&self) -> JobId {
        self.id_at(self.begun)
    }

    /// A new id of a time before the stage was set. Ids of one time only grow.
    pub(crate) fn id_ago(&self, ago: Duration) -> JobId {
        self.id_at(self.begun.minus(ago))
    }

    pub(crate) fn id_at(&self, at: Timestamp) -> JobId {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let ms = at.as_ms().unsigned_abs();
        JobId(uuid::Builder::from_unix_timestamp_millis(ms, &low).into_uuid())
    }

    /// A new job with nothing special about it, due at once.
    pub(crate) fn job(&self) -> Job {
        self.job_with(self.id())
    }

    /// The same, accepted a while ago by what its id says.
    pub(crate) fn job_ago(&self, ago: Duration) -> Job {
        self.job_with(self.id_ago(ago))
    }

    fn job_with(&self, id: JobId) -> Job {
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: kind("work"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: JobOptions::shared_default(),
        }
    }

    pub(crate) fn jobs(&self, count: usize) -> Vec<Job> {
        (0..count).map(|_| self.job()).collect()
    }

    pub(crate) async fn beat(&self, process: ProcessId) {
        let info = ProcessInfo { id: process, role: "worker".to_owned() };
        self.ledger.heartbeat(&info).await.expect("a heartbeat is taken");
    }

    /// Accepts jobs without keys, by this process.
    pub(crate) async fn accept(&self, jobs: &[Job]) -> BatchAccepted {
        self.accept_by(self.me, jobs).await
    }

    pub(crate) async fn accept_by(&self, owner: ProcessId, jobs: &[Job]) -> BatchAccepted {
        let new: Vec<NewJob> = jobs.iter().cloned().map(plain).collect();
        self.ledger.accept(&new, owner, &[]).await.expect("the jobs are accepted")
    }

    /// Accepts one plain job, and drops its receipt.
    pub(crate) async fn accepted(&self) -> Job {
        let job = self.job();
        let receipt = self.accept(std::slice::from_ref(&job)).await.receipt;
        let receipt = receipt.expect("a new job has a receipt");
        self.ledger.drop_receipts(&[receipt]).await.expect("a receipt is dropped");
        job
    }

    /// Accepts one job by the owner; gives its receipt.
    pub(crate) async fn receipt_of(&self, owner: ProcessId) -> ReceiptId {
        self.accept_by(owner, &[self.job()]).await.receipt.expect("a new job has a receipt")
    }

    pub(crate) async fn take(&self) -> Vec<Receipt> {
        self.take_by(self.me).await
    }

    pub(crate) async fn take_by(&self, taker: ProcessId) -> Vec<Receipt> {
        self.ledger.take_receipts(taker, 100).await.expect("receipts are taken")
    }

    pub(crate) async fn record(&self, records: &[Record]) -> Vec<Recorded> {
        self.ledger.record(records, self.me).await.expect("the records are written").records
    }

    /// Ends the jobs with success at the first attempt.
    pub(crate) async fn succeed(&self, jobs: &[Job]) {
        let records: Vec<Record> = jobs.iter().map(|job| self.success(job, 1)).collect();
        let answers = self.record(&records).await;
        assert!(answers.iter().all(|answer| *answer == Recorded::Committed), "first outcomes are committed");
    }

    pub(crate) fn success(&self, job: &Job, attempt: u32) -> Record {
        self.entry(job, attempt, Entry::Succeeded(None))
    }

    pub(crate) fn death(&self, job: &Job, attempt: u32) -> Record {
        self.entry(job, attempt, Entry::Dead(JobError::new("beyond repair")))
    }

    /// A failure after which the job is tried again one minute per attempt later.
    pub(crate) fn failure(&self, job: &Job, attempt: u32) -> Record {
        self.entry(job, attempt, Entry::Failed(JobError::new(format!("failure {attempt}")), self.retry_at(attempt)))
    }

    /// The same, by a crash.
    pub(crate) fn crash(&self, job: &Job, attempt: u32) -> Record {
        self.entry(job, attempt, Entry::Crashed(JobError::new(format!("crash {attempt}")), self.retry_at(attempt)))
    }

    pub(crate) fn retry_at(&self, attempt: u32) -> Timestamp {
        self.begun.plus(Duration::from_secs(60) * attempt)
    }

    pub(crate) fn entry(&self, job: &Job, attempt: u32, entry: Entry) -> Record {
        let (tenant, at) = (job.tenant.clone(), self.begun.plus(Duration::from_millis(u64::from(attempt))));
        Record { job: job.id, tenant, attempt, at, entry, follow_ups: Vec::new() }
    }

    pub(crate) async fn find(&self, job: &Job) -> Option<JobRecord> {
        self.ledger.job(&job.tenant, job.id).await.expect("a job is looked up")
    }

    /// What the ledger knows of a job that must be there.
    pub(crate) async fn read(&self, job: &Job) -> JobRecord {
        self.find(job).await.unwrap_or_else(|| panic!("the accepted job {} is not there", job.id))
    }

    /// Every unsettled job of a range, page by page; no page may repeat, disorder or exceed anything.
    pub(crate) async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Vec<Unsettled> {
        let (mut found, mut from) = (Vec::new(), after);
        for _ in 0..10_000 {
            let page = self.ledger.unsettled(from, last, limit).await.expect("unsettled jobs are read");
            assert!(page.jobs.len() <= limit, "a page holds {} jobs where {limit} were asked for", page.jobs.len());
            found.extend(page.jobs);
            assert!(page.next.is_none() || page.next > from, "the cursor does not move on");
            from = page.next;
            if from.is_none() {
                assert!(found.is_sorted_by(|a, b| a.id < b.id), "unsettled jobs come once each, in order of id");
                return found;
            }
        }
        panic!("the pages of unsettled jobs do not end");
    }

    pub(crate) async fn unsettled_ids(&self) -> Vec<JobId> {
        ids_of(self.unsettled(None, None, 1_000).await)
    }

    /// Every job of a list, page by page; no page may repeat, disorder or exceed anything.
    pub(crate) async fn list(&self, tenant: &Tenant, filter: &Filter, limit: usize) -> Vec<JobRecord> {
        let (mut found, mut before) = (Vec::new(), None);
        for _ in 0..10_000 {
            let page = self.ledger.list(tenant, filter, before, limit).await.expect("jobs are listed");
            assert!(page.jobs.len() <= limit, "a page holds {} jobs where {limit} were asked for", page.jobs.len());
            found.extend(page.jobs);
            let moves_on = page.next.is_none() || before.is_none_or(|before| page.next < Some(before));
            assert!(moves_on, "the cursor does not move on");
            before = page.next;
            if before.is_none() {
                assert!(found.is_sorted_by(|a, b| a.id() > b.id()), "a list shows each job once, newest first");
                return found;
            }
        }
        panic!("the pages of the list do not end");
    }

    /// The ids of every job of the default tenant that a list shows, newest first.
    pub(crate) async fn listed(&self, filter: &Filter) -> Vec<JobId> {
        self.list(&Tenant::default(), filter, 100).await.iter().map(JobRecord::id).collect()
    }

    /// Closes what can be closed; gives the number of minutes.
    pub(crate) async fn close_all_minutes(&self) -> u64 {
        let mut closed = 0;
        for _ in 0..10_000 {
            match self.ledger.close_minutes().await.expect("minutes are closed") {
                0 => return closed,
                more => closed += more,
            }
        }
        panic!("closing minutes does not end");
    }
}

/// A job without an idempotency key.
pub(crate) fn plain(job: Job) -> NewJob {
    NewJob { job, idempotency: None }
}

/// A job under a key that lives for an hour; `request` stands for what was asked.
pub(crate) fn keyed(job: Job, key: &str, request: u8) -> NewJob {
    let lifetime = Duration::from_secs(3_600);
    NewJob { job, idempotency: Some(Idempotency { key: key.to_owned(), fingerprint: [request; 32], lifetime }) }
}

pub(crate) fn kind(name: &str) -> Kind {
    Kind::new(name).expect("a valid kind")
}

pub(crate) fn queue(name: &str) -> Queue {
    Queue::new(name).expect("a valid queue")
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a valid tenant")
}

pub(crate) fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

pub(crate) fn ids_of(unsettled: Vec<Unsettled>) -> Vec<JobId> {
    unsettled.into_iter().map(|job| job.id).collect()
}
