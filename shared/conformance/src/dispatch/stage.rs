//! What every promise of the dispatch suite begins with: a dispatch with one queue that gives out tickets.

use super::{DispatchHarness, DispatchWorld};
use haul_core::{
    Clock, Dispatch, JobId, Kind, Priority, ProcessId, Queue, QueueSettings, Tenant, Timestamp,
    dispatch::{Claim, ClaimRequest, Claimed, Lease, LeaseToken, Next, QueueState, QueueStats, Settlement, Ticket},
    name::QueueRef,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) const PAUSED: QueueSettings = QueueSettings { paused: true, slots: 1 };
/// For leases and rights that must hold while the promise is checked.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);
/// For leases, rights and due times that must pass.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
/// The kinds that the suite uses.
pub(crate) const KINDS: [&str; 3] = ["a", "b", "c"];

/// A dispatch with one queue that gives out tickets.
pub struct Stage {
    /// Makes further dispatches.
    pub harness: Arc<dyn DispatchHarness>,
    /// The dispatch's other side.
    pub world: Arc<dyn DispatchWorld>,
    /// The dispatch.
    pub dispatch: Arc<dyn Dispatch>,
    /// The queue that gives out tickets.
    pub queue: QueueRef,
    clock: Clock,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh dispatch.
    pub async fn new(harness: Arc<dyn DispatchHarness>) -> Self {
        let world = harness.fresh().await;
        let (dispatch, queue) = (world.dispatch(), QueueRef::default());
        let stage = Self { harness, world, dispatch, queue, clock: Clock::new(), ids: AtomicU64::new(1) };
        stage.rebuild(&stage.queue, &[]).await;
        stage
    }

    /// Makes a queue give out tickets, with these in it.
    pub(crate) async fn rebuild(&self, queue: &QueueRef, tickets: &[Ticket]) {
        let token = self
            .dispatch
            .begin_rebuild(queue, &all_kinds(), &QueueSettings::default(), LONG)
            .await
            .expect("a rebuild begins");
        let token = token.expect("no other rebuild is under way");
        assert!(self.dispatch.rebuild(queue, token, tickets, LONG).await.expect("a rebuild goes on"));
        assert!(self.dispatch.finish_rebuild(queue, token, &QueueSettings::default()).await.expect("a rebuild ends"));
    }

    /// The same dispatch, with another queue in the middle.
    pub(crate) fn with_queue(&self, queue: QueueRef) -> Self {
        let (harness, world, dispatch) = (self.harness.clone(), self.world.clone(), self.dispatch.clone());
        Self { harness, world, dispatch, queue, clock: Clock::new(), ids: AtomicU64::new(1 << 32) }
    }

    /// A queue that the dispatch has never heard of.
    pub(crate) fn other_queue(&self, name: &str) -> QueueRef {
        QueueRef { tenant: Tenant::default(), queue: Queue::new(name).expect("a valid queue") }
    }

    /// Ids only grow.
    pub(crate) fn id(&self) -> JobId {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let ms = self.now().as_ms().unsigned_abs();
        JobId(uuid::Builder::from_unix_timestamp_millis(ms, &low).into_uuid())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn later(&self) -> Timestamp {
        self.now().plus(LONG)
    }

    /// A new ticket, claimable at once.
    pub(crate) fn ticket(&self, kind_name: &str) -> Ticket {
        Ticket { id: self.id(), kind: kind(kind_name), priority: Priority::default(), due: None }
    }

    pub(crate) fn ticket_due_in(&self, kind_name: &str, pause: Duration) -> Ticket {
        Ticket { due: Some(self.now().plus(pause)), ..self.ticket(kind_name) }
    }

    pub(crate) fn tickets(&self, kind_name: &str, count: usize) -> Vec<Ticket> {
        (0..count).map(|_| self.ticket(kind_name)).collect()
    }

    pub(crate) async fn enqueue(&self, tickets: &[Ticket]) {
        self.dispatch.enqueue(&self.queue, tickets).await.expect("tickets are enqueued");
    }

    /// Enqueues one new ticket of kind "a".
    pub(crate) async fn enqueued(&self) -> Ticket {
        let ticket = self.ticket("a");
        self.enqueue(std::slice::from_ref(&ticket)).await;
        ticket
    }

    /// One claim, as it is answered.
    pub(crate) async fn claim_by(
        &self,
        worker: ProcessId,
        kinds: &[(&str, usize)],
        limit: usize,
        lease: Duration,
    ) -> (Claim, LeaseToken) {
        let kinds: Vec<(Kind, usize)> = kinds.iter().map(|(name, room)| (kind(name), *room)).collect();
        let token = LeaseToken::random();
        let request = ClaimRequest { queue: &self.queue, kinds: &kinds, limit, worker, token, lease };
        (self.dispatch.claim(&request).await.expect("tickets are claimed"), token)
    }

    /// Claims at most `limit` tickets of every kind, for long.
    pub(crate) async fn claim(&self, limit: usize) -> Vec<Lease> {
        self.claim_for(limit, LONG).await
    }

    pub(crate) async fn claim_for(&self, limit: usize, lease: Duration) -> Vec<Lease> {
        let room: Vec<(&str, usize)> = KINDS.iter().map(|name| (*name, limit)).collect();
        let (claim, token) = self.claim_by(ProcessId::random(), &room, limit, lease).await;
        assert_eq!(claim.state, QueueState::Ready);
        assert!(
            claim.tickets.len() <= limit,
            "{} tickets were given where {limit} were asked for",
            claim.tickets.len()
        );
        leases(&claim, token)
    }

    pub(crate) async fn claim_ids(&self, limit: usize) -> Vec<JobId> {
        self.claim(limit).await.iter().map(|lease| lease.id).collect()
    }

    /// Claims until a ticket comes.
    pub(crate) async fn claim_one(&self, what: &str) -> (Claimed, Lease) {
        let room: Vec<(&str, usize)> = KINDS.iter().map(|name| (*name, 1)).collect();
        crate::eventually(what, async || {
            let (claim, token) = self.claim_by(ProcessId::random(), &room, 1, LONG).await;
            let claimed = claim.tickets.first().cloned()?;
            Some((claimed, leases(&claim, token).remove(0)))
        })
        .await
    }

    pub(crate) async fn extend(&self, leases: &[Lease], lease: Duration) -> Vec<bool> {
        self.dispatch.extend(&self.queue, leases, lease).await.expect("leases are extended")
    }

    pub(crate) async fn settle(&self, leases: &[Lease], next: Next) {
        let settle = |lease: &Lease| Settlement { lease: lease.clone(), next };
        let settlements: Vec<Settlement> = leases.iter().map(settle).collect();
        self.dispatch.settle(&self.queue, &settlements).await.expect("leases are settled");
    }

    pub(crate) async fn stats(&self) -> QueueStats {
        self.dispatch.stats(&self.queue, &all_kinds()).await.expect("figures are told")
    }

    /// Ready, delayed and leased.
    pub(crate) async fn counts(&self) -> (u64, u64, u64) {
        let stats = self.stats().await;
        (stats.ready, stats.delayed, stats.leased)
    }

    pub(crate) async fn is_leased(&self, ticket: &Ticket) -> bool {
        let leased = self.dispatch.leased(&self.queue, &[(ticket.kind.clone(), ticket.id)]).await;
        leased.expect("leases are looked up") == [true]
    }

    pub(crate) async fn state(&self, queue: &QueueRef) -> QueueState {
        let kinds = [(kind("a"), 1)];
        let (worker, token) = (ProcessId::random(), LeaseToken::random());
        let request = ClaimRequest { queue, kinds: &kinds, limit: 1, worker, token, lease: LONG };
        let claim = self.dispatch.claim(&request).await.expect("a claim is answered");
        assert!(claim.state == QueueState::Ready || claim.tickets.is_empty(), "{:?} gave out tickets", claim.state);
        claim.state
    }

    pub(crate) async fn is_lost(&self, queue: &QueueRef) -> bool {
        let lost = self.dispatch.lost(std::slice::from_ref(queue)).await.expect("lost queues are told");
        assert!(lost.len() <= 1 && lost.iter().all(|lost| lost == queue), "only what was asked for is told: {lost:?}");
        !lost.is_empty()
    }
}

pub(crate) fn leases(claim: &Claim, token: LeaseToken) -> Vec<Lease> {
    let lease = |ticket: &Claimed| Lease { id: ticket.id, kind: ticket.kind.clone(), priority: ticket.priority, token };
    claim.tickets.iter().map(lease).collect()
}

pub(crate) fn kind(name: &str) -> Kind {
    Kind::new(name).expect("a valid kind")
}

pub(crate) fn all_kinds() -> Vec<Kind> {
    KINDS.iter().map(|name| kind(name)).collect()
}

pub(crate) fn priority(number: u8) -> Priority {
    Priority::new(number).expect("a valid priority")
}

pub(crate) fn ids(tickets: &[Ticket]) -> Vec<JobId> {
    tickets.iter().map(|ticket| ticket.id).collect()
}
