//! What the tests share: one Redis for all that change nothing but their own queues, and short ways to say things.

use haul_core::{
    Dispatch, JobId, Kind, Priority, ProcessId, Queue, QueueRef, QueueSettings, Tenant, Timestamp,
    dispatch::{self, Claim, ClaimRequest, Claimed, Lease, LeaseToken, Ticket},
};
use haul_redis::{RedisDispatch, Timeouts};
use haul_testkit::redis::{Options, Server};
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

pub(crate) const PAUSED: QueueSettings = QueueSettings { paused: true, slots: 1 };

/// A lease that does not expire within a test.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// The Redis that tests share.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&Options::default()).unwrap())
}

pub(crate) async fn connect(url: &str) -> RedisDispatch {
    RedisDispatch::connect(&url.into(), Timeouts::default()).await.unwrap()
}

/// A queue of its own, rebuilt and empty.
pub(crate) async fn queue_on(dispatch: &RedisDispatch, kinds: &[Kind]) -> QueueRef {
    let queue = new_queue();
    rebuild(dispatch, &queue, kinds, &[]).await;
    queue
}

pub(crate) fn new_queue() -> QueueRef {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("q{}", COUNT.fetch_add(1, Ordering::Relaxed));
    QueueRef { tenant: Tenant::default(), queue: Queue::new(name).unwrap() }
}

pub(crate) async fn rebuild(dispatch: &RedisDispatch, queue: &QueueRef, kinds: &[Kind], tickets: &[Ticket]) {
    let token = dispatch
        .begin_rebuild(queue, kinds, &QueueSettings::default(), LONG)
        .await
        .unwrap()
        .expect("nobody else rebuilds");
    assert!(dispatch.rebuild(queue, token, tickets, LONG).await.unwrap());
    assert!(dispatch.finish_rebuild(queue, token, &QueueSettings::default()).await.unwrap());
}

pub(crate) fn kind(name: &str) -> Kind {
    Kind::new(name).unwrap()
}

/// Ids in the order in which they are made.
pub(crate) fn new_id() -> JobId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = u128::from(COUNT.fetch_add(1, Ordering::Relaxed));
    JobId(Uuid::from_u128((0x0199_0000_0000 << 80) | (0x7 << 76) | (0x2 << 62) | count))
}

pub(crate) fn ticket(kind: &Kind) -> Ticket {
    Ticket { id: new_id(), kind: kind.clone(), priority: Priority::default(), due: None }
}

pub(crate) fn tickets(kind: &Kind, count: usize) -> Vec<Ticket> {
    (0..count).map(|_| ticket(kind)).collect()
}

/// A time on the server's clock, which is this machine's.
pub(crate) fn from_now(duration: Duration) -> Timestamp {
    haul_core::Clock::new().now().plus(duration)
}

/// One worker, with room for everything.
pub(crate) struct Worker {
    pub(crate) id: ProcessId,
    pub(crate) kinds: Vec<(Kind, usize)>,
    pub(crate) lease: Duration,
}

impl Worker {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let kinds = kinds.iter().map(|kind| (kind.clone(), 1_000)).collect();
        Self { id: ProcessId::random(), kinds, lease: LONG }
    }

    pub(crate) async fn claim(&self, dispatch: &RedisDispatch, queue: &QueueRef, limit: usize) -> (Claim, LeaseToken) {
        let token = LeaseToken::random();
        let request = ClaimRequest { queue, kinds: &self.kinds, limit, worker: self.id, token, lease: self.lease };
        (dispatch.claim(&request).await.unwrap(), token)
    }

    /// Claims and turns the tickets into leases.
    pub(crate) async fn take(&self, dispatch: &RedisDispatch, queue: &QueueRef, limit: usize) -> Vec<Lease> {
        self.try_take(dispatch, queue, limit).await.unwrap()
    }

    pub(crate) async fn try_take(
        &self,
        dispatch: &RedisDispatch,
        queue: &QueueRef,
        limit: usize,
    ) -> dispatch::Result<Vec<Lease>> {
        let token = LeaseToken::random();
        let request = ClaimRequest { queue, kinds: &self.kinds, limit, worker: self.id, token, lease: self.lease };
        let claim = dispatch.claim(&request).await?;
        Ok(claim.tickets.iter().map(|claimed| lease(claimed, token)).collect())
    }
}

/// Whether the worker is woken for the queue. Other tests may wake it for theirs, which may be new, at any time.
pub(crate) async fn is_woken(dispatch: &RedisDispatch, worker: &Worker, queue: &QueueRef, at_most: Duration) -> bool {
    let deadline = Instant::now() + at_most;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if dispatch.wait(worker.id, left).await.contains(queue) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

pub(crate) fn lease(claimed: &Claimed, token: LeaseToken) -> Lease {
    Lease { id: claimed.id, kind: claimed.kind.clone(), priority: claimed.priority, token }
}

pub(crate) fn ids(claim: &Claim) -> Vec<JobId> {
    claim.tickets.iter().map(|claimed| claimed.id).collect()
}

/// Tries until it gives something, for 20 s at most.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it did not come true within 20 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
