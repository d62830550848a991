//! The dispatch behind a door.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef, QueueSettings,
    dispatch::{
        Chore, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, Result, ScanCursor, ScanPage,
        Settlement, Ticket,
    },
};
use parking_lot::RwLock;
use std::{sync::Arc, time::Duration};

/// A dispatch that may be there or not.
pub(crate) struct DispatchDoor(RwLock<Behind>);

enum Behind {
    Closed(&'static str),
    Open(Arc<dyn Dispatch>),
}

impl DispatchDoor {
    /// A closed door, and why.
    pub(crate) fn new(why: &'static str) -> Self {
        Self(RwLock::new(Behind::Closed(why)))
    }

    /// From now on this one answers.
    pub(crate) fn open(&self, dispatch: Arc<dyn Dispatch>) {
        *self.0.write() = Behind::Open(dispatch);
    }

    /// From now on nobody answers.
    pub(crate) fn close(&self, why: &'static str) {
        *self.0.write() = Behind::Closed(why);
    }

    fn get(&self) -> Result<Arc<dyn Dispatch>> {
        match &*self.0.read() {
            Behind::Open(dispatch) => Ok(dispatch.clone()),
            Behind::Closed(why) => Err(DispatchError::Unavailable(Box::new(Closed(why)))),
        }
    }
}

#[async_trait]
impl Dispatch for DispatchDoor {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        self.get()?.enqueue(queue, tickets).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        self.get()?.claim(request).await
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        self.get()?.extend(queue, leases, lease).await
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        self.get()?.settle(queue, settlements).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        self.get()?.remove(queue, tickets).await
    }
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        self.get()?.configure(queue, settings).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        self.get()?.stats(queue, kinds).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        self.get()?.leased(queue, tickets).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        self.get()?.running(queue, kinds, limit).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        self.get()?.scan(queue, kinds, cursor, limit).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        match self.get() {
            Ok(dispatch) => dispatch.wait(worker, at_most).await,
            Err(_) => {
                tokio::time::sleep(at_most).await;
                Vec::new()
            }
        }
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        self.get()?.wake(queue, kinds).await
    }
    async fn turn(&self, chore: Chore, every: Duration) -> Result<bool> {
        self.get()?.turn(chore, every).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        self.get()?.lost(queues).await
    }
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        self.get()?.begin_rebuild(queue, kinds, settings, hold).await
    }
    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        self.get()?.rebuild(queue, token, tickets, hold).await
    }
    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        self.get()?.finish_rebuild(queue, token, settings).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Clock;
    use haul_embedded::MemoryDispatch;

    #[tokio::test]
    async fn what_comes_back_behind_the_door_is_as_lost_as_a_replaced_server() {
        let memory = || Arc::new(MemoryDispatch::new(Arc::new(Clock::new())));
        let door = DispatchDoor::new("closed");
        let (queues, settings) = ([QueueRef::default()], QueueSettings::default());
        assert!(matches!(door.lost(&queues).await, Err(DispatchError::Unavailable(_))));

        door.open(memory());
        let token = door.begin_rebuild(&queues[0], &[], &settings, Duration::from_secs(5)).await.unwrap().unwrap();
        assert!(door.finish_rebuild(&queues[0], token, &settings).await.unwrap());
        assert_eq!(door.lost(&queues).await.unwrap(), []);

        door.close("closed again");
        assert!(matches!(door.lost(&queues).await, Err(DispatchError::Unavailable(_))));
        door.open(memory());
        assert_eq!(door.lost(&queues).await.unwrap(), queues);
    }
}
