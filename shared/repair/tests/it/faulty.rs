//! A dispatch whose connection breaks, as told or at random from a seed: before a call has its effect, or after.

use async_trait::async_trait;
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef, QueueSettings,
    dispatch::{
        Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, Result, ScanCursor, ScanPage, Settlement,
        Ticket,
    },
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// A small generator, so that a failure replays.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It never arrived.
    Lost,
    /// It had its effect; the answer was lost.
    AnswerLost,
}

type Decide = Box<dyn FnMut(&'static str) -> Fate + Send>;

/// A dispatch behind such a connection.
pub(crate) struct Faulty {
    inner: Arc<dyn Dispatch>,
    decide: Mutex<Decide>,
    answers_after: Mutex<Duration>,
    page_max: Mutex<usize>,
}

impl Faulty {
    /// `decide` is told the name of each call.
    pub(crate) fn new(
        inner: Arc<dyn Dispatch>,
        decide: impl FnMut(&'static str) -> Fate + Send + 'static,
    ) -> Arc<Self> {
        let (answers_after, page_max) = (Mutex::default(), Mutex::new(usize::MAX));
        Arc::new(Self { inner, decide: Mutex::new(Box::new(decide)), answers_after, page_max })
    }

    /// One call in `one_in` fails, in either way.
    pub(crate) fn at_random(inner: Arc<dyn Dispatch>, seed: u64, one_in: u64) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        Self::new(inner, move |_| match dice.roll(one_in * 2) {
            0 => Fate::Lost,
            1 => Fate::AnswerLost,
            _ => Fate::Answered,
        })
    }

    /// From now on calls end like this.
    pub(crate) fn decide_by(&self, decide: impl FnMut(&'static str) -> Fate + Send + 'static) {
        *self.decide.lock() = Box::new(decide);
    }

    /// From now on calls take so long.
    pub(crate) fn answers_after(&self, pause: Duration) {
        *self.answers_after.lock() = pause;
    }

    /// From now on scans take so many tickets a page.
    pub(crate) fn pages_of(&self, tickets: usize) {
        *self.page_max.lock() = tickets;
    }

    async fn call<T>(&self, name: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let broken = || DispatchError::Unavailable("the connection broke".into());
        let pause = *self.answers_after.lock();
        tokio::time::sleep(pause).await;
        let fate = (self.decide.lock())(name);
        match fate {
            Fate::Answered => call.await,
            Fate::Lost => Err(broken()),
            Fate::AnswerLost => {
                call.await?;
                Err(broken())
            }
        }
    }
}

#[async_trait]
impl Dispatch for Faulty {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        self.call("enqueue", self.inner.enqueue(queue, tickets)).await
    }
    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        self.call("claim", self.inner.claim(request)).await
    }
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        self.call("extend", self.inner.extend(queue, leases, lease)).await
    }
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        self.call("settle", self.inner.settle(queue, settlements)).await
    }
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        self.call("remove", self.inner.remove(queue, tickets)).await
    }
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        self.call("configure", self.inner.configure(queue, settings)).await
    }
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        self.call("stats", self.inner.stats(queue, kinds)).await
    }
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        self.call("leased", self.inner.leased(queue, tickets)).await
    }
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        self.call("running", self.inner.running(queue, kinds, limit)).await
    }
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        let limit = limit.min(*self.page_max.lock());
        self.call("scan", self.inner.scan(queue, kinds, cursor, limit)).await
    }
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.inner.wait(worker, at_most).await
    }
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        self.call("wake", self.inner.wake(queue, kinds)).await
    }
    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        self.call("lost", self.inner.lost(queues)).await
    }
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        self.call("begin_rebuild", self.inner.begin_rebuild(queue, kinds, settings, hold)).await
    }
    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        self.call("rebuild", self.inner.rebuild(queue, token, tickets, hold)).await
    }
    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        self.call("finish_rebuild", self.inner.finish_rebuild(queue, token, settings)).await
    }
}
