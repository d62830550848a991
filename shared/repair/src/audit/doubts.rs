//! Doubts: what the first look missed, and the looks that decide.
//!
//! One scan proves nothing: a ticket that goes back while it is scanned (a retry, a release, a deferral) may be missed.
//! So what was missed is looked for several times more, seconds apart, and the ledger is asked each time: a job that has
//! ended or failed meanwhile has moved, and is no finding. What every look misses while its job stands still has no
//! ticket: were one look in ten wrong, five of them would be about one job in a hundred thousand.

use super::compare::{Comparison, Stop};
use crate::tickets::ticket;
use haul_core::{
    JobId, Kind, Priority, Timestamp,
    dispatch::{Place, Ticket},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Looks after the first.
const LOOKS: usize = 4;
/// Between looks: longer than a claim, a load and a settle take in turn.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Jobs loaded at a time: with their payloads, which may be large.
const LOADED_MAX: usize = 100;
/// Leases asked about at a time.
const ASKED_MAX: usize = 1_000;

/// Where a ticket was, or should be.
#[derive(Debug, Clone)]
pub(super) struct Ticketed {
    /// The number of its queue.
    pub(super) queue: usize,
    pub(super) kind: Kind,
}

/// An unsettled job whose ticket was not seen.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) ticketed: Ticketed,
    priority: Priority,
    due: Timestamp,
    failures: u32,
}

impl Missing {
    /// Its ticket, as the ledger says.
    pub(super) fn ticket(&self, id: JobId) -> Ticket {
        ticket(id, self.ticketed.kind.clone(), self.priority, self.due)
    }
}

/// What the looks so far agree about.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Unsettled, and not seen.
    pub(super) missing: HashMap<JobId, Missing>,
    /// Seen leased, long after the lease had expired.
    pub(super) expired: HashMap<JobId, Ticketed>,
    /// Ended, and seen delayed.
    pub(super) ended: HashMap<JobId, Ticketed>,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.expired.is_empty() && self.ended.is_empty()
    }

    /// Forgets what is of other queues.
    pub(super) fn retain_queues(&mut self, queues: &BTreeSet<usize>) {
        self.missing.retain(|_, missing| queues.contains(&missing.ticketed.queue));
        self.expired.retain(|_, ticketed| queues.contains(&ticketed.queue));
        self.ended.retain(|_, ticketed| queues.contains(&ticketed.queue));
    }

    fn queues(&self) -> BTreeSet<usize> {
        let missing = self.missing.values().map(|missing| missing.ticketed.queue);
        missing.chain(self.expired.values().chain(self.ended.values()).map(|ticketed| ticketed.queue)).collect()
    }
}

impl Comparison<'_> {
    /// Looks for everything in doubt again, until nothing is or the looks are through.
    pub(super) async fn look_again(&self, doubts: &mut Doubts) -> Result<(), Stop> {
        for _ in 0..LOOKS {
            if doubts.is_empty() {
                return Ok(());
            }
            self.in_time()?;
            sleep(BETWEEN_LOOKS).await;
            let (mut expired, mut ended) = (HashMap::new(), HashMap::new());
            for number in doubts.queues() {
                let mut cursor = None;
                loop {
                    let page = self.page(number, cursor.as_ref()).await?;
                    for seen in page.tickets {
                        doubts.missing.remove(&seen.id);
                        if self.is_abandoned(number, &seen) {
                            expired.extend(doubts.expired.remove_entry(&seen.id));
                        }
                        if seen.place == Place::Delayed {
                            ended.extend(doubts.ended.remove_entry(&seen.id));
                        }
                    }
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
            (doubts.expired, doubts.ended) = (expired, ended);
            self.clear_leased(doubts).await?;
            self.clear_moved(doubts).await?;
        }
        Ok(())
    }

    /// These jobs as they stand in the ledger now, without those that have ended.
    pub(super) async fn load_missing(&self, ids: Vec<JobId>) -> Result<HashMap<JobId, Missing>, Stop> {
        let mut missing = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(LOADED_MAX) {
            self.in_time()?;
            let begun = Instant::now();
            for loaded in self.ledger.load(ids).await?.into_iter().filter(|loaded| loaded.outcome.is_none()) {
                let Some(queue) = self.number(&loaded.job.queue_ref()) else { continue };
                let ticketed = Ticketed { queue, kind: loaded.job.kind };
                let (priority, due, failures) = (loaded.job.priority, loaded.due, loaded.failures);
                missing.insert(loaded.job.id, Missing { ticketed, priority, due, failures });
            }
            self.pace.pause(begun).await;
        }
        Ok(missing)
    }

    /// Asks about leases by id: the surest answer that a dispatch gives.
    async fn clear_leased(&self, doubts: &mut Doubts) -> Result<(), Stop> {
        let mut queues: BTreeMap<usize, Vec<(Kind, JobId)>> = BTreeMap::new();
        for (id, missing) in &doubts.missing {
            queues.entry(missing.ticketed.queue).or_default().push((missing.ticketed.kind.clone(), *id));
        }
        for (number, tickets) in queues {
            for tickets in tickets.chunks(ASKED_MAX) {
                let leased = self.dispatch.leased(&self.queue(number).queue, tickets).await?;
                for ((_, id), _) in tickets.iter().zip(leased).filter(|(_, leased)| *leased) {
                    doubts.missing.remove(id);
                }
            }
        }
        Ok(())
    }

    /// Asks the ledger, after the scan: what ended or failed meanwhile has moved.
    async fn clear_moved(&self, doubts: &mut Doubts) -> Result<(), Stop> {
        let now = self.load_missing(doubts.missing.keys().copied().collect()).await?;
        doubts.missing.retain(|id, missing| now.get(id).is_some_and(|now| now.failures == missing.failures));
        Ok(())
    }
}
