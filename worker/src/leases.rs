//! Leases: the right to run one attempt, for a limited time.
//!
//! Holding one does not prove that you are the only runner: a paused process may wake up after expiry. Only the ledger
//! decides what counts. This task extends leases in batches, takes them up again at once when the dispatch has lost its
//! tickets, tells handlers whose lease is gone to stop, and gives back what waits too long for a slot here.

use crate::{claims::Claims, pulse::Pulse, reach::Reach, settler::Settler};
use haul_core::{Dispatch, QueueRef, dispatch::Lease};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often lost queues are looked for while leases are held.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a claimed job may wait for a slot before another worker may have it.
const WAIT_FOR_SLOT_MAX: Duration = Duration::from_secs(1);
/// The same for a suspect that waits for a process.
const WAIT_ASIDE_MAX: Duration = Duration::from_secs(10);
/// Leases in one call.
const CALL_MAX: usize = 1_000;

/// Keeps this worker's leases.
pub(crate) struct Leases {
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) settler: Arc<Settler>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) repair_signal: Arc<Notify>,
    pub(crate) lease: Duration,
    pub(crate) slots: usize,
}

impl Leases {
    /// Keeps leases until so many handlers are stuck that the worker is of no use: then it returns their number.
    pub(crate) async fn run(&self) -> usize {
        let every = self.lease / 3;
        let mut ticks = interval(every.min(LOOK_EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut extended_at = Instant::now();
        loop {
            ticks.tick().await;
            self.settler.settle(self.claims.give_back_overdue(WAIT_FOR_SLOT_MAX, WAIT_ASIDE_MAX));
            self.take_up_lost().await;
            if extended_at.elapsed() + every.min(LOOK_EVERY) / 2 >= every {
                let began = Instant::now();
                // A call that failed is repeated at the next tick.
                if self.extend(None).await {
                    extended_at = began;
                }
            }
            let stuck = self.claims.stuck();
            if stuck * 2 >= self.slots {
                return stuck;
            }
        }
    }

    async fn take_up_lost(&self) {
        let queues = self.claims.queues();
        if queues.is_empty() {
            return;
        }
        match self.dispatch.lost(&queues).await {
            Ok(lost) => {
                self.reach.answered();
                for queue in &lost {
                    self.repair_signal.notify_one();
                    self.extend(Some(queue)).await;
                }
            }
            Err(error) => self.reach.failed(&error),
        }
    }

    async fn extend(&self, only: Option<&QueueRef>) -> bool {
        let mut all_answered = true;
        for (queue, leases) in self.claims.to_extend(only) {
            for leases in leases.chunks(CALL_MAX) {
                all_answered &= self.extend_some(&queue, leases).await;
            }
        }
        all_answered
    }

    async fn extend_some(&self, queue: &QueueRef, leases: &[Lease]) -> bool {
        let expires = Instant::now() + self.lease;
        match self.dispatch.extend(queue, leases, self.lease).await {
            Ok(held) => {
                self.reach.answered();
                let lost = self.claims.extended(leases, &held, expires, self.pulse.why_lost());
                if lost > 0 {
                    tracing::warn!(%queue, leases = lost, "leases were lost; their handlers are told to stop");
                }
                true
            }
            Err(error) => {
                self.reach.failed(&error);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claims::Route, context::JobContext, meters::RouteMeters, registry, registry::Registered, stop::Stop};
    use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
    use haul_core::{Clock, IdMint, Kind, Priority, Timestamp, dispatch::Claimed, dispatch::LeaseToken};

    #[tokio::test(start_paused = true)]
    async fn handlers_that_stay_a_minute_past_their_timeout_in_half_of_the_slots_end_the_worker() {
        let clock = Arc::new(Clock::new());
        let claims = Arc::new(Claims::default());
        let (kind, queue) = (Kind::new("deaf").unwrap(), QueueRef::default());
        let handler = registry::erase(async |_: JobContext, (): ()| Ok(()));
        let meters = RouteMeters::new(&queue, &kind);
        let registered = Arc::new(Registered::new(kind.clone(), handler, None, false));
        let route = Arc::new(Route { queue, registered, meters });
        let mint = IdMint::new(clock.clone());
        let ticket = || Claimed { id: mint.next(), kind: kind.clone(), priority: Priority::default(), suspect: false };
        let tickets = (0..2).map(|_| (route.clone(), ticket())).collect();
        let token = LeaseToken::random();
        let lease = Duration::from_secs(30);
        let (claimed, _) = claims.take_in(tickets, token, Instant::now() + lease, Timestamp::default());
        claims.wait(&claimed);
        for (claim, timeout_secs) in claimed.iter().zip([5, 90]) {
            assert!(claims.start(*claim, Duration::from_secs(timeout_secs), &Stop::default()));
        }
        let dispatch: Arc<dyn Dispatch> = Arc::new(ReferenceDispatch::new(clock.clone()));
        let reach = Arc::new(Reach::new("dispatch"));
        let ledger = Arc::new(ReferenceLedger::new(clock));
        let settler = Arc::new(Settler::new(dispatch.clone(), ledger, reach.clone(), lease));
        let repair_signal = Arc::default();
        let leases = Leases {
            dispatch,
            claims,
            pulse: Arc::new(Pulse::new(lease)),
            settler,
            reach,
            repair_signal,
            lease,
            slots: 4,
        };
        let began = Instant::now();
        assert_eq!(leases.run().await, 2, "one of them alone is no reason");
        let lasted = began.elapsed();
        assert!((150..=152).contains(&lasted.as_secs()), "ended after {lasted:?}");
    }
}
