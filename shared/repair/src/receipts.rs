//! Receipts that their owners left behind: their unsettled jobs may never have reached the dispatch.
//!
//! A receipt may cover a million jobs, and a page of them an hour's backlog. So a pass ends after a while, and what was reached
//! is remembered until the next.

use crate::{RepairError, in_time, tickets::by_queue};
use haul_core::{
    Dispatch, JobId, Ledger, ProcessId,
    ledger::{Receipt, ReceiptId},
    telemetry::REPAIRED_TICKETS_TOTAL,
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Receipts taken at a time.
const RECEIPTS_MAX: usize = 200;
/// How long a pass goes on; what is left waits for the next.
const PASS_MAX: Duration = Duration::from_secs(10);
/// Jobs read at a time.
const JOBS_MAX: usize = 2_000;
/// Ids older than this when their receipt is swept may lie in minutes that were closed before they were committed.
const LATE: Duration = Duration::from_secs(60);

/// The receipts that this process took and has not finished with. Should it die, the ledger hands them out again.
#[derive(Default)]
pub(crate) struct Receipts {
    taken: VecDeque<Receipt>,
    /// How far the first of them was swept; `None` before its first page.
    reached: Option<JobId>,
    /// Swept for good, and to be dropped.
    done: Vec<ReceiptId>,
}

impl Receipts {
    /// Takes receipts and enqueues their unsettled jobs, until none is left or time is up. Goes on where the last pass
    /// ended, also when that failed.
    pub(crate) async fn sweep(
        &mut self,
        taker: ProcessId,
        ledger: &dyn Ledger,
        dispatch: &dyn Dispatch,
    ) -> Result<(), RepairError> {
        let ends_at = Instant::now() + PASS_MAX;
        while Instant::now() < ends_at {
            let Some(receipt) = self.taken.front().cloned() else {
                in_time(self.drop_done(ledger)).await?;
                let taken = in_time(async { Ok(ledger.take_receipts(taker, RECEIPTS_MAX).await?) }).await?;
                if taken.is_empty() {
                    return Ok(());
                }
                self.taken.extend(taken);
                continue;
            };
            if self.reached.is_none() {
                in_time(reopen_late(ledger, &receipt)).await?;
                self.reached = receipt.first.before();
            }
            let next = in_time(enqueue_page(ledger, dispatch, self.reached, &receipt)).await?;
            if next.is_some() {
                self.reached = next;
                continue;
            }
            if receipt.is_final {
                self.done.push(receipt.id);
            }
            self.taken.pop_front();
            self.reached = None;
        }
        in_time(self.drop_done(ledger)).await
    }

    async fn drop_done(&mut self, ledger: &dyn Ledger) -> Result<(), RepairError> {
        if !self.done.is_empty() {
            ledger.drop_receipts(&self.done).await?;
            self.done.clear();
        }
        Ok(())
    }
}

async fn reopen_late(ledger: &dyn Ledger, receipt: &Receipt) -> Result<(), RepairError> {
    if receipt.first < JobId::floor(ledger.now().await?.minus(LATE)) {
        ledger.reopen(receipt.first, receipt.last).await?;
    }
    Ok(())
}

/// Enqueues a page of the receipt's unsettled jobs. Returns where to go on.
async fn enqueue_page(
    ledger: &dyn Ledger,
    dispatch: &dyn Dispatch,
    after: Option<JobId>,
    receipt: &Receipt,
) -> Result<Option<JobId>, RepairError> {
    let page = ledger.unsettled(after, Some(receipt.last), JOBS_MAX).await?;
    for (queue, tickets) in by_queue(page.jobs) {
        dispatch.enqueue(&queue, &tickets).await?;
        metrics::counter!(REPAIRED_TICKETS_TOTAL, "cause" => "receipt").increment(tickets.len() as u64);
    }
    Ok(page.next)
}
