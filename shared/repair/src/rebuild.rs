//! Queues whose tickets were lost: filled again from the ledger.
//!
//! One scan over the unsettled jobs serves all lost queues at once. Workers that still run jobs of a lost queue have a
//! moment of grace to re-assert their leases first; what they do not re-assert may run twice.

use crate::{RepairError, in_time, tickets::by_queue};
use haul_core::{
    Dispatch, JobId, Ledger, QueueRef, Timestamp,
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
/// How far back, and how long after a rebuild, the second look goes: it catches what was enqueued into a server that
/// was about to be replaced, and was committed behind the first scan's back.
const SECOND_LOOK_BACK: Duration = Duration::from_secs(120);
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(60);
/// Second looks that may be outstanding. Beyond, the next is merged into the latest.
const SECOND_LOOKS_MAX: usize = 16;

/// What is left to do after rebuilds.
#[derive(Default)]
pub(crate) struct Rebuild {
    second_looks: Vec<SecondLook>,
}

struct SecondLook {
    at: Instant,
    from: Timestamp,
    to: Timestamp,
    queues: BTreeSet<QueueRef>,
}

impl Rebuild {
    /// Rebuilds every lost queue that nobody else rebuilds, and takes the second looks that are due.
    pub(crate) async fn pass(
        &mut self,
        ledger: &dyn Ledger,
        dispatch: &dyn Dispatch,
        grace: Duration,
    ) -> Result<(), RepairError> {
        if let Some(due) = self.second_looks.iter().position(|look| look.at <= Instant::now()) {
            in_time(self.second_looks[due].take(ledger, dispatch)).await?;
            self.second_looks.swap_remove(due);
        }
        let lost = in_time(lost_queues(ledger, dispatch)).await?;
        if lost.is_empty() {
            return Ok(());
        }
        let begun_at = in_time(async { Ok(ledger.now().await?) }).await?;
        let mut held = in_time(begin(dispatch, &lost)).await?;
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
        self.look_again(begun_at, finished);
        Ok(())
    }

    fn look_again(&mut self, begun_at: Timestamp, queues: BTreeSet<QueueRef>) {
        let at = Instant::now() + SECOND_LOOK_AFTER;
        let from = begun_at.minus(SECOND_LOOK_BACK);
        let to = begun_at.plus(SECOND_LOOK_AFTER);
        let full = self.second_looks.len() >= SECOND_LOOKS_MAX;
        match self.second_looks.last_mut() {
            Some(last) if full => {
                last.at = at;
                last.to = to;
                last.queues.extend(queues);
            }
            _ => self.second_looks.push(SecondLook { at, from, to, queues }),
        }
    }
}

impl SecondLook {
    async fn take(&self, ledger: &dyn Ledger, dispatch: &dyn Dispatch) -> Result<(), RepairError> {
        let last = Some(JobId::floor(self.to));
        let mut after = Some(JobId::floor(self.from));
        while after.is_some() {
            let page = ledger.unsettled(after, last, JOBS_MAX).await?;
            for (queue, tickets) in by_queue(page.jobs) {
                if self.queues.contains(&queue) {
                    dispatch.enqueue(&queue, &tickets).await?;
                }
            }
            after = page.next;
        }
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
        if let Some(token) = dispatch.begin_rebuild(&info.queue, &info.kinds, HOLD).await? {
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
    let paused = paused_queues(ledger).await?;
    let mut finished = BTreeSet::new();
    for (queue, &token) in held {
        if dispatch.finish_rebuild(queue, token, paused.contains(queue)).await? {
            metrics::counter!(REBUILDS_TOTAL).increment(1);
            finished.insert(queue.clone());
        }
    }
    // An operator may have paused or resumed one in between.
    let now_paused = paused_queues(ledger).await?;
    for queue in finished.iter().filter(|queue| paused.contains(*queue) != now_paused.contains(*queue)) {
        dispatch.pause(queue, now_paused.contains(queue)).await?;
    }
    Ok(finished)
}

async fn paused_queues(ledger: &dyn Ledger) -> Result<BTreeSet<QueueRef>, RepairError> {
    let known = ledger.queues().await?;
    Ok(known.into_iter().filter(|info| info.settings.paused).map(|info| info.queue).collect())
}
