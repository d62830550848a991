//! A store of schedules that keeps every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Ledger, ProcessId, ScheduleName, Schedules, Tenant,
    ledger::{LedgerError, NewJob, ReceiptId, Result},
    schedules::{
        Agenda, BatchFired, Changed, Created, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step, Stepped,
    },
};
use std::{sync::Arc, time::Duration};

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    IgnoresKeys,
    TakesKeysOfRefused,
    ForgetsSources,
    CountsBeforeItCreates,
    CountsAllTenants,
    FiresStaleDefinitions,
    FiresFromAnywhere,
    FiresWhilePaused,
    LooksBeforeItFires,
    AcceptsJobsOfStaleSteps,
    MovesWithoutJobs,
    ForgetsItsReceipt,
    ForgetsWhatItWasSent,
    KeepsReceiptsThatAreDone,
    ForgetsTheCount,
    HidesProblems,
    EditsAnyVersion,
    EditsFromAnywhere,
    EditsWithoutANewVersion,
    ResumesUnderTheOldVersion,
    ReusesIds,
    ListsInNoOrder,
    BringsWhatWasDeleted,
    SaysThatThePausedAreDue,
    SaysThatNothingIsNext,
    GoesByTheReadersClock,
}
use Defect::*;

pub(crate) struct BrokenSchedules {
    inner: Arc<dyn Schedules>,
    ledger: Arc<dyn Ledger>,
    defect: Defect,
}

impl BrokenSchedules {
    pub(crate) fn new(reference: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner: reference.clone(), ledger: reference, defect }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    async fn stored(&self, id: ScheduleId) -> Option<Schedule> {
        self.inner.load(&[id]).await.ok()?.pop()
    }

    /// The step as this store takes it.
    async fn taken(&self, mut step: Step) -> Step {
        let Some(stored) = self.stored(step.schedule).await else { return step };
        match self.defect {
            FiresStaleDefinitions => step.version = stored.version,
            FiresFromAnywhere if stored.last_job != step.jobs.last().map(|job| job.id) => {
                step.moved.from = stored.position.fired_through;
            }
            MovesWithoutJobs => step.jobs.clear(),
            HidesProblems => step.problem = None,
            _ => {}
        }
        step
    }
}

#[async_trait]
impl Schedules for BrokenSchedules {
    async fn create(&self, new: &NewSchedule, schedules_max: usize) -> Result<Created> {
        let mut new = new.clone();
        match self.defect {
            IgnoresKeys => new.idempotency = None,
            TakesKeysOfRefused => {
                if let (Some(idempotency), true) = (&new.idempotency, self.inner.get(&new.key).await?.is_some()) {
                    let burnt =
                        ScheduleName::new(format!("burnt-{}", new.id)).map_err(|e| LedgerError::Corrupt(e.into()))?;
                    let key = ScheduleRef { name: burnt, ..new.key.clone() };
                    let burnt = NewSchedule { key: key.clone(), idempotency: Some(idempotency.clone()), ..new.clone() };
                    self.inner.create(&burnt, usize::MAX).await?;
                    self.inner.delete(&key, None).await?;
                }
            }
            ForgetsSources => new.definition.source = None,
            CountsBeforeItCreates => {
                let there = self.inner.list(&new.key.tenant, None, schedules_max).await?.len();
                let is_there = self.inner.get(&new.key).await?.is_some();
                tokio::time::sleep(Duration::from_millis(5)).await;
                if there >= schedules_max && !is_there {
                    return Ok(Created::TooMany);
                }
                return self.inner.create(&new, usize::MAX).await;
            }
            CountsAllTenants => {
                let theirs = Tenant::new("theirs").map_err(|error| LedgerError::Corrupt(error.into()))?;
                let others = if new.key.tenant == theirs { Tenant::default() } else { theirs };
                let others = self.inner.list(&others, None, schedules_max).await?.len();
                return self.inner.create(&new, schedules_max.saturating_sub(others)).await;
            }
            _ => {}
        }
        self.inner.create(&new, schedules_max).await
    }
    async fn create_once(&self, new: &NewSchedule) -> Result<bool> {
        if self.is(BringsWhatWasDeleted) {
            return Ok(matches!(self.inner.create(new, usize::MAX).await?, Created::New(_)));
        }
        self.inner.create_once(new).await
    }
    async fn get(&self, key: &ScheduleRef) -> Result<Option<Schedule>> {
        let found = self.inner.get(key).await?;
        Ok(found
            .map(|found| if self.is(ForgetsTheCount) { Schedule { runs: found.runs.min(1), ..found } } else { found }))
    }
    async fn list(&self, tenant: &Tenant, after: Option<&ScheduleName>, limit: usize) -> Result<Vec<Schedule>> {
        let mut listed = self.inner.list(tenant, after, limit).await?;
        if self.is(ListsInNoOrder) {
            listed.sort_by_key(|schedule| schedule.key.name.as_str().to_lowercase());
        }
        Ok(listed)
    }
    async fn load(&self, ids: &[ScheduleId]) -> Result<Vec<Schedule>> {
        self.inner.load(ids).await
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let mut edit = edit.clone();
        let Some(stored) = self.stored(edit.id).await else { return Ok(Changed::Unknown) };
        if self.is(EditsAnyVersion) {
            edit.version = stored.version;
        }
        if let (true, Some(moved)) = (self.is(EditsFromAnywhere), &mut edit.moved) {
            moved.from = stored.position.fired_through.clone();
        }
        let changed = self.inner.edit(&edit).await?;
        match changed {
            Changed::Done(edited) if self.is(EditsWithoutANewVersion) => {
                self.inner.delete(&edited.key, None).await?;
                let (id, key, paused) = (edited.id, edited.key.clone(), edited.paused);
                let (definition, position) = (edited.definition.clone(), edited.position.clone());
                let again = NewSchedule { id, key, definition, position, paused, idempotency: None };
                self.inner.create(&again, usize::MAX).await?;
                Ok(Changed::Done(Schedule { version: 1, ..edited }))
            }
            changed => Ok(changed),
        }
    }

    async fn set_paused(&self, key: &ScheduleRef, version: Option<i64>, paused: bool) -> Result<Changed> {
        let changed = self.inner.set_paused(key, version, paused).await?;
        match changed {
            Changed::Done(changed) if self.is(ResumesUnderTheOldVersion) && !paused => {
                Ok(Changed::Done(Schedule { version: 1, ..changed }))
            }
            changed => Ok(changed),
        }
    }

    async fn delete(&self, key: &ScheduleRef, version: Option<i64>) -> Result<Changed> {
        if self.is(ReusesIds) {
            self.inner.set_paused(key, version, true).await?;
            return Ok(self.inner.get(key).await?.map_or(Changed::Unknown, Changed::Done));
        }
        self.inner.delete(key, version).await
    }

    async fn due(&self, limit: usize) -> Result<Agenda> {
        let mut agenda = self.inner.due(limit).await?;
        match self.defect {
            SaysThatNothingIsNext if agenda.due.is_empty() => agenda.next_at = None,
            GoesByTheReadersClock => agenda.now = agenda.now.minus(Duration::from_secs(600)),
            SaysThatThePausedAreDue => {
                for schedule in self.inner.list(&Tenant::default(), None, limit).await? {
                    if schedule.paused && agenda.next_at.is_none() {
                        agenda.next_at = schedule.position.next_at;
                    }
                }
            }
            _ => {}
        }
        Ok(agenda)
    }

    async fn fire(&self, steps: &[Step], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchFired> {
        let done = if self.is(KeepsReceiptsThatAreDone) { &[] } else { done };
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            taken.push(self.taken(step.clone()).await);
        }
        if self.is(LooksBeforeItFires) {
            let mut free = Vec::new();
            for step in &mut taken {
                let stored = self.stored(step.schedule).await;
                let is_free = stored.is_some_and(|stored| stored.position.fired_through == step.moved.from);
                free.push(is_free);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            for (step, is_free) in taken.iter_mut().zip(free) {
                if let (true, Some(stored)) = (is_free, self.stored(step.schedule).await) {
                    step.moved.from = stored.position.fired_through;
                }
            }
        }
        let mut resumed = Vec::new();
        if self.is(FiresWhilePaused) {
            for step in &mut taken {
                if let Some(stored) = self.stored(step.schedule).await.filter(|stored| stored.paused) {
                    self.inner.set_paused(&stored.key, None, false).await?;
                    step.version = stored.version + 1;
                    resumed.push(stored.key);
                }
            }
        }
        let mut fired = self.inner.fire(&taken, owner, done).await?;
        for key in resumed {
            self.inner.set_paused(&key, None, true).await?;
        }
        match self.defect {
            AcceptsJobsOfStaleSteps => {
                let jobs = steps.iter().flat_map(|step| &step.jobs);
                let jobs: Vec<NewJob> = jobs.map(|job| NewJob { job: job.clone(), idempotency: None }).collect();
                self.ledger.accept(&jobs, owner, &[]).await?;
            }
            ForgetsItsReceipt => self.ledger.drop_receipts(&Vec::from_iter(fired.receipt)).await?,
            ForgetsWhatItWasSent => {
                for (step, answer) in steps.iter().zip(&mut fired.steps) {
                    let stored = self.stored(step.schedule).await;
                    if stored.is_some_and(|stored| stored.runs > 1) {
                        *answer = Stepped::Stale;
                    }
                }
            }
            _ => {}
        }
        Ok(fired)
    }
}
