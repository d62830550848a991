//! A ledger that keeps every promise but one.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    JobId, Ledger, ProcessId, QueueChange, QueueSettings, Tenant, Timestamp,
    ledger::{
        Accepted, BatchAccepted, BatchRecorded, Cancelled, Entry, Filter, LedgerError, Loaded, NewJob, Page,
        ProcessInfo, QueueInfo, Receipt, ReceiptId, Record, Recorded, Result, UnsettledPage,
    },
    limits::SLOTS_MAX,
    name::QueueRef,
    outcome::{FinalState, JobRecord, Outcome},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    AcknowledgesWithoutStoring,
    TouchesPayloads,
    SurfacesDeadlocks,
    ReplaysWhateverTheRequest,
    KeepsKeysForEver,
    ChecksKeysBeforeItWrites,
    DropsReceiptsEarly,
    DropsReceiptsWhenTaken,
    GivesReceiptsToTwo,
    WaitsForDeadTakers,
    HandsOutWhatUnknownTakersHave,
    TrustsDeadTakers,
    ReleasesOnlyTheOwner,
    LaterOutcomeWins,
    ChecksOutcomesBeforeItWrites,
    FailureAfterOutcome,
    CountsFailuresTwice,
    ForgetsCrashes,
    HidesCrashes,
    CountsCrashesOnly,
    CrashAfterOutcome,
    CrashOverwritesFailure,
    OneRecordPerJobAndBatch,
    LaterRecordOfBatchWins,
    FollowUpsOfStaleRecords,
    FollowUpsWithoutReceipt,
    CancelsForeignJobs,
    ShowsForeignJobs,
    SettledForgetsCancelled,
    IgnoresWhenToRetry,
    ListRepeats,
    ListSkips,
    ListGivesUp,
    ClosesOpenMinutes,
    ClosesYoungMinutes,
    NeverCloses,
    DoesNotReopen,
    SortsKindsAsPeopleDo,
    ForgetsPauses,
    WritesAllSettings,
    ForgetsSlots,
    CutsSettings,
    TellsOldSettings,
    EventsEnd,
}
use Defect::*;

pub(crate) struct BrokenLedger {
    inner: Arc<ReferenceLedger>,
    defect: Defect,
    calls: AtomicUsize,
    notes: Mutex<Notes>,
}

/// What some defects need to remember.
#[derive(Default)]
struct Notes {
    taken: Vec<Receipt>,
    handed_out: BTreeSet<ReceiptId>,
    seen: HashSet<ProcessId>,
    outcomes: HashMap<JobId, Outcome>,
    extra_failures: HashMap<JobId, u32>,
    minutes: BTreeSet<i64>,
    hidden: BTreeSet<i64>,
    /// By job and attempt.
    crashes: BTreeMap<(JobId, u32), Recorded>,
    keys: HashMap<String, JobId>,
}

impl BrokenLedger {
    pub(crate) fn new(inner: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner, defect, calls: AtomicUsize::new(0), notes: Mutex::default() }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The job as this ledger shows it.
    fn shown(&self, mut record: JobRecord) -> JobRecord {
        let notes = self.notes.lock();
        if let Some(outcome) = notes.outcomes.get(&record.id()) {
            record.outcome = Some(outcome.clone());
        }
        record.failure_count += notes.extra_failures.get(&record.id()).copied().unwrap_or(0);
        if self.is(HidesCrashes) {
            record.failures.iter_mut().for_each(|failure| failure.crashed = false);
        }
        record
    }

    /// A process that is always alive.
    async fn keeper(&self) -> Result<ProcessId> {
        let keeper = ProcessInfo { id: ProcessId(uuid::Uuid::max()), role: "keeper".to_owned() };
        self.inner.heartbeat(&keeper).await?;
        Ok(keeper.id)
    }

    async fn accept_after_a_look(&self, jobs: &[NewJob], owner: ProcessId) -> Result<BatchAccepted> {
        let known: Vec<Option<JobId>> = {
            let notes = self.notes.lock();
            let key = |new: &NewJob| notes.keys.get(&new.idempotency.as_ref()?.key).copied();
            jobs.iter().map(key).collect()
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
        let unkeyed = jobs.iter().map(|new| NewJob { idempotency: None, ..new.clone() });
        let unkeyed: Vec<NewJob> =
            unkeyed.zip(&known).filter(|(_, known)| known.is_none()).map(|(new, _)| new).collect();
        let receipt = self.inner.accept(&unkeyed, owner, &[]).await?.receipt;
        let mut notes = self.notes.lock();
        for new in jobs {
            if let Some(idempotency) = &new.idempotency {
                notes.keys.entry(idempotency.key.clone()).or_insert(new.job.id);
            }
        }
        let answers = known.into_iter().map(|known| known.map_or(Accepted::New, Accepted::Replayed));
        Ok(BatchAccepted { jobs: answers.collect(), receipt })
    }

    /// Hides minutes from [`Ledger::unsettled`]; those in which something is open only if told so.
    async fn hide(&self, until: i64, also_open: bool) -> Result<u64> {
        let open = self.inner.unsettled(None, None, 10_000).await?.jobs;
        let open: HashSet<i64> = open.iter().map(|job| job.id.created_at().minute()).collect();
        let mut notes = self.notes.lock();
        let notes = &mut *notes;
        let closable =
            notes.minutes.iter().filter(|minute| **minute <= until && (also_open || !open.contains(*minute)));
        let before = notes.hidden.len();
        notes.hidden.extend(closable);
        Ok((notes.hidden.len() - before) as u64)
    }

    fn overwrite(&self, record: &Record) {
        let (state, result, error) = match record.entry.clone() {
            Entry::Succeeded(result) => (FinalState::Succeeded, result, None),
            Entry::Dead(error) => (FinalState::Dead, None, Some(error)),
            Entry::Failed(..) | Entry::Crashed(..) => return,
        };
        let outcome = Outcome { state, attempt: record.attempt, finished_at: record.at, result, error };
        self.notes.lock().outcomes.insert(record.job, outcome);
    }
}

#[async_trait]
impl Ledger for BrokenLedger {
    async fn now(&self) -> Result<Timestamp> {
        self.inner.now().await
    }

    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted> {
        let mut stored = jobs.to_vec();
        self.notes.lock().minutes.extend(jobs.iter().map(|new| new.job.created_at().minute()));
        for new in &mut stored {
            match (self.defect, &mut new.idempotency) {
                (ReplaysWhateverTheRequest, Some(idempotency)) => idempotency.fingerprint = [0; 32],
                (KeepsKeysForEver, Some(idempotency)) => idempotency.lifetime *= 1_000,
                (TouchesPayloads, _) => {
                    let text = String::from_utf8_lossy(&new.job.payload).replace("\\u0000", "");
                    new.job.payload = text.into();
                }
                _ => {}
            }
        }
        match self.defect {
            AcknowledgesWithoutStoring => {
                let kept = &stored[..stored.len().div_ceil(2)];
                let mut answer = self.inner.accept(kept, owner, done).await?;
                answer.jobs.resize(jobs.len(), Accepted::New);
                Ok(answer)
            }
            SurfacesDeadlocks => {
                let beside = self.calls.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
                let answer = self.inner.accept(&stored, owner, done).await;
                self.calls.fetch_sub(1, Ordering::SeqCst);
                if beside > 0 { Err(LedgerError::Contended("deadlock detected".into())) } else { answer }
            }
            ChecksKeysBeforeItWrites => self.accept_after_a_look(&stored, owner).await,
            DropsReceiptsEarly => {
                let answer = self.inner.accept(&stored, owner, done).await?;
                self.inner.drop_receipts(&Vec::from_iter(answer.receipt)).await?;
                Ok(answer)
            }
            ForgetsPauses => {
                for new in jobs {
                    let resume = QueueChange { paused: Some(false), ..QueueChange::default() };
                    self.inner.configure_queue(&new.job.queue_ref(), &resume).await?;
                }
                self.inner.accept(&stored, owner, done).await
            }
            _ => self.inner.accept(&stored, owner, done).await,
        }
    }

    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        self.inner.drop_receipts(receipts).await
    }

    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()> {
        if self.is(ReleasesOnlyTheOwner) {
            let taken = self.notes.lock().handed_out.clone();
            let fresh: Vec<ReceiptId> = receipts.iter().filter(|receipt| !taken.contains(receipt)).copied().collect();
            return self.inner.release_receipts(&fresh).await;
        }
        self.inner.release_receipts(receipts).await
    }

    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>> {
        let mut loaded = self.inner.load(ids).await?;
        let notes = self.notes.lock();
        for loaded in &mut loaded {
            let noted = |told: Recorded| {
                let of_job = notes.crashes.range((loaded.job.id, 0)..=(loaded.job.id, u32::MAX));
                of_job.filter(|(_, answer)| **answer == told).count() as u32
            };
            match self.defect {
                IgnoresWhenToRetry => loaded.due = loaded.job.run_at,
                CountsCrashesOnly => loaded.failures = loaded.crashes,
                CrashAfterOutcome if loaded.outcome.is_some() => loaded.crashes += noted(Recorded::Stale),
                CrashOverwritesFailure if loaded.outcome.is_none() => {
                    loaded.crashes = noted(Recorded::Committed) + noted(Recorded::Stale);
                }
                _ => {}
            }
        }
        Ok(loaded)
    }

    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded> {
        let ids: Vec<JobId> = records.iter().map(|record| record.job).collect();
        match self.defect {
            LaterOutcomeWins => {
                let answer = self.inner.record(records, owner).await?;
                records.iter().for_each(|record| self.overwrite(record));
                Ok(BatchRecorded { records: vec![Recorded::Committed; records.len()], ..answer })
            }
            ChecksOutcomesBeforeItWrites => {
                let ended: BTreeMap<JobId, FinalState> = self.inner.settled(&ids).await?.into_iter().collect();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let answer = self.inner.record(records, owner).await?;
                let open = records.iter().filter(|record| !ended.contains_key(&record.job));
                open.for_each(|record| self.overwrite(record));
                let told = ids.iter().map(|id| ended.get(id).map_or(Recorded::Committed, |_| Recorded::Stale));
                Ok(BatchRecorded { records: told.collect(), ..answer })
            }
            FailureAfterOutcome | CountsFailuresTwice => {
                let ended: BTreeMap<JobId, FinalState> = self.inner.settled(&ids).await?.into_iter().collect();
                let mut answer = self.inner.record(records, owner).await?;
                for (record, told) in records.iter().zip(&mut answer.records) {
                    let is_failure =
                        matches!(record.entry, Entry::Failed(..) | Entry::Crashed(..)) && *told == Recorded::Stale;
                    if is_failure && ended.contains_key(&record.job) == self.is(FailureAfterOutcome) {
                        *told = Recorded::Committed;
                        *self.notes.lock().extra_failures.entry(record.job).or_default() += 1;
                    }
                }
                Ok(answer)
            }
            ForgetsCrashes => {
                let as_failure = |record: &Record| match record.entry.clone() {
                    Entry::Crashed(error, retry_at) => {
                        Record { entry: Entry::Failed(error, retry_at), ..record.clone() }
                    }
                    _ => record.clone(),
                };
                self.inner.record(&records.iter().map(as_failure).collect::<Vec<_>>(), owner).await
            }
            CrashAfterOutcome | CrashOverwritesFailure => {
                let answer = self.inner.record(records, owner).await?;
                let mut notes = self.notes.lock();
                for (record, told) in records.iter().zip(&answer.records) {
                    if matches!(record.entry, Entry::Crashed(..)) {
                        notes.crashes.entry((record.job, record.attempt)).or_insert(*told);
                    }
                }
                Ok(answer)
            }
            OneRecordPerJobAndBatch => {
                let mut seen = HashSet::new();
                let first: Vec<bool> = ids.iter().map(|id| seen.insert(*id)).collect();
                let kept = records.iter().zip(&first).filter(|(_, first)| **first).map(|(record, _)| record.clone());
                let answer = self.inner.record(&kept.collect::<Vec<_>>(), owner).await?;
                let mut told = answer.records.into_iter();
                let told = first.into_iter().map(|first| if first { told.next() } else { None });
                let records = told.map(|told| told.unwrap_or(Recorded::Stale)).collect();
                Ok(BatchRecorded { records, receipt: answer.receipt })
            }
            LaterRecordOfBatchWins => {
                let reversed: Vec<Record> = records.iter().rev().cloned().collect();
                let mut answer = self.inner.record(&reversed, owner).await?;
                answer.records.reverse();
                Ok(answer)
            }
            FollowUpsOfStaleRecords => {
                let answer = self.inner.record(records, owner).await?;
                let follow_ups = records.iter().flat_map(|record| record.follow_ups.clone());
                let follow_ups: Vec<NewJob> = follow_ups.map(|job| NewJob { job, idempotency: None }).collect();
                let receipt = self.inner.accept(&follow_ups, owner, &[]).await?.receipt;
                Ok(BatchRecorded { receipt, ..answer })
            }
            FollowUpsWithoutReceipt => {
                let answer = self.inner.record(records, owner).await?;
                self.inner.drop_receipts(&Vec::from_iter(answer.receipt)).await?;
                Ok(BatchRecorded { receipt: None, ..answer })
            }
            _ => self.inner.record(records, owner).await,
        }
    }

    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
        if !self.is(CancelsForeignJobs) {
            return self.inner.cancel(tenant, ids, at).await;
        }
        let loaded = self.inner.load(ids).await?;
        let owners: HashMap<JobId, Tenant> =
            loaded.into_iter().map(|loaded| (loaded.job.id, loaded.job.tenant)).collect();
        let mut answers = Vec::new();
        for id in ids {
            answers.extend(self.inner.cancel(owners.get(id).unwrap_or(tenant), &[*id], at).await?);
        }
        Ok(answers)
    }

    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
        let mut settled = self.inner.settled(ids).await?;
        if self.is(SettledForgetsCancelled) {
            settled.retain(|(_, state)| *state != FinalState::Cancelled);
        }
        Ok(settled)
    }

    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>> {
        let loaded = self.inner.load(&[id]).await?;
        let owner = loaded.first().map(|loaded| &loaded.job.tenant).filter(|_| self.is(ShowsForeignJobs));
        let record = self.inner.job(owner.unwrap_or(tenant), id).await?;
        Ok(record.map(|record| self.shown(record)))
    }

    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page> {
        let mut page = self.inner.list(tenant, filter, before, limit).await?;
        let moved = |id: JobId, by: i8| JobId(uuid::Uuid::from_u128(id.0.as_u128().saturating_add_signed(by.into())));
        match self.defect {
            ListRepeats if page.next.is_some() => page.next = page.jobs.last().map(|record| moved(record.id(), 1)),
            ListSkips => page.next = page.next.map(|next| moved(next, -1)),
            ListGivesUp if page.jobs.is_empty() => page.next = None,
            _ => {}
        }
        Ok(page)
    }

    async fn queues(&self) -> Result<Vec<QueueInfo>> {
        let mut queues = self.inner.queues().await?;
        if self.is(SortsKindsAsPeopleDo) {
            queues.iter_mut().for_each(|known| known.kinds.sort_by_key(|kind| kind.as_str().to_lowercase()));
        }
        Ok(queues)
    }

    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>> {
        let known = self.inner.queues().await?;
        let before = known.into_iter().find(|known| known.queue == *queue).map(|known| known.settings);
        match self.defect {
            WritesAllSettings => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                let settings = change.apply(before.unwrap_or_default());
                let all = QueueChange { paused: Some(settings.paused), slots: Some(settings.slots) };
                self.inner.configure_queue(queue, &all).await
            }
            ForgetsSlots => self.inner.configure_queue(queue, &QueueChange { slots: None, ..*change }).await,
            CutsSettings => {
                let slots = change.slots.map(|slots| slots.clamp(1, SLOTS_MAX));
                self.inner.configure_queue(queue, &QueueChange { slots, ..*change }).await
            }
            TellsOldSettings => Ok(self.inner.configure_queue(queue, change).await?.and(before)),
            _ => self.inner.configure_queue(queue, change).await,
        }
    }

    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()> {
        self.notes.lock().seen.insert(process.id);
        self.inner.heartbeat(process).await
    }

    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
        let taker = if self.is(WaitsForDeadTakers) { self.keeper().await? } else { taker };
        let mut taken = self.inner.take_receipts(taker, limit).await?;
        match self.defect {
            DropsReceiptsWhenTaken => {
                let names: Vec<ReceiptId> = taken.iter().map(|receipt| receipt.id).collect();
                self.inner.drop_receipts(&names).await?;
            }
            GivesReceiptsToTwo => {
                let fresh = taken.clone();
                taken.append(&mut std::mem::replace(&mut self.notes.lock().taken, fresh));
            }
            HandsOutWhatUnknownTakersHave if !self.notes.lock().seen.contains(&taker) => {
                let names: Vec<ReceiptId> = taken.iter().map(|receipt| receipt.id).collect();
                self.inner.release_receipts(&names).await?;
            }
            TrustsDeadTakers | ReleasesOnlyTheOwner => {
                let mut notes = self.notes.lock();
                for receipt in &mut taken {
                    let again = !notes.handed_out.insert(receipt.id);
                    receipt.is_final |= again && self.is(TrustsDeadTakers);
                }
            }
            _ => {}
        }
        Ok(taken)
    }

    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage> {
        let mut page = self.inner.unsettled(after, last, limit).await?;
        let notes = self.notes.lock();
        page.jobs.retain(|job| !notes.hidden.contains(&job.id.created_at().minute()));
        Ok(page)
    }

    async fn reopen(&self, first: JobId, last: JobId) -> Result<()> {
        if self.is(DoesNotReopen) {
            return Ok(());
        }
        let reopened = first.created_at().minute()..=last.created_at().minute();
        self.notes.lock().hidden.retain(|minute| !reopened.contains(minute));
        self.inner.reopen(first, last).await
    }

    async fn close_minutes(&self) -> Result<u64> {
        let now = self.inner.now().await?.minute();
        match self.defect {
            ClosesOpenMinutes => self.hide(now - 10, true).await,
            ClosesYoungMinutes => self.hide(now, false).await,
            NeverCloses => Ok(0),
            _ => self.inner.close_minutes().await,
        }
    }

    async fn prepare_ahead(&self) -> Result<()> {
        self.inner.prepare_ahead().await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        if self.is(EventsEnd) { stream::empty().boxed() } else { self.inner.events() }
    }
}
