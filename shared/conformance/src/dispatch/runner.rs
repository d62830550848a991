//! A worker that does what its dispatch tells it, and nothing else: whatever it misses, its dispatch did not tell.

use super::stage::{LONG, Stage, kind, leases};
use haul_core::{
    Dispatch, ProcessId,
    dispatch::{ClaimRequest, Lease, LeaseToken, Next, Settlement},
    name::QueueRef,
};
use std::{sync::Arc, time::Duration};

/// How long a worker waits that nobody wakes: longer than any promise may take.
pub(crate) const ASLEEP: Duration = Duration::from_secs(300);

impl Stage {
    pub(crate) fn runner(&self) -> Runner {
        Runner { dispatch: self.world.dispatch(), queue: self.queue.clone(), worker: ProcessId::random() }
    }
}

/// A worker that does what its dispatch tells it: claim, and wait as long as it is told.
pub(crate) struct Runner {
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) queue: QueueRef,
    pub(crate) worker: ProcessId,
}

impl Runner {
    /// Claims one ticket of kind "a"; how long to wait when there is none.
    async fn claim(&self) -> Result<Lease, Duration> {
        let (kinds, token) = ([(kind("a"), 1)], LeaseToken::random());
        let (queue, worker) = (&self.queue, self.worker);
        let request = ClaimRequest { queue, kinds: &kinds, limit: 1, worker, token, lease: LONG };
        let claim = self.dispatch.claim(&request).await.expect("a claim is answered");
        let wait = claim.next_in.unwrap_or(ASLEEP);
        leases(&claim, token).pop().ok_or(wait)
    }

    pub(crate) async fn find(&self) -> Option<Lease> {
        self.claim().await.ok()
    }

    /// Finds one ticket, however long it takes, and ends it.
    pub(crate) async fn run_one(&mut self) -> Lease {
        loop {
            match self.claim().await {
                Ok(lease) => {
                    let done = Settlement { lease: lease.clone(), next: Next::Done };
                    self.dispatch.settle(&self.queue, &[done]).await.expect("a lease is settled");
                    return lease;
                }
                Err(wait) => drop(self.dispatch.wait(self.worker, wait.min(ASLEEP)).await),
            }
        }
    }
}
