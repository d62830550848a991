//! Queues that lost their tickets.

use crate::world::{World, kind, queue};
use async_trait::async_trait;
use haul_conformance::reference::ReferenceDispatch;
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef,
    dispatch::{
        Claim, ClaimRequest, DispatchError, Lease, LeaseToken, QueueState, QueueStats, RebuildToken, Result,
        ScanCursor, ScanPage, Settlement, Ticket,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_new_dispatch_gets_every_unsettled_job_of_every_queue_in_order() {
    let world = World::new();
    let (mail, reports) = (world.accepted("mail", 7_000).await, world.accepted("reports", 3).await);
    for id in &mail[..10] {
        world.succeed(*id).await;
    }
    world.repairer().pass().await.unwrap();
    let mut claimed = Vec::new();
    loop {
        let ids = world.claim_ids(&queue("mail")).await;
        if ids.is_empty() {
            break;
        }
        claimed.extend(ids);
    }
    assert_eq!(claimed, mail[10..]);
    assert_eq!(world.claim_ids(&queue("reports")).await, reports);
}

#[tokio::test]
async fn a_queue_that_is_paused_in_the_ledger_is_paused_after_a_rebuild() {
    let world = World::new();
    world.accepted("mail", 1).await;
    world.ledger_pauses("mail").await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim(&queue("mail"), LeaseToken::random()).await.state, QueueState::Paused);
}

#[tokio::test]
async fn a_job_that_is_due_later_waits_after_a_rebuild_too() {
    let world = World::new();
    world.alive().await;
    let mut job = world.job("mail");
    job.run_at = job.created_at().plus(Duration::from_secs(3_600));
    world.accept(world.me, &[job]).await;
    world.repairer().pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    assert_eq!(world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().delayed, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_re_asserts_during_the_grace_is_not_handed_out_again() {
    let world = World::new();
    let ids = world.accepted("mail", 2).await;
    world.repairer().pass().await.unwrap();
    // The queue has a history now: workers may hold leases.
    let later = world.clock.now().plus(Duration::from_secs(60));
    world.clock.sync(later, Duration::ZERO);
    world.lose(&queue("mail")).await;

    let held = Lease { id: ids[0], kind: kind(), priority: Default::default(), token: LeaseToken::random() };
    let mut repairer = world.repairer();
    let re_assert = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mail = queue("mail");
        let extended = world.dispatch.extend(&mail, std::slice::from_ref(&held), Duration::from_secs(3_600)).await;
        assert_eq!(extended.unwrap(), [true]);
    };
    let (repaired, ()) = tokio::join!(repairer.pass(), re_assert);
    repaired.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, [ids[1]]);
}

#[tokio::test]
async fn of_two_repairers_one_rebuilds_and_no_ticket_comes_twice() {
    let world = World::new();
    let ids = world.accepted("mail", 500).await;
    let (mut one, mut other) = (world.repairer(), world.repairer());
    let (first, second) = tokio::join!(one.pass(), other.pass());
    first.and(second).unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, ids);
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_running_repairer_notices_a_new_queue_by_itself() {
    let world = World::new();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(world.repairer().run(shutdown.clone()));
    let ids = world.accepted("mail", 3).await;
    while !world.dispatch.lost(&[queue("mail")]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.claim_ids(&queue("mail")).await, ids);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_committed_behind_the_scans_back_is_found_by_the_second_look() {
    let world = World::new();
    world.accepted("mail", 1).await;
    let mut repairer = world.repairer();
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await.len(), 1);
    // Accepted, and enqueued into a server that was replaced a moment later: nobody has its ticket, nor a receipt.
    let late = world.accepted("mail", 1).await;
    repairer.pass().await.unwrap();
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    tokio::time::sleep(Duration::from_secs(61)).await;
    repairer.pass().await.unwrap();
    assert!(world.claim_ids(&queue("mail")).await.contains(&late[0]));
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_broke_off_is_begun_anew_and_completed() {
    let world = World::new();
    let ids = world.accepted("mail", 12_000).await;
    let fragile = Arc::new(Fragile { inner: world.dispatch.clone(), rebuilds_left: AtomicU32::new(1) });
    let mut repairer = world.repairer_over(fragile.clone());
    assert!(repairer.pass().await.is_err());
    assert_eq!(world.claim(&queue("mail"), LeaseToken::random()).await.state, QueueState::Lost);
    fragile.rebuilds_left.store(u32::MAX, SeqCst);
    // Its own right to rebuild has to run out first.
    let later = world.clock.now().plus(Duration::from_secs(60));
    world.clock.sync(later, Duration::ZERO);
    while !world.dispatch.lost(&[queue("mail")]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        repairer.pass().await.unwrap();
    }
    let stats = world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap();
    assert_eq!(stats.ready, ids.len() as u64);
}

impl World {
    async fn ledger_pauses(&self, name: &str) {
        use haul_core::Ledger;
        assert!(self.ledger.set_paused(&queue(name), true).await.unwrap());
    }
}

/// A dispatch whose connection breaks after some rebuild calls.
struct Fragile {
    inner: Arc<ReferenceDispatch>,
    rebuilds_left: AtomicU32,
}

#[async_trait]
impl Dispatch for Fragile {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        self.inner.enqueue(queue, tickets).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        self.inner.claim(request).await
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        self.inner.extend(queue, leases, lease).await
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        self.inner.settle(queue, settlements).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        self.inner.remove(queue, tickets).await
    }
    async fn pause(&self, queue: &QueueRef, paused: bool) -> Result<()> {
        self.inner.pause(queue, paused).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        self.inner.stats(queue, kinds).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        self.inner.leased(queue, tickets).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        self.inner.running(queue, kinds, limit).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        self.inner.scan(queue, kinds, cursor, limit).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.inner.wait(worker, at_most).await
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        self.inner.wake(queue, kinds).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        self.inner.lost(queues).await
    }
    async fn begin_rebuild(&self, queue: &QueueRef, kinds: &[Kind], hold: Duration) -> Result<Option<RebuildToken>> {
        self.inner.begin_rebuild(queue, kinds, hold).await
    }
    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        let left = self.rebuilds_left.load(SeqCst);
        if left == 0 {
            return Err(DispatchError::Unavailable("the connection broke".into()));
        }
        self.rebuilds_left.store(left - 1, SeqCst);
        self.inner.rebuild(queue, token, tickets, hold).await
    }
    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, paused: bool) -> Result<bool> {
        self.inner.finish_rebuild(queue, token, paused).await
    }
}
