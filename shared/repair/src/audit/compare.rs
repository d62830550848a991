//! One comparison of ledger and dispatch, from its first look to its report.

use super::{
    Pace,
    doubts::{Doubts, Ticketed},
    stretch::{Held, Stretch},
};
use haul_core::{
    Dispatch, JobId, Kind, Ledger, QueueRef,
    audit::{AuditError, AuditReport, EXAMPLES_MAX, Findings, QueueAudit},
    dispatch::{Place, ScanCursor, ScanPage, Seen, Ticket},
    ledger::{QueueInfo, Unsettled},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// Younger jobs are not judged: their ticket is on its way, or their receipt is not old enough to be swept.
const YOUNG: Duration = Duration::from_secs(60);
/// A lease that expired so long ago was left alone by every worker that could have taken it up.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);
/// Tickets read at a time.
const TICKETS_MAX: usize = 1_000;
/// Tickets that the ledger is asked about at a time.
const ASKED_MAX: usize = 2_000;

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) ledger: &'a dyn Ledger,
    pub(super) dispatch: &'a dyn Dispatch,
    pub(super) pace: Pace,
    /// Nothing new is begun after this.
    until: Instant,
    /// Ids that are held at a time.
    ids_max: usize,
    queues: Vec<Compared>,
    numbers: HashMap<QueueRef, usize>,
}

/// A queue and what was found in it.
struct Compared {
    info: QueueInfo,
    audit: QueueAudit,
}

/// Why a comparison ends early.
pub(super) enum Stop {
    TimeIsUp,
    Failed(AuditError),
}

impl<E: Into<AuditError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        ledger: &'a dyn Ledger,
        dispatch: &'a dyn Dispatch,
        pace: Pace,
        until: Instant,
        ids_max: usize,
    ) -> Self {
        Self { ledger, dispatch, pace, until, ids_max, queues: Vec::new(), numbers: HashMap::new() }
    }

    /// Compares everything.
    pub(super) async fn run(mut self) -> Result<AuditReport, AuditError> {
        let begun = Instant::now();
        let begun_at = self.ledger.now().await?;
        let complete = match self.compare(JobId::floor(begun_at.minus(YOUNG))).await {
            Ok(()) => true,
            Err(Stop::TimeIsUp) => false,
            Err(Stop::Failed(error)) => return Err(error),
        };
        let mut queues: Vec<_> = self.queues.into_iter().map(|queue| queue.audit).collect();
        queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(AuditReport { begun_at, took: begun.elapsed(), complete, queues })
    }

    async fn compare(&mut self, end: JobId) -> Result<(), Stop> {
        for info in self.ledger.queues().await? {
            self.numbers.insert(info.queue.clone(), self.queues.len());
            self.queues.push(Compared { audit: QueueAudit::new(info.queue.clone()), info });
        }
        self.leave_lost_queues_out().await?;
        let mut after = None;
        let mut is_first = true;
        loop {
            self.in_time()?;
            let mut counts = vec![0; self.queues.len()];
            let wanted = |job: &Unsettled| {
                let number = self.number(&job.queue).filter(|number| self.queues[*number].audit.compared);
                number.inspect(|number| counts[*number] += 1).is_some()
            };
            let (stretch, next) = Stretch::read(self.ledger, after, end, self.pace, self.ids_max, wanted).await?;
            for (queue, count) in self.queues.iter_mut().zip(counts) {
                queue.audit.jobs += count;
            }
            let doubts = self.first_look(stretch, is_first).await?;
            self.decide(doubts).await?;
            match next {
                Some(next) => (after, is_first) = (Some(next), false),
                None => return Ok(()),
            }
        }
    }

    /// Holds every ticket against the stretch. What is the same for every stretch is looked at with the first.
    async fn first_look(&mut self, mut stretch: Stretch, is_first: bool) -> Result<Doubts, Stop> {
        let mut doubts = Doubts::default();
        for number in self.compared() {
            let mut unknown = Vec::new();
            let mut cursor = None;
            loop {
                let page = self.page(number, cursor.as_ref()).await?;
                if is_first {
                    self.queues[number].audit.tickets += page.tickets.len() as u64;
                }
                for seen in page.tickets {
                    if is_first && self.is_abandoned(number, &seen) {
                        doubts.expired.insert(seen.id, Ticketed { queue: number, kind: seen.kind.clone() });
                    }
                    // A lease whose job has ended is about to end, or its handler is: its holder sees to it.
                    let is_leased = matches!(seen.place, Place::Leased { .. });
                    if stretch.hold(seen.id) == Held::Unknown && !is_leased {
                        unknown.push(seen);
                    }
                }
                if unknown.len() >= ASKED_MAX || page.next.is_none() {
                    self.ask(number, std::mem::take(&mut unknown), &mut doubts).await?;
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        doubts.missing = self.load_missing(stretch.missing()).await?;
        Ok(doubts)
    }

    /// Asks the ledger about tickets whose jobs are not unsettled: which of them have ended?
    async fn ask(&mut self, number: usize, unknown: Vec<Seen>, doubts: &mut Doubts) -> Result<(), Stop> {
        for unknown in unknown.chunks(ASKED_MAX) {
            let ids: Vec<JobId> = unknown.iter().map(|seen| seen.id).collect();
            let ended: HashSet<JobId> = self.ledger.settled(&ids).await?.into_iter().map(|(id, _)| id).collect();
            for seen in unknown.iter().filter(|seen| ended.contains(&seen.id)) {
                if seen.place == Place::Delayed {
                    doubts.ended.insert(seen.id, Ticketed { queue: number, kind: seen.kind.clone() });
                } else {
                    self.queues[number].audit.leftover += 1;
                }
            }
        }
        Ok(())
    }

    /// Looks again for what is in doubt, heals what then still is, and puts it into the report.
    async fn decide(&mut self, mut doubts: Doubts) -> Result<(), Stop> {
        self.look_again(&mut doubts).await?;
        if doubts.is_empty() {
            return Ok(());
        }
        self.leave_lost_queues_out().await?;
        doubts.retain_queues(&BTreeSet::from_iter(self.compared()));
        self.heal(&doubts).await?;
        let missing = doubts.missing.into_iter().map(|(id, missing)| (id, missing.ticketed));
        self.found(missing, |audit| &mut audit.unreachable);
        self.found(doubts.expired, |audit| &mut audit.abandoned);
        self.found(doubts.ended, |audit| &mut audit.settled);
        Ok(())
    }

    async fn heal(&self, doubts: &Doubts) -> Result<(), Stop> {
        let mut tickets: BTreeMap<usize, Vec<Ticket>> = BTreeMap::new();
        for (id, missing) in &doubts.missing {
            tickets.entry(missing.ticketed.queue).or_default().push(missing.ticket(*id));
        }
        for (number, mut tickets) in tickets {
            tickets.sort_by_key(|ticket| ticket.id);
            self.dispatch.enqueue(&self.queue(number).queue, &tickets).await?;
        }
        for (number, ended) in by_queue(&doubts.ended) {
            self.dispatch.remove(&self.queue(number).queue, &ended).await?;
        }
        for (number, expired) in by_queue(&doubts.expired) {
            let kinds = BTreeSet::from_iter(expired.into_iter().map(|(kind, _)| kind));
            self.dispatch.wake(&self.queue(number).queue, &Vec::from_iter(kinds)).await?;
        }
        Ok(())
    }

    /// Counts findings, with the first of them as examples.
    fn found(
        &mut self,
        jobs: impl IntoIterator<Item = (JobId, Ticketed)>,
        place: fn(&mut QueueAudit) -> &mut Findings,
    ) {
        let mut jobs = Vec::from_iter(jobs);
        jobs.sort_by_key(|(id, _)| *id);
        let told: usize = self.queues.iter_mut().map(|queue| place(&mut queue.audit).examples.len()).sum();
        let mut room = EXAMPLES_MAX.saturating_sub(told);
        for (id, ticketed) in jobs {
            let findings = place(&mut self.queues[ticketed.queue].audit);
            findings.count += 1;
            if room > 0 {
                room -= 1;
                findings.examples.push(id);
            }
        }
    }

    /// The numbers of the queues that are compared.
    fn compared(&self) -> Vec<usize> {
        (0..self.queues.len()).filter(|number| self.queues[*number].audit.compared).collect()
    }

    pub(super) fn number(&self, queue: &QueueRef) -> Option<usize> {
        self.numbers.get(queue).copied()
    }

    pub(super) fn queue(&self, number: usize) -> &QueueInfo {
        &self.queues[number].info
    }

    /// Whether this ticket's lease expired long ago. A paused queue takes up no leases, and need not.
    pub(super) fn is_abandoned(&self, number: usize, seen: &Seen) -> bool {
        let Place::Leased { expired_for: Some(expired_for) } = seen.place else { return false };
        expired_for > ABANDONED_AFTER && !self.queue(number).settings.paused
    }

    /// Reads a page of tickets.
    pub(super) async fn page(&self, number: usize, cursor: Option<&ScanCursor>) -> Result<ScanPage, Stop> {
        self.in_time()?;
        let begun = Instant::now();
        let QueueInfo { queue, kinds, .. } = self.queue(number);
        let page = self.dispatch.scan(queue, kinds, cursor, TICKETS_MAX).await?;
        self.pace.pause(begun).await;
        Ok(page)
    }

    pub(super) fn in_time(&self) -> Result<(), Stop> {
        if Instant::now() < self.until { Ok(()) } else { Err(Stop::TimeIsUp) }
    }

    /// Queues that are lost, or being rebuilt, are not compared: their tickets are on their way.
    async fn leave_lost_queues_out(&mut self) -> Result<(), Stop> {
        let refs: Vec<QueueRef> = self.queues.iter().map(|queue| queue.info.queue.clone()).collect();
        if refs.is_empty() {
            return Ok(());
        }
        for lost in self.dispatch.lost(&refs).await? {
            if let Some(number) = self.number(&lost) {
                self.queues[number].audit = QueueAudit { compared: false, ..QueueAudit::new(lost) };
            }
        }
        Ok(())
    }
}

fn by_queue(ticketed: &HashMap<JobId, Ticketed>) -> BTreeMap<usize, Vec<(Kind, JobId)>> {
    let mut queues: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (id, Ticketed { queue, kind }) in ticketed {
        queues.entry(*queue).or_default().push((kind.clone(), *id));
    }
    queues
}
