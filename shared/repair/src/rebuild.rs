//! Queues whose tickets were lost: filled again from the ledger.
//!
//! One scan over the unsettled jobs serves all lost queues at once. Workers that still run jobs of a lost queue have a
//! moment of grace to re-assert their leases first; what they do not re-assert may run twice.

use crate::{RepairError, in_time, second_look::SecondLooks, tickets::by_queue};
use haul_core::{
    Dispatch, Ledger, ProcessId, QueueRef, QueueSettings,
    dispatch::RebuildToken,
    ledger::QueueInfo,
    telemetry::{REBUILDS_TOTAL, REPAIRED_TICKETS_TOTAL},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long the right to rebuild lasts without a sign of life.
const HOLD: Duration = Duration::from_secs(10);
/// Jobs read at a time.
const JOBS_MAX: usize = 5_000;
/// Queues rebuilt together: their rights must not run out while the last of them are begun.
const QUEUES_MAX: usize = 1_000;

/// Rebuilds, and the second looks after them.
pub(crate) struct Rebuild {
    second_looks: SecondLooks,
}

impl Rebuild {
    pub(crate) fn new(process: ProcessId) -> Self {
        Self { second_looks: SecondLooks::new(process) }
    }

    /// Rebuilds every lost queue that nobody else rebuilds, and takes the second looks that are due. Neither keeps the
    /// other from its turn.
    pub(crate) async fn pass(
        &mut self,
        ledger: &dyn Ledger,
        dispatch: &dyn Dispatch,
        grace: Duration,
    ) -> Result<(), RepairError> {
        let rebuilt = self.rebuild_lost(ledger, dispatch, grace).await;
        rebuilt.and(self.second_looks.take_due(ledger, dispatch).await)
    }

    async fn rebuild_lost(
        &mut self,
        ledger: &dyn Ledger,
        dispatch: &dyn Dispatch,
        grace: Duration,
    ) -> Result<(), RepairError> {
        let lost = in_time(lost_queues(ledger, dispatch)).await?;
        self.second_looks.note_rebuilt(&lost);
        if lost.is_empty() {
            return Ok(());
        }
        let begun_at = in_time(async { Ok(ledger.now().await?) }).await?;
        self.second_looks.note_lost(&lost, begun_at);
        let mut held = in_time(begin(dispatch, &lost[..lost.len().min(QUEUES_MAX)])).await?;
        if held.is_empty() {
            return Ok(());
        }
        // A queue younger than the grace can have no leases worth waiting for: its first job starts at once.
        let has_history = |info: &QueueInfo| begun_at.since(info.created_at) > grace && held.contains_key(&info.queue);
        if lost.iter().any(has_history) {
            sleep(grace).await;
        }
        let tickets = fill(ledger, dispatch, &mut held).await?;
        let finished = in_time(finish(ledger, dispatch, &held)).await?;
        tracing::info!(queues = finished.len(), tickets, "rebuilt the dispatch from the ledger");
        self.second_looks.rebuilt(begun_at, finished);
        Ok(())
    }
}

async fn lost_queues(ledger: &dyn Ledger, dispatch: &dyn Dispatch) -> Result<Vec<QueueInfo>, RepairError> {
    let known = ledger.queues().await?;
    if known.is_empty() {
        return Ok(known);
    }
    let refs: Vec<QueueRef> = known.iter().map(|info| info.queue.clone()).collect();
    let lost: BTreeSet<QueueRef> = dispatch.lost(&refs).await?.into_iter().collect();
    Ok(known.into_iter().filter(|info| lost.contains(&info.queue)).collect())
}

async fn begin(dispatch: &dyn Dispatch, lost: &[QueueInfo]) -> Result<BTreeMap<QueueRef, RebuildToken>, RepairError> {
    let mut held = BTreeMap::new();
    for info in lost {
        if let Some(token) = dispatch.begin_rebuild(&info.queue, &info.kinds, &info.settings, HOLD).await? {
            held.insert(info.queue.clone(), token);
        }
    }
    Ok(held)
}

/// Enqueues every unsettled job of the held queues. A queue whose right was lost on the way is let go. Returns how many
/// tickets were enqueued.
async fn fill(
    ledger: &dyn Ledger,
    dispatch: &dyn Dispatch,
    held: &mut BTreeMap<QueueRef, RebuildToken>,
) -> Result<u64, RepairError> {
    let mut after = None;
    let mut filled = 0;
    let mut renewed_at = Instant::now();
    loop {
        let page = in_time(async { Ok(ledger.unsettled(after, None, JOBS_MAX).await?) }).await?;
        for (queue, tickets) in by_queue(page.jobs) {
            let Some(&token) = held.get(&queue) else { continue };
            if in_time(async { Ok(dispatch.rebuild(&queue, token, &tickets, HOLD).await?) }).await? {
                let count = tickets.len() as u64;
                filled += count;
                metrics::counter!(REPAIRED_TICKETS_TOTAL, "cause" => "rebuild").increment(count);
            } else {
                held.remove(&queue);
            }
        }
        // Queues that have nothing on this page would lose their right while a long scan goes on.
        if renewed_at.elapsed() > HOLD / 4 {
            renewed_at = Instant::now();
            in_time(renew(dispatch, held)).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(filled),
        }
    }
}

async fn renew(dispatch: &dyn Dispatch, held: &mut BTreeMap<QueueRef, RebuildToken>) -> Result<(), RepairError> {
    let mut gone = Vec::new();
    for (queue, &token) in held.iter() {
        if !dispatch.rebuild(queue, token, &[], HOLD).await? {
            gone.push(queue.clone());
        }
    }
    held.retain(|queue, _| !gone.contains(queue));
    Ok(())
}

async fn finish(
    ledger: &dyn Ledger,
    dispatch: &dyn Dispatch,
    held: &BTreeMap<QueueRef, RebuildToken>,
) -> Result<BTreeSet<QueueRef>, RepairError> {
    let settings = settings(ledger).await?;
    let mut finished = BTreeSet::new();
    for (queue, &token) in held {
        let Some(settings) = settings.get(queue) else { continue };
        if dispatch.finish_rebuild(queue, token, settings).await? {
            metrics::counter!(REBUILDS_TOTAL).increment(1);
            finished.insert(queue.clone());
        }
    }
    // An operator may have changed them in between.
    for (queue, now) in self::settings(ledger).await? {
        if finished.contains(&queue) && settings.get(&queue) != Some(&now) {
            dispatch.configure(&queue, &now).await?;
        }
    }
    Ok(finished)
}

async fn settings(ledger: &dyn Ledger) -> Result<BTreeMap<QueueRef, QueueSettings>, RepairError> {
    Ok(ledger.queues().await?.into_iter().map(|info| (info.queue.clone(), info.settings)).collect())
}
