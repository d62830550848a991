//! Receipts of the jobs that this process has fired: kept for a minute after their tickets have reached the dispatch, then
//! dropped within a later batch, or by themselves when none comes.
//!
//! Nothing here is needed for safety: a receipt that is forgotten stays in the ledger, and repair finds it.

use haul_core::{Ledger, ledger::ReceiptId};
use parking_lot::Mutex;
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, timeout};

/// How long a receipt stays after its tickets have reached the dispatch: a failover just after that is covered.
const KEPT: Duration = Duration::from_secs(60);
/// How long a done receipt waits for a batch to go with.
const IDLE: Duration = Duration::from_secs(20);
/// Receipts dropped by one statement.
const STATEMENT_MAX: usize = 1_000;
/// Receipts remembered; beyond, they are forgotten.
const REMEMBERED_MAX: usize = 50_000;
/// How long one statement may take.
const CALL_MAX: Duration = Duration::from_secs(10);

/// Those whose tickets have arrived, the oldest first.
#[derive(Default)]
pub(crate) struct Receipts(Mutex<VecDeque<(Instant, ReceiptId)>>);

impl Receipts {
    /// Its tickets have reached the dispatch.
    pub(crate) fn confirm(&self, receipt: ReceiptId) {
        let mut confirmed = self.0.lock();
        if confirmed.len() < REMEMBERED_MAX {
            confirmed.push_back((Instant::now(), receipt));
        }
    }

    /// Takes those that are done, for the next batch to drop. A batch that fails leaves them to repair.
    pub(crate) fn take_done(&self) -> Vec<ReceiptId> {
        self.take_older_than(KEPT)
    }

    fn take_older_than(&self, age: Duration) -> Vec<ReceiptId> {
        let mut confirmed = self.0.lock();
        let done = confirmed.iter().take(STATEMENT_MAX).take_while(|(since, _)| since.elapsed() >= age).count();
        confirmed.drain(..done).map(|(_, receipt)| receipt).collect()
    }

    /// Drops what no batch has taken along.
    pub(crate) async fn tend(&self, ledger: &dyn Ledger) {
        let done = self.take_older_than(KEPT + IDLE);
        if done.is_empty() {
            return;
        }
        if !matches!(timeout(CALL_MAX, ledger.drop_receipts(&done)).await, Ok(Ok(()))) {
            tracing::debug!(count = done.len(), "receipts could not be dropped; repair will find them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::JobId;

    #[tokio::test(start_paused = true)]
    async fn a_receipt_is_done_only_when_it_was_kept_long_enough() {
        let receipts = Receipts::default();
        let receipt = ReceiptId(JobId(uuid::Uuid::nil()));
        receipts.confirm(receipt);
        tokio::time::advance(KEPT - Duration::from_millis(1)).await;
        assert_eq!(receipts.take_done(), []);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(receipts.take_done(), [receipt]);
        assert_eq!(receipts.take_done(), []);
    }
}
