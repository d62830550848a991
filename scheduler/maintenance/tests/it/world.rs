//! What every test begins with: the reference stores, and a worker for maintenance.

use async_trait::async_trait;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, Config, Dispatch, IdMint, Job, JobId, JobOptions, Kind, Ledger, Maintenance, Priority, ProcessId, Queue,
    QueueRef, QueueSettings, RetryPolicy, Span, Tenant, Timestamp,
    dispatch::Ticket,
    ledger::{LedgerError, NewJob, Result},
    maintenance::{Progress, Retained, Retention},
    outcome::{FinalState, Outcome},
};
use haul_maintenance::{Tools, handlers, worker_config};
use haul_repair::Auditor;
use haul_worker::Worker;
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) ledger: Arc<ReferenceLedger>,
    pub(crate) dispatch: Arc<ReferenceDispatch>,
    pub(crate) away: Arc<AtomicBool>,
    pub(crate) tools: Tools,
    mint: Arc<IdMint>,
    stop: CancellationToken,
}

/// A ledger whose maintenance is away for as long as it is told to be.
struct Away {
    inner: Arc<ReferenceLedger>,
    away: Arc<AtomicBool>,
}

impl Away {
    fn get(&self) -> Result<&ReferenceLedger> {
        if self.away.load(Ordering::SeqCst) {
            return Err(LedgerError::Unavailable("it is away".into()));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Maintenance for Away {
    async fn retain(&self, retention: &Retention) -> Result<Retained> {
        self.get()?.retain(retention).await
    }
    async fn erase_payloads(&self, before: Timestamp) -> Result<Progress> {
        self.get()?.erase_payloads(before).await
    }
    async fn expire_keys(&self, limit: usize) -> Result<Progress> {
        self.get()?.expire_keys(limit).await
    }
    async fn analyze(&self) -> Result<Progress> {
        self.get()?.analyze().await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    /// Stores of which the queue for maintenance is known and whole, and a worker at it.
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(Clock::new());
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        let dispatch = Arc::new(ReferenceDispatch::new(clock.clone()));
        let away = Arc::new(AtomicBool::new(false));
        let config = Config::defaults();
        let tools = Tools {
            ledger: ledger.clone(),
            maintenance: Arc::new(Away { inner: ledger.clone(), away: away.clone() }),
            statistics: ledger.clone(),
            audit: Arc::new(Auditor::new(ledger.clone(), dispatch.clone(), &config.repair)),
            config: config.maintenance.clone(),
            reconciles: false,
        };
        let (mint, stop) = (Arc::new(IdMint::new(clock)), CancellationToken::new());
        let world = Self { ledger, dispatch, away, tools, mint, stop };
        world.rebuild("maintenance").await;
        let builder = Worker::builder().ledger(world.ledger.clone()).dispatch(world.dispatch.clone());
        let builder = builder.mint(world.mint.clone()).config(worker_config(&config.worker));
        let worker = handlers(builder, &world.tools).build().expect("a worker");
        tokio::spawn(worker.run(world.stop.clone()));
        world
    }

    /// Makes a queue whole.
    pub(crate) async fn rebuild(&self, queue: &str) {
        let (queue, settings) = (queue_ref(queue), QueueSettings::default());
        let hold = Duration::from_secs(5);
        let token = self.dispatch.begin_rebuild(&queue, &[], &settings, hold).await.expect("a rebuild");
        let token = token.expect("the right to it");
        assert!(self.dispatch.finish_rebuild(&queue, token, &settings).await.expect("its end"));
    }

    /// A job of an age, accepted. It has no ticket.
    pub(crate) async fn job(&self, queue: &str, kind: &str, payload: &str, ago: Duration) -> Job {
        let now = self.mint.clock().now();
        let id = if ago.is_zero() {
            self.mint.next()
        } else {
            let random = uuid_bytes(self.mint.next());
            let ms = now.minus(ago).as_ms().unsigned_abs();
            JobId(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
        };
        let retry = RetryPolicy { base: Span::from_ms(10), cap: Span::from_ms(20), ..RetryPolicy::default() };
        let job = Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::new(queue).expect("a queue"),
            kind: Kind::new(kind).expect("a kind"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: payload.to_owned().into(),
            options: Arc::new(JobOptions { retry, ..JobOptions::default() }),
        };
        let new = NewJob { job: job.clone(), idempotency: None };
        self.ledger.accept(&[new], ProcessId::NOBODY, &[]).await.expect("it is accepted");
        job
    }

    /// Submits a maintenance job.
    pub(crate) async fn submit(&self, kind: &str, payload: &str) -> JobId {
        let job = self.job("maintenance", kind, payload, Duration::ZERO).await;
        let ticket = Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due: None };
        self.dispatch.enqueue(&job.queue_ref(), &[ticket]).await.expect("it is enqueued");
        job.id
    }

    /// How a job ended.
    pub(crate) async fn outcome(&self, id: JobId) -> Outcome {
        let end = Instant::now() + LIMIT;
        loop {
            let record = self.ledger.job(&Tenant::default(), id).await.expect("a look").expect("the job");
            if let Some(outcome) = record.outcome {
                return outcome;
            }
            assert!(Instant::now() < end, "it has not ended: {record:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs a job that succeeds, and gives its result.
    pub(crate) async fn result(&self, kind: &str, payload: &str) -> Value {
        let outcome = self.outcome(self.submit(kind, payload).await).await;
        assert_eq!(outcome.state, FinalState::Succeeded, "{outcome:?}");
        serde_json::from_slice(&outcome.result.expect("a result")).expect("JSON")
    }

    /// Runs a job that dies, and tells of what.
    pub(crate) async fn death(&self, kind: &str, payload: &str) -> String {
        let outcome = self.outcome(self.submit(kind, payload).await).await;
        assert_eq!(outcome.state, FinalState::Dead, "{outcome:?}");
        outcome.error.expect("an error").message
    }
}

pub(crate) fn queue_ref(queue: &str) -> QueueRef {
    QueueRef { tenant: Tenant::default(), queue: Queue::new(queue).expect("a queue") }
}

fn uuid_bytes(id: JobId) -> [u8; 10] {
    let mut random = [0; 10];
    random.copy_from_slice(&id.as_bytes()[6..]);
    random
}
