//! A ledger, a dispatch, the built-in kinds and a worker: what each test begins with.

use bytes::Bytes;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Books, Clock, Config, Dispatch, FinalState, IdMint, Job, JobId, JobOptions, Kind, Ledger, Outcome, Payment,
    Priority, ProcessId, Queue, QueueSettings, RetryPolicy, Span, Tenant, books,
    config::{Allow, AllowList, WorkerConfig},
    dispatch::Ticket,
    ledger::NewJob,
    outcome::JobRecord,
    payment::{Assignment, KIND_CHARGE},
};
use haul_embedded::MemoryPace;
use haul_handlers::{Equipment, Pacer, Secrets, builtin, webhooks};
use haul_testkit::wait;
use haul_worker::{Worker, WorkerError};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    mint: Arc<IdMint>,
    pub(crate) ledger: Arc<ReferenceLedger>,
    dispatch: Arc<ReferenceDispatch>,
    pub(crate) pace: Arc<MemoryPace>,
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), WorkerError>>,
}

/// Attempts without noticeable pauses.
pub(crate) fn quick(max_attempts: u16) -> JobOptions {
    let (base, cap) = (Span::from_ms(10), Span::from_ms(40));
    JobOptions { retry: RetryPolicy { max_attempts, base, cap, ..RetryPolicy::default() }, ..JobOptions::default() }
}

/// The defaults, and this machine may be called. No breaker opens: most tests want every answer to be used.
pub(crate) fn config() -> Config {
    let mut config = Config::defaults();
    config.outgoing.allow = AllowList::Only(vec![Allow::Loopback]);
    (config.pace.failures, config.pace.window_calls) = (1_000, 1_000);
    // The longest pause that is kept.
    config.pace.open_cap = Span::from_secs(1);
    config.worker = WorkerConfig { lease: Span::from_ms(3_000), drain: Span::from_ms(5_000), ..config.worker };
    config
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(config(), Secrets::default()).await
    }

    pub(crate) async fn with(config: Config, secrets: Secrets) -> Self {
        let equipment = Equipment::new(&config, secrets).unwrap();
        let clock = Arc::new(Clock::new());
        let mint = Arc::new(IdMint::new(clock.clone()));
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        let dispatch = Arc::new(ReferenceDispatch::new(clock));
        let builder = Worker::builder().ledger(ledger.clone()).dispatch(dispatch.clone()).mint(mint.clone());
        let builder = webhooks(builtin(builder, &equipment), ledger.clone(), ledger.clone());
        let pace = Arc::new(MemoryPace::default());
        let builder = builder.data(Pacer::new(pace.clone(), config.pace.rules()));
        let builder = builder.data::<Arc<dyn Books>>(ledger.clone());
        let worker = builder.config(config.worker).build().unwrap();
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(worker.run(shutdown.clone()));
        let world = Self { mint, ledger, dispatch, pace, shutdown, ended };
        world.open().await;
        world
    }

    /// Lets the queue give out tickets, which repair does in the product.
    async fn open(&self) {
        let (queue, settings) = (self.job("echo", "1", quick(1)).queue_ref(), QueueSettings::default());
        let begun = self.dispatch.begin_rebuild(&queue, &[], &settings, Duration::from_secs(5)).await;
        assert!(self.dispatch.finish_rebuild(&queue, begun.unwrap().unwrap(), &settings).await.unwrap());
    }

    fn job(&self, kind: &str, payload: &str, options: JobOptions) -> Job {
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

    pub(crate) async fn submit(&self, kind: &str, payload: &serde_json::Value, options: JobOptions) -> JobId {
        let job = self.job(kind, &payload.to_string(), options);
        let (id, queue) = (job.id, job.queue_ref());
        let ticket = Ticket { id, kind: job.kind.clone(), priority: job.priority, due: None };
        let new = NewJob { job, idempotency: None };
        self.ledger.accept(&[new], ProcessId::random(), &[]).await.unwrap();
        self.dispatch.enqueue(&queue, &[ticket]).await.unwrap();
        id
    }

    /// Makes a payment, and the job that charges it.
    pub(crate) async fn pay(&self, options: JobOptions, payment: impl FnOnce(JobId) -> Payment) -> JobId {
        let job = self.job(KIND_CHARGE, "null", options);
        let (id, queue) = (job.id, job.queue_ref());
        let payment = payment(id);
        let payload = Assignment { payment: payment.id, operation: 1 }.payload().into();
        let ticket = Ticket { id, kind: job.kind.clone(), priority: job.priority, due: None };
        let job = NewJob { job: Job { payload, ..job }, idempotency: None };
        let order = books::Order { entry: books::Entry::New(payment), operation: 1, job };
        self.ledger.order(&order, ProcessId::random(), &[]).await.unwrap();
        self.dispatch.enqueue(&queue, &[ticket]).await.unwrap();
        id
    }

    pub(crate) async fn look(&self, id: JobId) -> JobRecord {
        self.ledger.job(&Tenant::default(), id).await.unwrap().expect("the job is in the ledger")
    }

    /// Waits for the job's outcome.
    pub(crate) async fn outcome(&self, id: JobId) -> Outcome {
        wait::until("an outcome", LIMIT, async || self.look(id).await.outcome).await
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

    /// Ends the worker.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        timeout(LIMIT, self.ended).await.expect("the worker ends").unwrap().unwrap();
    }
}
