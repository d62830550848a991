//! Whatever breaks, and whoever dies in the middle: in the end every unsettled job has a ticket.

use crate::{
    faulty::{Dice, Faulty},
    world::{World, queue},
};
use haul_core::{
    JobId, ProcessId,
    dispatch::{Next, Settlement},
};
use haul_repair::Repairer;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{sleep, timeout};

const QUEUES: [&str; 2] = ["mail", "reports"];

#[tokio::test(start_paused = true)]
async fn every_unsettled_job_has_a_ticket_in_the_end() {
    for seed in 0..25 {
        let world = World::simulated_over_memory().with(&QUEUES).await;
        let mut dice = Dice::new(seed);
        let mut repairers: Vec<Repairer> = (0..3).map(|n| world.repairer_behind_faults(seed * 100 + n)).collect();
        for step in 0..80 {
            let name = QUEUES[dice.roll(2) as usize];
            match dice.roll(6) {
                // Its process dies before it could enqueue anything, or a user's transaction commits.
                0 | 1 => {
                    let jobs: Vec<_> = (0..1 + dice.roll(40)).map(|_| world.job(name)).collect();
                    world.accept(ProcessId::NOBODY, &jobs).await;
                }
                2 => drop(world.enqueued(name, 1 + dice.roll(40) as usize).await),
                3 => drop(world.may_lose(&queue(name)).await),
                _ => world.work(name, dice.roll(60) as usize).await,
            }
            let repairer = &mut repairers[dice.roll(3) as usize];
            // Now and then one is killed in the middle, with all that it remembers.
            if timeout(Duration::from_millis(dice.roll(4_000)), repairer.pass()).await.is_err() {
                *repairer = world.repairer_behind_faults(seed * 1_000 + step);
            }
            sleep(Duration::from_millis(dice.roll(2_000))).await;
        }
        let mut survivor = world.repairer();
        for _ in 0..300 {
            survivor.pass().await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        let (unsettled, ticketed) = (world.unsettled().await, world.ticketed().await);
        let missing: Vec<JobId> = unsettled.difference(&ticketed).copied().collect();
        assert!(missing.is_empty(), "seed {seed}: {} of {} have no ticket", missing.len(), unsettled.len());
        assert!(unsettled.len() > 100, "seed {seed} leaves enough to be judged by: {}", unsettled.len());
        // The auditor agrees. Leases of workers that died are abandoned by now: nobody claims any more.
        let unreachable: u64 = world.audit().await.queues.iter().map(|queue| queue.unreachable.count).sum();
        assert_eq!(unreachable, 0, "seed {seed}");
    }
}

impl World {
    fn repairer_behind_faults(&self, seed: u64) -> Repairer {
        let faulty = Faulty::at_random(self.dispatch.clone(), seed, 8);
        faulty.answers_after(Duration::from_millis(20));
        self.repairer_over(faulty)
    }

    /// Claims some jobs of a queue, if it gives out any, and ends most of them.
    async fn work(&self, name: &str, limit: usize) {
        for (n, lease) in self.claim_some(name, limit, Duration::from_secs(30)).await.into_iter().enumerate() {
            match n % 4 {
                0 => self.fail(lease.id, Duration::from_secs(5)).await,
                // Its worker dies.
                1 => continue,
                _ => self.succeed(lease.id).await,
            }
            let next = if n % 4 == 0 { Next::Park(self.clock.now().plus(Duration::from_secs(5))) } else { Next::Done };
            self.dispatch.settle(&queue(name), &[Settlement { lease, next }]).await.unwrap();
        }
    }

    async fn unsettled(&self) -> BTreeSet<JobId> {
        use haul_core::Ledger;
        let (mut ids, mut after) = (BTreeSet::new(), None);
        loop {
            let page = self.ledger.unsettled(after, None, 1_000).await.unwrap();
            ids.extend(page.jobs.iter().map(|job| job.id));
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    }

    async fn ticketed(&self) -> BTreeSet<JobId> {
        let mut ids = BTreeSet::new();
        for name in QUEUES {
            let mut cursor = None;
            loop {
                let kinds = [crate::world::kind()];
                let page = self.dispatch.scan(&queue(name), &kinds, cursor.as_ref(), 1_000).await.unwrap();
                ids.extend(page.tickets.iter().map(|seen| seen.id));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        ids
    }
}
