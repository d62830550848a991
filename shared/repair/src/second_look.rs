//! Second looks: what was committed, and enqueued into a server about to be replaced, behind the back of a rebuild's scan.
//!
//! A minute after a rebuild the last jobs of its queues are enqueued once more. Whoever rebuilt does so; should that process
//! have died by then, another does: every one that saw the queue lost remembers it, a little longer.

use crate::{RepairError, in_time, tickets::by_queue};
use haul_core::{Dispatch, JobId, Ledger, ProcessId, QueueRef, Timestamp, dispatch::Chore, ledger::QueueInfo};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// How far before the rebuild the look goes back, and how long after it, it is taken.
const BACK: Duration = Duration::from_secs(120);
const AFTER: Duration = Duration::from_secs(60);
/// How much longer the others wait; up to twice that, so that they do not come together.
const OTHERS_AFTER: Duration = Duration::from_secs(20);
/// A look taken by anybody within this time was the one that the others wait for.
const TAKEN_WITHIN: Duration = Duration::from_secs(50);
/// Looks that may be outstanding. Beyond, the next is merged into the latest.
const LOOKS_MAX: usize = 64;
/// Jobs read at a time.
const JOBS_MAX: usize = 5_000;
/// How long a pass goes on; what is left waits for the next.
const PASS_MAX: Duration = Duration::from_secs(10);

/// The looks that this process has before it.
pub(crate) struct SecondLooks {
    process: ProcessId,
    /// Queues that somebody else rebuilds, and when they were first seen lost.
    lost: BTreeMap<QueueRef, Timestamp>,
    looks: Vec<SecondLook>,
}

struct SecondLook {
    at: Instant,
    queues: BTreeSet<QueueRef>,
    /// Ids after this one are still to be looked at.
    after: JobId,
    /// Whether another process may have taken this look.
    is_anothers: bool,
}

impl SecondLooks {
    pub(crate) fn new(process: ProcessId) -> Self {
        Self { process, lost: BTreeMap::new(), looks: Vec::new() }
    }

    /// These queues are lost at this moment.
    pub(crate) fn note_lost(&mut self, lost: &[QueueInfo], now: Timestamp) {
        for info in lost {
            self.lost.entry(info.queue.clone()).or_insert(now);
        }
    }

    /// No others than these are lost at this moment: those that were have been rebuilt by another process.
    pub(crate) fn note_rebuilt(&mut self, lost: &[QueueInfo]) {
        let lost: BTreeSet<&QueueRef> = lost.iter().map(|info| &info.queue).collect();
        let rebuilt: Vec<_> = self.lost.extract_if(.., |queue, _| !lost.contains(queue)).collect();
        if let Some(begun_at) = rebuilt.iter().map(|(_, begun_at)| *begun_at).min() {
            // From the process's id, which is random: a simulation replays.
            let share = f64::from(self.process.0.as_u128() as u32) / f64::from(u32::MAX);
            let at = Instant::now() + AFTER + OTHERS_AFTER.mul_f64(1.0 + share);
            self.add(at, begun_at, rebuilt.into_iter().map(|(queue, _)| queue).collect(), true);
        }
    }

    /// This process has rebuilt these queues.
    pub(crate) fn rebuilt(&mut self, begun_at: Timestamp, queues: BTreeSet<QueueRef>) {
        self.lost.retain(|queue, _| !queues.contains(queue));
        if !queues.is_empty() {
            self.add(Instant::now() + AFTER, begun_at, queues, false);
        }
    }

    fn add(&mut self, at: Instant, begun_at: Timestamp, queues: BTreeSet<QueueRef>, is_anothers: bool) {
        let full = self.looks.len() >= LOOKS_MAX;
        match self.looks.last_mut() {
            Some(last) if full => {
                last.at = at;
                last.is_anothers &= is_anothers;
                last.queues.extend(queues);
            }
            _ => self.looks.push(SecondLook { at, queues, after: JobId::floor(begun_at.minus(BACK)), is_anothers }),
        }
    }

    /// Takes the looks that are due, or goes on with one.
    pub(crate) async fn take_due(&mut self, ledger: &dyn Ledger, dispatch: &dyn Dispatch) -> Result<(), RepairError> {
        let ends_at = Instant::now() + PASS_MAX;
        while let Some(due) = self.looks.iter().position(|look| look.at <= Instant::now()) {
            let turn = async || in_time(async { Ok(dispatch.turn(Chore::SecondLook, TAKEN_WITHIN).await?) }).await;
            let look = &mut self.looks[due];
            if look.is_anothers && !turn().await? {
                self.looks.swap_remove(due);
                continue;
            }
            // From here on it is this process's, also when it does not come to its end now.
            let tells = !std::mem::take(&mut look.is_anothers);
            while in_time(look.take_page(ledger, dispatch)).await? {
                if Instant::now() >= ends_at {
                    return Ok(());
                }
            }
            self.looks.swap_remove(due);
            if tells {
                // The others need not look.
                turn().await?;
            }
        }
        Ok(())
    }
}

impl SecondLook {
    /// Enqueues a page of jobs. Whether there is more.
    async fn take_page(&mut self, ledger: &dyn Ledger, dispatch: &dyn Dispatch) -> Result<bool, RepairError> {
        let page = ledger.unsettled(Some(self.after), None, JOBS_MAX).await?;
        for (queue, tickets) in by_queue(page.jobs) {
            if self.queues.contains(&queue) {
                dispatch.enqueue(&queue, &tickets).await?;
            }
        }
        self.after = page.next.unwrap_or(self.after);
        Ok(page.next.is_some())
    }
}
