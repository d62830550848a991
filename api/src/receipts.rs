//! Receipts of this process: kept while the dispatch may still forget, then dropped.
//!
//! A receipt whose tickets have reached the dispatch is *done* once it is [`KEPT`] old: a failover of the dispatch just
//! after an enqueue is covered that long. Done receipts are dropped within a later batch, at no cost, or by [`tend`] when
//! no batch comes. A receipt whose tickets did not get there is *left*: given to nobody, so that repair takes it at once.
//!
//! Nothing here is needed for safety: a receipt that is forgotten stays in the ledger, and repair finds it.

use haul_core::{Ledger, ledger::ReceiptId};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a receipt stays after its tickets have reached the dispatch.
const KEPT: Duration = Duration::from_secs(60);
/// How long a done receipt waits for a batch before it is dropped without one.
const IDLE: Duration = Duration::from_secs(20);
/// How often it is looked whether any did.
const LOOK: Duration = Duration::from_secs(10);
/// Receipts dropped or released by one statement.
const STATEMENT_MAX: usize = 1_000;
/// Receipts remembered in each list; beyond, they are forgotten and repair finds them in the ledger.
const REMEMBERED_MAX: usize = 200_000;
/// How long one statement may take.
const CALL_MAX: Duration = Duration::from_secs(10);

/// The receipts of this process.
pub(crate) struct Receipts {
    confirmed: Mutex<VecDeque<(Instant, ReceiptId)>>,
    left: Mutex<Vec<ReceiptId>>,
    something_left: Notify,
}

impl Receipts {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { confirmed: Mutex::default(), left: Mutex::default(), something_left: Notify::new() })
    }

    /// The tickets of these have reached the dispatch.
    pub(crate) fn confirm(&self, receipts: &[ReceiptId]) {
        let now = Instant::now();
        let mut confirmed = self.confirmed.lock();
        let room = REMEMBERED_MAX.saturating_sub(confirmed.len());
        confirmed.extend(receipts.iter().take(room).map(|receipt| (now, *receipt)));
    }

    /// The tickets of these did not get there, or repair had better read their jobs again.
    pub(crate) fn leave(&self, receipts: &[ReceiptId]) {
        if receipts.is_empty() {
            return;
        }
        let mut left = self.left.lock();
        let room = REMEMBERED_MAX.saturating_sub(left.len());
        left.extend(receipts.iter().take(room));
        drop(left);
        self.something_left.notify_one();
    }

    /// Takes receipts that are done, for the next batch to drop.
    pub(crate) fn take_done(&self) -> Vec<ReceiptId> {
        self.take_older_than(KEPT)
    }

    /// The batch failed: they are still to be dropped.
    pub(crate) fn put_back(&self, done: Vec<ReceiptId>) {
        let mut confirmed = self.confirmed.lock();
        // Their age is known to be past the bound, whatever it was.
        let since = Instant::now().checked_sub(KEPT).unwrap_or_else(Instant::now);
        for receipt in done.into_iter().rev() {
            confirmed.push_front((since, receipt));
        }
    }

    fn take_older_than(&self, age: Duration) -> Vec<ReceiptId> {
        let mut confirmed = self.confirmed.lock();
        let done = confirmed.iter().take(STATEMENT_MAX).take_while(|(since, _)| since.elapsed() >= age).count();
        confirmed.drain(..done).map(|(_, receipt)| receipt).collect()
    }

    fn take_left(&self) -> Vec<ReceiptId> {
        let mut left = self.left.lock();
        let count = left.len().min(STATEMENT_MAX);
        left.drain(..count).collect()
    }
}

/// Releases what was left and drops what is done while no batch comes, until `stop`; then releases once more what is
/// left by then.
pub(crate) async fn tend(receipts: Arc<Receipts>, ledger: Arc<dyn Ledger>, stop: CancellationToken) {
    let mut ends = false;
    while !ends {
        tokio::select! {
            biased;
            () = stop.cancelled() => ends = true,
            () = receipts.something_left.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if !release(&receipts, &*ledger).await {
            // The ledger is down: what is left stays for the next look.
            continue;
        }
        loop {
            let done = receipts.take_older_than(KEPT + IDLE);
            if done.is_empty() {
                break;
            }
            if !is_done(ledger.drop_receipts(&done)).await {
                receipts.put_back(done);
                break;
            }
        }
    }
}

async fn release(receipts: &Receipts, ledger: &dyn Ledger) -> bool {
    loop {
        let left = receipts.take_left();
        if left.is_empty() {
            return true;
        }
        if !is_done(ledger.release_receipts(&left)).await {
            receipts.left.lock().extend(left);
            return false;
        }
    }
}

async fn is_done(call: impl Future<Output = haul_core::ledger::Result<()>>) -> bool {
    match timeout(CALL_MAX, call).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "receipts could not be given up; repair will find them");
            false
        }
        Err(_elapsed) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use haul_conformance::reference::ReferenceLedger;
    use haul_core::{
        Clock, IdMint, Job, JobId, JobOptions, Kind, Priority, ProcessId, Queue, Tenant, Timestamp,
        ledger::{NewJob, ProcessInfo},
    };

    fn receipt(n: u128) -> ReceiptId {
        ReceiptId(JobId(uuid::Uuid::from_u128(n)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_is_done_only_when_it_was_kept_long_enough() {
        let receipts = Receipts::new();
        receipts.confirm(&[receipt(1), receipt(2)]);
        tokio::time::advance(KEPT - Duration::from_millis(1)).await;
        assert!(receipts.take_done().is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        let done = receipts.take_done();
        assert_eq!(done, [receipt(1), receipt(2)]);
        assert!(receipts.take_done().is_empty());
        receipts.put_back(done);
        assert_eq!(receipts.take_done(), [receipt(1), receipt(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_batch_drops_a_bounded_number() {
        let receipts = Receipts::new();
        receipts.confirm(&(0..2_500).map(receipt).collect::<Vec<_>>());
        tokio::time::advance(KEPT).await;
        let taken: Vec<usize> = (0..4).map(|_| receipts.take_done().len()).collect();
        assert_eq!(taken, [1_000, 1_000, 500, 0]);
    }

    /// A ledger with one receipt in it.
    async fn with_a_receipt() -> (Arc<ReferenceLedger>, ReceiptId) {
        let clock = Arc::new(Clock::new());
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        let job = Job {
            id: IdMint::new(clock).next(),
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new("echo").unwrap(),
            priority: Priority::default(),
            run_at: Timestamp::default(),
            payload: Bytes::from_static(b"1"),
            options: JobOptions::shared_default(),
        };
        let process = ProcessInfo { id: ProcessId::random(), role: "api".to_owned() };
        ledger.heartbeat(&process).await.unwrap();
        let accepted = ledger.accept(&[NewJob { job, idempotency: None }], process.id, &[]).await.unwrap();
        assert!(ledger.take_receipts(ProcessId::random(), 10).await.unwrap().is_empty());
        (ledger, accepted.receipt.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_process_drops_its_receipts_within_a_minute_of_their_being_done() {
        let (ledger, receipt) = with_a_receipt().await;
        let (receipts, stop) = (Receipts::new(), CancellationToken::new());
        let tending = tokio::spawn(tend(receipts.clone(), ledger.clone(), stop.clone()));
        receipts.confirm(&[receipt]);
        tokio::time::sleep(KEPT + Duration::from_secs(60)).await;
        ledger.age(Duration::from_secs(3_600));
        assert!(ledger.take_receipts(ProcessId::random(), 10).await.unwrap().is_empty());
        stop.cancel();
        tending.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_repaired_at_once_also_at_the_end() {
        for ends_first in [false, true] {
            let (ledger, receipt) = with_a_receipt().await;
            let (receipts, stop) = (Receipts::new(), CancellationToken::new());
            receipts.leave(&[receipt]);
            if ends_first {
                stop.cancel();
            }
            let tending = tokio::spawn(tend(receipts, ledger.clone(), stop.clone()));
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(ledger.take_receipts(ProcessId::random(), 10).await.unwrap().len(), 1);
            stop.cancel();
            tending.await.unwrap();
        }
    }
}
