//! The courier: brings tickets of jobs that were fired to the dispatch, beside the firing.
//!
//! A bounded buffer and one task. A slow or dead dispatch delays no tick: what finds no room, fails or takes too long is
//! left to repair by its receipt, which is given to nobody so that it is taken at once.

use crate::receipts::Receipts;
use haul_core::{Dispatch, Job, Ledger, QueueRef, dispatch::Ticket, ledger::ReceiptId};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// Batches that may wait.
const BATCHES_MAX: usize = 64;
/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(2);
/// How long the buffer is still emptied when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// The tickets of one receipt.
struct Parcel {
    receipt: ReceiptId,
    tickets: BTreeMap<QueueRef, Vec<Ticket>>,
}

/// The end that takes parcels.
pub(crate) struct Counter(mpsc::Sender<Parcel>);

/// The end that delivers them.
pub(crate) struct Courier {
    parcels: mpsc::Receiver<Parcel>,
    ledger: Arc<dyn Ledger>,
    dispatch: Arc<dyn Dispatch>,
    receipts: Arc<Receipts>,
}

pub(crate) fn courier(
    ledger: Arc<dyn Ledger>,
    dispatch: Arc<dyn Dispatch>,
    receipts: Arc<Receipts>,
) -> (Counter, Courier) {
    let (sender, parcels) = mpsc::channel(BATCHES_MAX);
    (Counter(sender), Courier { parcels, ledger, dispatch, receipts })
}

impl Counter {
    /// Gives the tickets of jobs that were accepted to the dispatch, soon. `false`: there is no room.
    pub(crate) fn take<'a>(&self, receipt: ReceiptId, jobs: impl Iterator<Item = &'a Job>) -> bool {
        let mut tickets: BTreeMap<QueueRef, Vec<Ticket>> = BTreeMap::new();
        for job in jobs {
            let due = (job.run_at > job.created_at()).then_some(job.run_at);
            let ticket = Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due };
            tickets.entry(job.queue_ref()).or_default().push(ticket);
        }
        self.0.try_send(Parcel { receipt, tickets }).is_ok()
    }
}

impl Courier {
    /// Delivers until the other end is gone, and then for a little while what is left.
    pub(crate) async fn run(mut self) {
        let mut flush_ends = None;
        while let Some(parcel) = self.parcels.recv().await {
            if self.parcels.is_closed() {
                let ends = *flush_ends.get_or_insert_with(|| Instant::now() + FLUSH_MAX);
                if Instant::now() >= ends {
                    tracing::debug!("tickets are left to repair: the process ends");
                    return;
                }
            }
            self.deliver(parcel).await;
        }
    }

    async fn deliver(&self, Parcel { receipt, tickets }: Parcel) {
        for (queue, tickets) in &tickets {
            match timeout(CALL_MAX, self.dispatch.enqueue(queue, tickets)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return self.leave(receipt, &error.to_string()).await,
                Err(_elapsed) => return self.leave(receipt, "no answer came in time").await,
            }
        }
        self.receipts.confirm(receipt);
    }

    async fn leave(&self, receipt: ReceiptId, why: &str) {
        tracing::debug!(why, "tickets did not reach the dispatch and are left to repair");
        if !matches!(timeout(CALL_MAX, self.ledger.release_receipts(&[receipt])).await, Ok(Ok(()))) {
            tracing::debug!("their receipt could not be released; repair takes it within three minutes");
        }
    }
}
