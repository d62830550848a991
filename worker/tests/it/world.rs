//! A ledger, a dispatch and workers between them: what each test begins with.

use crate::faulty::{FaultyDispatch, FaultyLedger};
use bytes::Bytes;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, Config, Dispatch, FinalState, IdMint, Job, JobId, JobOptions, Kind, Ledger, Outcome, Priority, ProcessId,
    Queue, QueueRef, QueueSettings, RetryPolicy, Span, Tenant,
    config::WorkerConfig,
    dispatch::{QueueStats, Ticket},
    ledger::{NewJob, Transactions},
    outcome::JobRecord,
};

use haul_worker::{Worker, WorkerBuilder, WorkerError};
use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) mint: Arc<IdMint>,
    pub(crate) ledger: Arc<FaultyLedger>,
    pub(crate) dispatch: Arc<FaultyDispatch>,
    submitter: ProcessId,
    rebuilt: Mutex<HashSet<QueueRef>>,
}

/// A worker that runs.
pub(crate) struct Running {
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Tells it to end, and waits for that.
    pub(crate) async fn end(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        timeout(LIMIT, self.ended).await.expect("the worker ends").expect("the worker does not panic")
    }
    /// Drops it in the middle of everything, as a crash would.
    pub(crate) async fn kill(self) {
        self.ended.abort();
        drop(self.ended.await);
    }
}

pub(crate) fn queue(name: &str) -> QueueRef {
    QueueRef { tenant: Tenant::default(), queue: Queue::new(name).unwrap() }
}

/// Attempts without noticeable pauses.
pub(crate) fn quick(max_attempts: u16) -> JobOptions {
    let (base, cap) = (Span::from_ms(10), Span::from_ms(40));
    JobOptions { retry: RetryPolicy { max_attempts, base, cap, ..RetryPolicy::default() }, ..JobOptions::default() }
}

pub(crate) fn config() -> WorkerConfig {
    WorkerConfig { lease: Span::from_ms(3_000), drain: Span::from_ms(5_000), ..Config::defaults().worker }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|clock| Arc::new(FaultyLedger::new(ReferenceLedger::new(clock))))
    }

    /// A world whose ledger offers transactions.
    pub(crate) fn offering(transactions: impl FnOnce(Weak<FaultyLedger>) -> Arc<dyn Transactions>) -> Self {
        Self::with(|clock| {
            Arc::new_cyclic(|ledger| FaultyLedger {
                transactions: Some(transactions(ledger.clone())),
                ..FaultyLedger::new(ReferenceLedger::new(clock))
            })
        })
    }

    fn with(ledger: impl FnOnce(Arc<Clock>) -> Arc<FaultyLedger>) -> Self {
        let clock = Arc::new(Clock::new());
        Self {
            mint: Arc::new(IdMint::new(clock.clone())),
            ledger: ledger(clock.clone()),
            dispatch: Arc::new(FaultyDispatch::new(ReferenceDispatch::new(clock.clone()))),
            clock,
            submitter: ProcessId::random(),
            rebuilt: Mutex::default(),
        }
    }

    pub(crate) fn builder(&self) -> WorkerBuilder {
        Worker::builder()
            .ledger(self.ledger.clone())
            .dispatch(self.dispatch.clone())
            .mint(self.mint.clone())
            .config(config())
    }

    pub(crate) fn start(&self, builder: WorkerBuilder) -> Running {
        let worker = builder.build().expect("the worker can be built");
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(worker.run(shutdown.clone()));
        Running { shutdown, ended }
    }

    pub(crate) fn job(&self, kind: &str, payload: &str, options: JobOptions) -> Job {
        let id = self.mint.next();
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new(kind).unwrap(),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            options: Arc::new(options),
        }
    }

    /// Accepts jobs of one queue and brings their tickets into the dispatch.
    pub(crate) async fn accept(&self, jobs: Vec<Job>) {
        let Some(queue) = jobs.first().map(Job::queue_ref) else { return };
        let tickets: Vec<Ticket> = jobs.iter().map(ticket).collect();
        let new: Vec<NewJob> = jobs.into_iter().map(|job| NewJob { job, idempotency: None }).collect();
        self.ledger.inner.accept(&new, self.submitter, &[]).await.unwrap();
        self.open(&queue).await;
        for tickets in tickets.chunks(1_000) {
            self.dispatch.inner.enqueue(&queue, tickets).await.unwrap();
        }
    }

    /// Lets the queue give out tickets, which repair does in the product.
    pub(crate) async fn open(&self, queue: &QueueRef) {
        if self.rebuilt.lock().unwrap().insert(queue.clone()) {
            let token = self
                .dispatch
                .inner
                .begin_rebuild(queue, &[], &QueueSettings::default(), Duration::from_secs(5))
                .await
                .unwrap()
                .unwrap();
            assert!(self.dispatch.inner.finish_rebuild(queue, token, &QueueSettings::default()).await.unwrap());
        }
    }

    pub(crate) async fn submit(&self, kind: &str, payload: &str) -> JobId {
        self.submit_with(kind, payload, quick(3)).await
    }

    pub(crate) async fn submit_with(&self, kind: &str, payload: &str, options: JobOptions) -> JobId {
        let job = self.job(kind, payload, options);
        let id = job.id;
        self.accept(vec![job]).await;
        id
    }

    pub(crate) async fn look(&self, id: JobId) -> JobRecord {
        self.ledger.inner.job(&Tenant::default(), id).await.unwrap().expect("the job is in the ledger")
    }

    /// Waits for the job's outcome.
    pub(crate) async fn outcome(&self, id: JobId) -> Outcome {
        eventually("an outcome", async || self.look(id).await.outcome).await
    }

    pub(crate) async fn stats(&self, name: &str, kinds: &[&str]) -> QueueStats {
        let kinds: Vec<Kind> = kinds.iter().map(|kind| Kind::new(kind).unwrap()).collect();
        self.dispatch.inner.stats(&queue(name), &kinds).await.unwrap()
    }

    pub(crate) async fn succeeded(&self, id: JobId) -> serde_json::Value {
        let outcome = self.outcome(id).await;
        assert_eq!(outcome.state, FinalState::Succeeded, "{:?}", outcome.error);
        outcome.result.map_or(serde_json::Value::Null, |result| serde_json::from_slice(&result).unwrap())
    }

    /// Waits until the job is dead, and tells of what.
    pub(crate) async fn died(&self, id: JobId) -> (u32, String) {
        let outcome = self.outcome(id).await;
        assert_eq!(outcome.state, FinalState::Dead);
        (outcome.attempt, outcome.error.unwrap().message)
    }
}

pub(crate) fn ticket(job: &Job) -> Ticket {
    let due = (job.run_at > job.created_at()).then_some(job.run_at);
    Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due }
}

/// Waits until `look` gives something.
pub(crate) async fn eventually<T>(what: impl Debug, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let ends_at = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < ends_at, "{what:?} did not come true within {LIMIT:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
