//! Receipts, and who is alive to look after them.

use super::{State, StoredReceipt};
use haul_core::{
    JobId, ProcessId, Timestamp,
    fleet::GONE_AFTER,
    ledger::{Receipt, ReceiptId},
};
use std::time::Duration;

/// How old the receipt of a living process may get.
const RECEIPT_AGE_MAX: Duration = Duration::from_secs(180);
/// How long after a receipt was taken it is swept again.
const SWEEP_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl State {
    pub(in crate::reference) fn drop_receipts(&mut self, receipts: &[ReceiptId]) {
        for receipt in receipts {
            self.receipts.remove(receipt);
        }
    }

    pub(in crate::reference) fn release_receipts(&mut self, receipts: &[ReceiptId]) {
        for receipt in receipts {
            if let Some(stored) = self.receipts.get_mut(receipt) {
                stored.owner = ProcessId::NOBODY;
                stored.taken_at = None;
            }
        }
    }

    pub(in crate::reference) fn has_receipt(&self, job: JobId) -> bool {
        self.receipts.values().any(|receipt| (receipt.first..=receipt.last).contains(&job))
    }

    pub(in crate::reference) fn take_receipts(
        &mut self,
        now: Timestamp,
        taker: ProcessId,
        limit: usize,
    ) -> Vec<Receipt> {
        let members = &self.members;
        let alive = |owner: &ProcessId| members.get(owner).is_some_and(|member| now.since(member.seen) < GONE_AFTER);
        let ripe = |receipt: &StoredReceipt| match (receipt.taken_at, alive(&receipt.owner)) {
            (None, false) => true,
            (None, true) => now.since(receipt.created_at) >= RECEIPT_AGE_MAX,
            (Some(taken_at), false) => now.since(taken_at) >= GONE_AFTER,
            (Some(taken_at), true) => now.since(taken_at) >= SWEEP_AGAIN_AFTER,
        };
        let ripe = self.receipts.iter_mut().filter(|(_, receipt)| ripe(receipt)).take(limit);
        let take = |(id, receipt): (&ReceiptId, &mut StoredReceipt)| {
            let is_final = receipt.taken_at.replace(now).is_some() && alive(&receipt.owner);
            receipt.owner = taker;
            Receipt { id: *id, first: receipt.first, last: receipt.last, is_final }
        };
        ripe.map(take).collect()
    }
}
