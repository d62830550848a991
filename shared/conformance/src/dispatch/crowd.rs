//! Many callers at once: a job is leased to one of them, and every job ends.

use super::stage::{KINDS, LONG, Stage, ids, priority};
use haul_core::{
    JobId,
    dispatch::{Lease, Next, Ticket},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// What is leased, as the claimers see it.
#[derive(Default)]
struct Ledger {
    leased: Mutex<BTreeSet<JobId>>,
    done: Mutex<BTreeSet<JobId>>,
}

impl Ledger {
    fn take(&self, leases: &[Lease]) {
        let mut leased = self.leased.lock();
        for lease in leases {
            assert!(leased.insert(lease.id), "{} is leased to two at once", lease.id);
        }
    }
    fn give_back(&self, leases: &[Lease]) {
        let mut leased = self.leased.lock();
        for lease in leases {
            leased.remove(&lease.id);
        }
    }
}

pub async fn each_ticket_is_leased_to_exactly_one_of_many_claimers(stage: Stage) {
    let tickets: Vec<Ticket> = (0..2_000)
        .map(|n: usize| Ticket { priority: priority((n % 10) as u8), ..stage.ticket(KINDS[n % 3]) })
        .collect();
    stage.enqueue(&tickets).await;
    let stage = Arc::new(stage);
    let claimers = (0..8).map(|claimer| {
        let stage = stage.clone();
        async move {
            let mut claimed = Vec::new();
            loop {
                match stage.claim_ids(1 + claimer * 5).await {
                    none if none.is_empty() => return claimed,
                    some => claimed.extend(some),
                }
                assert!(claimed.len() <= 2_000, "more tickets are given out than there are");
            }
        }
    });
    let mut claimed = crate::at_once(claimers).await.concat();
    claimed.sort();
    assert_eq!(claimed.len(), 2_000);
    assert!(claimed == ids(&tickets), "each ticket is leased once");
    assert_eq!(stage.counts().await, (0, 0, 2_000));
}

pub async fn duplicates_and_releases_in_a_crowd_never_lease_a_job_twice_at_once(stage: Stage) {
    let tickets: Arc<Vec<Ticket>> = Arc::new((0..300).map(|n: usize| stage.ticket(KINDS[n % 3])).collect());
    stage.enqueue(&tickets).await;
    let (stage, seen) = (Arc::new(stage), Arc::new(Ledger::default()));
    let producers = (0..2).map(|producer| {
        let (stage, tickets) = (stage.clone(), tickets.clone());
        tokio::spawn(async move {
            for round in 0..20 {
                // A repairer enqueues what the ledger calls unsettled, whether or not it waits or runs already.
                stage.enqueue(&tickets[(round * 7 + producer) % 200..][..100]).await;
            }
        })
    });
    let producers: Vec<_> = producers.collect();
    let ends_at = Instant::now() + Duration::from_secs(60);
    let claimers = (0..6).map(|claimer| {
        let (stage, seen) = (stage.clone(), seen.clone());
        async move {
            for round in 0_usize.. {
                let held = stage.claim_for(1 + claimer * 3, LONG).await;
                seen.take(&held);
                // A job that is done is settled as done whenever it comes again; others go back now and then.
                let (done, back): (Vec<Lease>, Vec<Lease>) = held.into_iter().partition(|lease| {
                    seen.done.lock().contains(&lease.id) || !(lease.id.0.as_u128() as usize + round).is_multiple_of(3)
                });
                seen.done.lock().extend(done.iter().map(|lease| lease.id));
                seen.give_back(&back);
                stage.settle(&back, Next::Release).await;
                seen.give_back(&done);
                stage.settle(&done, Next::Done).await;
                if seen.done.lock().len() == 300 {
                    return;
                }
                assert!(Instant::now() < ends_at, "{} of 300 jobs were done", seen.done.lock().len());
                tokio::task::yield_now().await;
            }
        }
    });
    crate::at_once(claimers).await;
    for producer in producers {
        producer.await.expect("tickets are enqueued");
    }
}

pub async fn holders_that_vanish_lose_no_ticket(stage: Stage) {
    let tickets = stage.tickets("a", 200);
    stage.enqueue(&tickets).await;
    let (stage, done) = (Arc::new(stage), Arc::new(Mutex::new(BTreeSet::new())));
    let ends_at = Instant::now() + Duration::from_secs(60);
    let claimers = (0..4).map(|claimer| {
        let (stage, done) = (stage.clone(), done.clone());
        async move {
            for round in 0.. {
                // Every third holder vanishes: its lease expires without a word.
                let vanishes = (round + claimer) % 3 == 0;
                let lease = if vanishes { Duration::from_millis(50) } else { LONG };
                let held = stage.claim_for(7, lease).await;
                if !vanishes {
                    stage.settle(&held, Next::Done).await;
                    done.lock().extend(held.iter().map(|lease| lease.id));
                }
                if done.lock().len() == 200 {
                    return;
                }
                assert!(Instant::now() < ends_at, "{} of 200 jobs were done", done.lock().len());
                tokio::task::yield_now().await;
            }
        }
    });
    crate::at_once(claimers).await;
    assert_eq!(done.lock().iter().copied().collect::<Vec<_>>(), ids(&tickets));
}
