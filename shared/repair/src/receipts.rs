//! Receipts that their owners left behind: their unsettled jobs may never have reached the dispatch.

use crate::{RepairError, tickets::by_queue};
use haul_core::{Dispatch, JobId, Ledger, ProcessId, ledger::Receipt, telemetry::REPAIRED_TICKETS_TOTAL};
use std::{collections::VecDeque, time::Duration};

/// Receipts taken at a time.
const RECEIPTS_MAX: usize = 200;
/// Pages of receipts in one pass; what is left waits for the next.
const PAGES_MAX: usize = 50;
/// Jobs read at a time.
const JOBS_MAX: usize = 2_000;
/// Ids older than this when their receipt is swept may lie in minutes that were closed before they were committed.
const LATE: Duration = Duration::from_secs(60);

/// The receipts that this process took and has not finished with. Should it die, the ledger hands them out again.
#[derive(Default)]
pub(crate) struct Receipts {
    taken: VecDeque<Receipt>,
}

impl Receipts {
    /// Takes receipts and enqueues their unsettled jobs, until none is left or the pass is full.
    pub(crate) async fn sweep(
        &mut self,
        taker: ProcessId,
        ledger: &dyn Ledger,
        dispatch: &dyn Dispatch,
    ) -> Result<(), RepairError> {
        for _ in 0..PAGES_MAX {
            if self.taken.is_empty() {
                self.taken.extend(ledger.take_receipts(taker, RECEIPTS_MAX).await?);
            }
            if self.taken.is_empty() {
                return Ok(());
            }
            let late_before = JobId::floor(ledger.now().await?.minus(LATE));
            let mut swept = Vec::new();
            while let Some(receipt) = self.taken.front() {
                if receipt.first < late_before {
                    ledger.reopen(receipt.first, receipt.last).await?;
                }
                enqueue_unsettled(ledger, dispatch, receipt).await?;
                if receipt.is_final {
                    swept.push(receipt.id);
                }
                self.taken.pop_front();
            }
            if !swept.is_empty() {
                ledger.drop_receipts(&swept).await?;
            }
        }
        Ok(())
    }
}

async fn enqueue_unsettled(ledger: &dyn Ledger, dispatch: &dyn Dispatch, receipt: &Receipt) -> Result<(), RepairError> {
    let mut after = receipt.first.before();
    loop {
        let page = ledger.unsettled(after, Some(receipt.last), JOBS_MAX).await?;
        for (queue, tickets) in by_queue(page.jobs) {
            dispatch.enqueue(&queue, &tickets).await?;
            metrics::counter!(REPAIRED_TICKETS_TOTAL, "cause" => "receipt").increment(tickets.len() as u64);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
