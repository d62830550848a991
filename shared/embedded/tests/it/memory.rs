//! The memory dispatch where threads and clocks meet.

use haul_core::{
    Clock, Dispatch, IdMint, JobId, Kind, Priority, ProcessId, QueueRef, QueueSettings, Timestamp,
    dispatch::{Claim, ClaimRequest, Lease, LeaseToken, Next, QueueState, Settlement, Ticket},
};
use haul_embedded::MemoryDispatch;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(30);

fn kind(name: &str) -> Kind {
    Kind::new(name).unwrap()
}

fn ticket(id: JobId, due: Option<Timestamp>) -> Ticket {
    Ticket { id, kind: kind("echo"), priority: Priority::default(), due }
}

struct World {
    clock: Arc<Clock>,
    mint: IdMint,
    dispatch: MemoryDispatch,
    queue: QueueRef,
}

impl World {
    /// A dispatch with one queue that is rebuilt and empty.
    async fn new() -> Arc<Self> {
        let clock = Arc::new(Clock::new());
        let dispatch = MemoryDispatch::new(clock.clone());
        let queue = QueueRef::default();
        let token = dispatch.begin_rebuild(&queue, &[], &QueueSettings::default(), SECOND).await.unwrap().unwrap();
        assert!(dispatch.finish_rebuild(&queue, token, &QueueSettings::default()).await.unwrap());
        Arc::new(Self { mint: IdMint::new(clock.clone()), clock, dispatch, queue })
    }

    async fn enqueue(&self, due: Option<Timestamp>) -> JobId {
        let id = self.mint.next();
        self.dispatch.enqueue(&self.queue, &[ticket(id, due)]).await.unwrap();
        id
    }

    async fn claim(&self, worker: ProcessId, limit: usize) -> (LeaseToken, Claim) {
        let token = LeaseToken::random();
        let kinds = [(kind("echo"), limit)];
        let request = ClaimRequest { queue: &self.queue, kinds: &kinds, limit, worker, token, lease: LEASE };
        (token, self.dispatch.claim(&request).await.unwrap())
    }

    /// Lets both clocks go on.
    async fn pass(&self, time: Duration) {
        self.clock.sync(self.clock.now().plus(time), Duration::ZERO);
        tokio::time::advance(time).await;
    }

    async fn done(&self, token: LeaseToken, id: JobId) {
        let lease = Lease { id, kind: kind("echo"), priority: Priority::default(), token };
        self.dispatch.settle(&self.queue, &[Settlement { lease, next: Next::Done }]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn among_racing_threads_every_ticket_is_claimed_once_and_no_wake_up_is_lost() {
    const TICKETS: usize = 20_000;
    let world = World::new().await;
    let claimed = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for limit in [1, 3, 50, 1_000] {
        let (world, claimed) = (world.clone(), claimed.clone());
        workers.push(tokio::spawn(async move {
            let me = ProcessId::random();
            let mut mine = Vec::new();
            while claimed.load(Ordering::SeqCst) < TICKETS {
                let (token, claim) = world.claim(me, limit).await;
                if claimed.fetch_add(claim.tickets.len(), Ordering::SeqCst) + claim.tickets.len() >= TICKETS {
                    // The others sleep with nothing left to wake them.
                    for paused in [false, true] {
                        world.dispatch.configure(&world.queue, &QueueSettings { paused, slots: 1 }).await.unwrap();
                    }
                }
                for ticket in &claim.tickets {
                    world.done(token, ticket.id).await;
                }
                mine.extend(claim.tickets.iter().map(|ticket| ticket.id));
                if claim.tickets.len() < limit {
                    // Far longer than the test may take: only a wake-up ends it.
                    world.dispatch.wait(me, 1_000 * SECOND).await;
                }
            }
            mine
        }));
    }
    let producers: Vec<_> = (0..4)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                for n in 0..TICKETS / 4 {
                    world.enqueue(None).await;
                    if n % 100 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    let mut ids = HashSet::new();
    for worker in workers {
        let mine = timeout(60 * SECOND, worker).await.expect("a worker slept on").unwrap();
        for id in mine {
            assert!(ids.insert(id), "{id} was given out twice");
        }
    }
    assert_eq!(ids.len(), TICKETS);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_is_due_earlier_than_known_ends_the_wait() {
    let world = World::new().await;
    let me = ProcessId::random();
    let start = world.clock.now();
    world.enqueue(Some(start.plus(60 * SECOND))).await;
    let (_, claim) = world.claim(me, 10).await;
    assert!(claim.next_in.is_some_and(|next| next > 59 * SECOND && next <= 60 * SECOND), "{claim:?}");
    let early = world.enqueue(Some(start.plus(2 * SECOND))).await;
    assert_eq!(world.dispatch.wait(me, 60 * SECOND).await, vec![world.queue.clone()]);
    let (_, claim) = world.claim(me, 10).await;
    assert!(claim.next_in.is_some_and(|next| next <= 2 * SECOND), "{claim:?}");
    // One that is due later than known does not.
    world.enqueue(Some(start.plus(3 * SECOND))).await;
    assert!(world.dispatch.wait(me, SECOND).await.is_empty());
    world.pass(2 * SECOND).await;
    let (_, claim) = world.claim(me, 10).await;
    assert_eq!(claim.tickets.iter().map(|ticket| ticket.id).collect::<Vec<_>>(), [early]);
}

#[tokio::test(start_paused = true)]
async fn leases_follow_the_simulated_clock() {
    let world = World::new().await;
    let me = ProcessId::random();
    let id = world.enqueue(None).await;
    let (_, claim) = world.claim(me, 10).await;
    assert!(!claim.tickets[0].suspect);
    assert_eq!(claim.next_in, Some(LEASE));
    let before = Instant::now();
    world.dispatch.wait(me, LEASE).await;
    assert_eq!(before.elapsed(), LEASE);
    let (_, claim) = world.claim(me, 10).await;
    assert_eq!((claim.tickets[0].id, claim.tickets[0].suspect), (id, true));
}

#[tokio::test(start_paused = true)]
async fn no_wake_up_goes_to_a_worker_that_is_gone() {
    let world = World::new().await;
    let (gone, alive) = (ProcessId::random(), ProcessId::random());
    world.claim(gone, 10).await;
    world.pass(11 * SECOND).await;
    world.claim(alive, 10).await;
    world.enqueue(None).await;
    assert_eq!(world.dispatch.wait(alive, SECOND).await.len(), 1);
    assert!(world.dispatch.wait(gone, SECOND).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_is_woken_before_one_that_may_have_died() {
    let world = World::new().await;
    let (silent, waiting) = (ProcessId::random(), ProcessId::random());
    world.claim(silent, 10).await;
    world.claim(waiting, 10).await;
    let waits = tokio::spawn({
        let world = world.clone();
        async move { world.dispatch.wait(waiting, 5 * SECOND).await }
    });
    tokio::task::yield_now().await;
    world.enqueue(None).await;
    assert_eq!(waits.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_enqueue_of_many_kinds_wakes_a_worker_for_each() {
    let world = World::new().await;
    let (mails, reports) = (ProcessId::random(), ProcessId::random());
    for (worker, name) in [(mails, "mail"), (reports, "report")] {
        let kinds = [(kind(name), 5)];
        let token = LeaseToken::random();
        let request = ClaimRequest { queue: &world.queue, kinds: &kinds, limit: 5, worker, token, lease: LEASE };
        world.dispatch.claim(&request).await.unwrap();
    }
    let tickets = ["mail", "report", "mail"].map(|name| Ticket { kind: kind(name), ..ticket(world.mint.next(), None) });
    world.dispatch.enqueue(&world.queue, &tickets).await.unwrap();
    assert_eq!(world.dispatch.wait(mails, SECOND).await.len(), 1);
    assert_eq!(world.dispatch.wait(reports, SECOND).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn released_tickets_stand_in_front_in_their_old_order() {
    let world = World::new().await;
    let me = ProcessId::random();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.enqueue(None).await);
    }
    let (token, claim) = world.claim(me, 3).await;
    let settle = |id| Settlement {
        lease: Lease { id, kind: kind("echo"), priority: Priority::default(), token },
        next: Next::Release,
    };
    let released: Vec<_> = claim.tickets.iter().map(|ticket| settle(ticket.id)).collect();
    world.dispatch.settle(&world.queue, &released).await.unwrap();
    let (_, claim) = world.claim(me, 10).await;
    assert_eq!(claim.tickets.iter().map(|ticket| ticket.id).collect::<Vec<_>>(), ids);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_fold_burst_of_due_tickets_comes_out_in_order_of_time() {
    let world = World::new().await;
    let me = ProcessId::random();
    let start = world.clock.now().plus(SECOND);
    let mut ids = Vec::new();
    for n in 0..5_000_u64 {
        ids.push(world.enqueue(Some(start.plus(Duration::from_millis(5_000 - n)))).await);
    }
    ids.reverse();
    world.pass(7 * SECOND).await;
    let stats = world.dispatch.stats(&world.queue, &[kind("echo")]).await.unwrap();
    assert_eq!((stats.ready, stats.delayed), (5_000, 0));
    let mut claimed = Vec::new();
    while claimed.len() < ids.len() {
        let (_, claim) = world.claim(me, 1_000).await;
        assert_eq!(claim.state, QueueState::Ready);
        assert!(!claim.tickets.is_empty(), "only {} came", claimed.len());
        claimed.extend(claim.tickets.iter().map(|ticket| ticket.id));
    }
    assert_eq!(claimed, ids);
}
