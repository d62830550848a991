//! A ledger, a dispatch, and a reconciler between them.

use bytes::Bytes;
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Clock, Dispatch, IdMint, Job, JobError, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, QueueRef,
    QueueSettings, Tenant, Timestamp,
    config::Config,
    dispatch::{Claim, ClaimRequest, LeaseToken, QueueState},
    ledger::{Entry, NewJob, ProcessInfo, ReceiptId, Record},
};
use haul_embedded::MemoryDispatch;
use haul_repair::Repairer;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) mint: IdMint,
    pub(crate) ledger: Arc<ReferenceLedger>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) me: ProcessId,
}

pub(crate) fn kind() -> Kind {
    Kind::new("work").unwrap()
}

pub(crate) fn queue(name: &str) -> QueueRef {
    QueueRef { tenant: Tenant::default(), queue: Queue::new(name).unwrap() }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Clock::new())
    }

    /// A world whose clock goes as tokio's timers do.
    pub(crate) fn simulated() -> Self {
        Self::on(Clock::simulated(Timestamp::from_ms(1_800_000_000_000)))
    }

    /// The same over the dispatch in memory, whose scans meet tickets where they stand.
    pub(crate) fn simulated_over_memory() -> Self {
        let world = Self::simulated();
        let dispatch = Arc::new(MemoryDispatch::new(world.clock.clone()));
        Self { dispatch, ..world }
    }

    fn on(clock: Clock) -> Self {
        let clock = Arc::new(clock);
        Self {
            mint: IdMint::new(clock.clone()),
            ledger: Arc::new(ReferenceLedger::new(clock.clone())),
            dispatch: Arc::new(ReferenceDispatch::new(clock.clone())),
            clock,
            me: ProcessId::random(),
        }
    }

    /// The process that accepts jobs is alive, as far as the ledger knows.
    pub(crate) async fn alive(&self) {
        let info = ProcessInfo { id: self.me, role: "api".to_owned() };
        self.ledger.heartbeat(&info).await.unwrap();
    }

    pub(crate) fn repairer(&self) -> Repairer {
        self.repairer_over(self.dispatch.clone())
    }

    pub(crate) fn repairer_over(&self, dispatch: Arc<dyn Dispatch>) -> Repairer {
        let signal = Arc::new(Notify::new());
        Repairer::new(self.me, self.ledger.clone(), dispatch, &Config::defaults().repair, signal)
    }

    pub(crate) fn job(&self, queue: &str) -> Job {
        let id = self.mint.next();
        Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::new(queue).unwrap(),
            kind: kind(),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: JobOptions::shared_default(),
        }
    }

    pub(crate) async fn accept(&self, owner: ProcessId, jobs: &[Job]) -> ReceiptId {
        let new: Vec<_> = jobs.iter().map(|job| NewJob { job: job.clone(), idempotency: None }).collect();
        self.ledger.accept(&new, owner, &[]).await.unwrap().receipt.unwrap()
    }

    pub(crate) async fn accepted(&self, queue: &str, count: usize) -> Vec<JobId> {
        let jobs: Vec<_> = (0..count).map(|_| self.job(queue)).collect();
        let receipt = self.accept(self.me, &jobs).await;
        self.ledger.drop_receipts(&[receipt]).await.unwrap();
        jobs.iter().map(|job| job.id).collect()
    }

    pub(crate) async fn succeed(&self, id: JobId) {
        let record = Record {
            job: id,
            tenant: Tenant::default(),
            attempt: 1,
            at: self.clock.now(),
            entry: Entry::Succeeded(None),
            follow_ups: Vec::new(),
        };
        self.ledger.record(&[record], self.me).await.unwrap();
    }

    /// Records a failed attempt that is tried again after a pause.
    pub(crate) async fn fail(&self, id: JobId, pause: Duration) {
        let now = self.clock.now();
        let attempt = 1 + self.ledger.load(&[id]).await.unwrap()[0].failures;
        let entry = Entry::Failed(JobError::new("it failed"), now.plus(pause));
        let tenant = Tenant::default();
        let record = Record { job: id, tenant, attempt, at: now, entry, follow_ups: Vec::new() };
        self.ledger.record(&[record], self.me).await.unwrap();
    }

    pub(crate) async fn claim(&self, queue: &QueueRef, token: LeaseToken) -> Claim {
        self.claim_for(queue, token, 1_000, Duration::from_secs(3_600)).await
    }

    pub(crate) async fn claim_for(&self, queue: &QueueRef, token: LeaseToken, limit: usize, lease: Duration) -> Claim {
        let kinds = [(kind(), limit)];
        let request = ClaimRequest { queue, kinds: &kinds, limit, worker: ProcessId::random(), token, lease };
        self.dispatch.claim(&request).await.unwrap()
    }

    /// Claims everything that the queue gives out: the ids, in order. Panics when the queue is lost.
    pub(crate) async fn claim_ids(&self, queue: &QueueRef) -> Vec<JobId> {
        let claim = self.claim(queue, LeaseToken::random()).await;
        assert_eq!(claim.state, QueueState::Ready);
        claim.tickets.into_iter().map(|ticket| ticket.id).collect()
    }

    /// Loses everything that the dispatch holds of a queue but its leases, as another server would have.
    pub(crate) async fn lose(&self, queue: &QueueRef) {
        assert!(self.may_lose(queue).await);
    }

    /// The same, unless the queue is being rebuilt.
    pub(crate) async fn may_lose(&self, queue: &QueueRef) -> bool {
        let hold = Duration::from_millis(1);
        let begun = self.dispatch.begin_rebuild(queue, &[kind()], &QueueSettings::default(), hold).await.unwrap();
        self.clock.sync(self.clock.now().plus(hold * 10), Duration::ZERO);
        begun.is_some()
    }
}
