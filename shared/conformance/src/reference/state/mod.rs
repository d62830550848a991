//! What the reference ledger holds, and the rules over it. Plain and single-threaded: every method is one transaction.

mod books;
mod endpoints;
mod fleet;
mod look;
mod maintenance;
mod receipts;
mod schedules;
mod statistics;
mod unsettled;

use haul_core::{
    Job, JobId, Kind, ProcessId, QueueChange, QueueSettings, Tenant, Timestamp,
    endpoints::{Endpoint, EndpointId},
    fleet::Member,
    ledger::{
        Accepted, BatchAccepted, BatchRecorded, Cancelled, Entry, LedgerError, NewJob, QueueInfo, ReceiptId, Record,
        Recorded, Result,
    },
    limits::{KINDS_PER_QUEUE_MAX, QUEUES_MAX},
    maintenance::DayClosed,
    name::QueueRef,
    outcome::{Failure, FinalState, JobRecord, Outcome},
    schedules::{Schedule, ScheduleRef},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Jobs looked at per page. Small, so that callers meet short pages.
const CANDIDATES_MAX: usize = 500;

#[derive(Debug)]
struct Stored {
    job: Job,
    /// By attempt.
    failures: BTreeMap<u32, Failure>,
    outcome: Option<Outcome>,
}

impl Stored {
    fn due(&self) -> Timestamp {
        self.failures.values().next_back().map_or(self.job.run_at, |failure| failure.retry_at)
    }
    fn failure_count(&self) -> u32 {
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }
    fn crash_count(&self) -> u32 {
        u32::try_from(self.failures.values().filter(|failure| failure.crashed).count()).unwrap_or(u32::MAX)
    }
    fn state(&self) -> Option<FinalState> {
        self.outcome.as_ref().map(|outcome| outcome.state)
    }
    fn record(&self, failures: Vec<Failure>) -> JobRecord {
        JobRecord {
            job: self.job.clone(),
            failure_count: self.failure_count(),
            failures,
            outcome: self.outcome.clone(),
        }
    }
}

#[derive(Debug, Clone)]
struct StoredKey {
    fingerprint: [u8; 32],
    job: JobId,
    expires_at: Timestamp,
}

#[derive(Debug)]
struct StoredReceipt {
    owner: ProcessId,
    first: JobId,
    last: JobId,
    created_at: Timestamp,
    taken_at: Option<Timestamp>,
}

#[derive(Debug)]
struct StoredQueue {
    settings: QueueSettings,
    created_at: Timestamp,
    kinds: BTreeSet<Kind>,
}

/// What a batch would make known of a queue.
struct Unknown {
    created_at: Timestamp,
    kinds: BTreeSet<Kind>,
}

#[derive(Debug, Default)]
pub(in crate::reference) struct State {
    jobs: BTreeMap<JobId, Stored>,
    keys: HashMap<(Tenant, String), StoredKey>,
    queues: BTreeMap<QueueRef, StoredQueue>,
    receipts: BTreeMap<ReceiptId, StoredReceipt>,
    members: BTreeMap<ProcessId, Member>,
    closed_minutes: BTreeSet<i64>,
    schedules: BTreeMap<ScheduleRef, Schedule>,
    /// Those that came with Haul, also those that are gone.
    schedules_brought: BTreeSet<ScheduleRef>,
    statistics: statistics::Counted,
    books: books::State,
    /// Days before this id are closed.
    closed_before: Option<JobId>,
    endpoints: BTreeMap<(Tenant, EndpointId), Endpoint>,
}

impl State {
    pub(in crate::reference) fn accept(
        &mut self,
        now: Timestamp,
        jobs: &[NewJob],
        owner: ProcessId,
        done: &[ReceiptId],
    ) -> Result<BatchAccepted> {
        let mut taken: HashMap<(Tenant, String), StoredKey> = HashMap::new();
        let mut answers = Vec::with_capacity(jobs.len());
        for NewJob { job, idempotency } in jobs {
            let Some(idempotency) = idempotency else {
                answers.push(Accepted::New);
                continue;
            };
            let slot = (job.tenant.clone(), idempotency.key.clone());
            let stored = self.keys.get(&slot).filter(|key| key.expires_at > now);
            let answer = match taken.get(&slot).or(stored) {
                None => {
                    let expires_at = now.plus(idempotency.lifetime);
                    taken.insert(slot, StoredKey { fingerprint: idempotency.fingerprint, job: job.id, expires_at });
                    Accepted::New
                }
                Some(key) if key.job == job.id => Accepted::New,
                Some(key) if key.fingerprint == idempotency.fingerprint => Accepted::Replayed(key.job),
                Some(_) => Accepted::KeyReused,
            };
            answers.push(answer);
        }
        let new = jobs.iter().zip(&answers).filter(|(_, answer)| **answer == Accepted::New);
        let new: Vec<&Job> = new.map(|(new, _)| &new.job).collect();
        let receipt = self.store(now, &new, owner)?;
        self.keys.extend(taken);
        self.drop_receipts(done);
        Ok(BatchAccepted { jobs: answers, receipt })
    }

    /// Stores new jobs, what their queues did not know yet and one receipt; or nothing at all.
    fn store(&mut self, now: Timestamp, jobs: &[&Job], owner: ProcessId) -> Result<Option<ReceiptId>> {
        if let Some(late) = jobs.iter().find(|job| self.is_late(job.id)) {
            return Err(LedgerError::Refused(Box::new(DayClosed(late.id))));
        }
        let unknown = self.unknown_kinds(jobs)?;
        for (queue, Unknown { created_at, kinds }) in unknown {
            let new = || StoredQueue { settings: QueueSettings::default(), created_at, kinds: BTreeSet::new() };
            self.queues.entry(queue).or_insert_with(new).kinds.extend(kinds);
        }
        for job in jobs {
            let stored = || Stored { job: (*job).clone(), failures: BTreeMap::new(), outcome: None };
            self.jobs.entry(job.id).or_insert_with(stored);
        }
        let (Some(first), Some(last)) = (jobs.iter().map(|job| job.id).min(), jobs.iter().map(|job| job.id).max())
        else {
            return Ok(None);
        };
        let receipt = StoredReceipt { owner, first, last, created_at: now, taken_at: None };
        self.receipts.entry(ReceiptId(first)).or_insert(receipt);
        Ok(Some(ReceiptId(first)))
    }

    /// Whether a job is new, and its day is closed.
    fn is_late(&self, id: JobId) -> bool {
        self.closed_before.is_some_and(|closed| id < closed) && !self.jobs.contains_key(&id)
    }

    /// What the jobs would make known, if their tenants and queues may have so much.
    fn unknown_kinds(&self, jobs: &[&Job]) -> Result<BTreeMap<QueueRef, Unknown>> {
        let mut unknown: BTreeMap<QueueRef, Unknown> = BTreeMap::new();
        for job in jobs {
            let queue = job.queue_ref();
            if !self.queues.get(&queue).is_some_and(|known| known.kinds.contains(&job.kind)) {
                let new = || Unknown { created_at: job.created_at(), kinds: BTreeSet::new() };
                unknown.entry(queue).or_insert_with(new).kinds.insert(job.kind.clone());
            }
        }
        let mut new_queues: BTreeMap<&Tenant, usize> = BTreeMap::new();
        for (queue, Unknown { kinds, .. }) in &unknown {
            let known = self.queues.get(queue);
            if known.map_or(0, |known| known.kinds.len()) + kinds.len() > KINDS_PER_QUEUE_MAX {
                return Err(LedgerError::LimitReached(format!(
                    "the queue {queue} has {KINDS_PER_QUEUE_MAX} kinds, more are not allowed"
                )));
            }
            if known.is_none() {
                *new_queues.entry(&queue.tenant).or_default() += 1;
            }
        }
        for (tenant, new) in new_queues {
            if self.queues.keys().filter(|known| known.tenant == *tenant).count() + new > QUEUES_MAX {
                return Err(LedgerError::LimitReached(format!(
                    "the tenant has {QUEUES_MAX} queues, more are not allowed"
                )));
            }
        }
        Ok(unknown)
    }

    pub(in crate::reference) fn record(
        &mut self,
        now: Timestamp,
        records: &[Record],
        owner: ProcessId,
    ) -> Result<BatchRecorded> {
        let (mut ended, mut failed) = (HashSet::new(), HashSet::new());
        let mut stays = |record: &Record| {
            let Some(stored) = self.jobs.get(&record.job).filter(|stored| stored.job.tenant == record.tenant) else {
                return false;
            };
            if stored.outcome.is_some() || ended.contains(&record.job) {
                return false;
            }
            match record.entry {
                Entry::Failed(..) | Entry::Crashed(..) => {
                    !stored.failures.contains_key(&record.attempt) && failed.insert((record.job, record.attempt))
                }
                Entry::Succeeded(_) | Entry::Dead(_) => ended.insert(record.job),
            }
        };
        let answer = |record| if stays(record) { Recorded::Committed } else { Recorded::Stale };
        let answers: Vec<Recorded> = records.iter().map(answer).collect();
        let staying = records.iter().zip(&answers).filter(|(_, answer)| **answer == Recorded::Committed);
        let staying: Vec<&Record> = staying.map(|(record, _)| record).collect();
        let follow_ups: Vec<&Job> = staying.iter().flat_map(|record| &record.follow_ups).collect();
        let receipt = self.store(now, &follow_ups, owner)?;
        for record in staying {
            self.write(record);
        }
        Ok(BatchRecorded { records: answers, receipt })
    }

    fn write(&mut self, record: &Record) {
        let Some(stored) = self.jobs.get_mut(&record.job) else { return };
        let (state, result, error) = match record.entry.clone() {
            Entry::Succeeded(result) => (FinalState::Succeeded, result, None),
            Entry::Dead(error) => (FinalState::Dead, None, Some(error)),
            Entry::Failed(error, retry_at) | Entry::Crashed(error, retry_at) => {
                let crashed = matches!(record.entry, Entry::Crashed(..));
                let failure = Failure { attempt: record.attempt, at: record.at, error, retry_at, crashed };
                stored.failures.insert(record.attempt, failure);
                return;
            }
        };
        let outcome = Outcome { state, attempt: record.attempt, finished_at: record.at, result, error };
        stored.outcome = Some(outcome);
    }

    pub(in crate::reference) fn cancel(&mut self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Vec<Cancelled> {
        let mut cancel = |id: &JobId| {
            let stored = self.jobs.get_mut(id).filter(|stored| stored.job.tenant == *tenant);
            let Some(stored) = stored else { return Cancelled::Unknown };
            if let Some(state) = stored.state() {
                return Cancelled::Already(state);
            }
            if self.books.has_sent(*id) {
                return Cancelled::TooLate;
            }
            let attempt = stored.failure_count();
            let state = FinalState::Cancelled;
            stored.outcome = Some(Outcome { state, attempt, finished_at: at, result: None, error: None });
            Cancelled::Now
        };
        ids.iter().map(&mut cancel).collect()
    }

    pub(in crate::reference) fn queues(&self) -> Vec<QueueInfo> {
        let info = |(queue, stored): (&QueueRef, &StoredQueue)| QueueInfo {
            queue: queue.clone(),
            settings: stored.settings,
            created_at: stored.created_at,
            kinds: stored.kinds.iter().cloned().collect(),
        };
        self.queues.iter().map(info).collect()
    }

    pub(in crate::reference) fn configure_queue(
        &mut self,
        queue: &QueueRef,
        change: &QueueChange,
    ) -> Result<Option<QueueSettings>> {
        change.check()?;
        let Some(stored) = self.queues.get_mut(queue) else { return Ok(None) };
        stored.settings = change.apply(stored.settings);
        Ok(Some(stored.settings))
    }
}
