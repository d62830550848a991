//! Schedules, and the steps that they take.

use super::{State, StoredKey};
use haul_core::{
    Job, JobId, ProcessId, ScheduleName, Tenant, Timestamp,
    ledger::{ReceiptId, Result},
    schedules::{
        Agenda, BatchFired, Changed, Created, Due, Edit, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step, Stepped,
    },
};
use std::collections::HashSet;

impl State {
    pub(in crate::reference) fn create_schedule(
        &mut self,
        now: Timestamp,
        new: &NewSchedule,
        schedules_max: usize,
    ) -> Created {
        let namesake = self.schedules.get(&new.key);
        if let Some(known) = namesake.filter(|known| known.id == new.id) {
            return Created::New(known.clone());
        }
        let slot = new.idempotency.as_ref().map(|asked| ((new.key.tenant.clone(), asked.key.clone()), asked));
        let known = slot.as_ref().and_then(|(slot, asked)| Some((self.keys.get(slot)?, asked)));
        match known.filter(|(known, _)| known.expires_at > now) {
            Some((known, _)) if known.job.0 == new.id.0 => {}
            Some((known, asked)) if known.fingerprint == asked.fingerprint => {
                return Created::Replayed(ScheduleId(known.job.0));
            }
            Some(_) => return Created::KeyReused,
            None => {}
        }
        if namesake.is_some() {
            return Created::NameTaken;
        }
        if self.schedules.keys().filter(|key| key.tenant == new.key.tenant).count() >= schedules_max {
            return Created::TooMany;
        }
        if let Some((slot, asked)) = slot {
            let expires_at = now.plus(asked.lifetime);
            self.keys.insert(slot, StoredKey { fingerprint: asked.fingerprint, job: JobId(new.id.0), expires_at });
        }
        let schedule = Schedule {
            id: new.id,
            key: new.key.clone(),
            version: 1,
            paused: new.paused,
            definition: new.definition.clone(),
            position: new.position.clone(),
            last_job: None,
            runs: 0,
            problem: None,
            created_at: now,
            updated_at: now,
        };
        self.schedules.insert(new.key.clone(), schedule.clone());
        Created::New(schedule)
    }

    pub(in crate::reference) fn create_schedule_once(&mut self, now: Timestamp, new: &NewSchedule) -> bool {
        let is_new = self.schedules_brought.insert(new.key.clone()) && !self.schedules.contains_key(&new.key);
        is_new && matches!(self.create_schedule(now, new, usize::MAX), Created::New(_))
    }

    pub(in crate::reference) fn schedule(&self, key: &ScheduleRef) -> Option<Schedule> {
        self.schedules.get(key).cloned()
    }

    pub(in crate::reference) fn list_schedules(
        &self,
        tenant: &Tenant,
        after: Option<&ScheduleName>,
        limit: usize,
    ) -> Vec<Schedule> {
        let of_tenant = self.schedules.values().filter(|schedule| schedule.key.tenant == *tenant);
        let later = of_tenant.filter(|schedule| after.is_none_or(|after| schedule.key.name > *after));
        later.take(limit).cloned().collect()
    }

    pub(in crate::reference) fn load_schedules(&self, ids: &[ScheduleId]) -> Vec<Schedule> {
        self.schedules.values().filter(|schedule| ids.contains(&schedule.id)).cloned().collect()
    }

    pub(in crate::reference) fn edit_schedule(&mut self, now: Timestamp, edit: &Edit) -> Changed {
        let Some(schedule) = self.schedule_mut(edit.id) else { return Changed::Unknown };
        let is_there = edit.moved.as_ref().is_none_or(|moved| moved.from == schedule.position.fired_through);
        if schedule.version != edit.version || !is_there {
            return Changed::Stale;
        }
        schedule.version += 1;
        schedule.definition = edit.definition.clone();
        if let Some(moved) = &edit.moved {
            schedule.position = moved.to.clone();
        }
        schedule.problem = None;
        schedule.updated_at = now;
        Changed::Done(schedule.clone())
    }

    pub(in crate::reference) fn pause_schedule(
        &mut self,
        now: Timestamp,
        key: &ScheduleRef,
        version: Option<i64>,
        paused: bool,
    ) -> Changed {
        let Some(schedule) = self.schedules.get_mut(key) else { return Changed::Unknown };
        if version.is_some_and(|version| version != schedule.version) {
            return Changed::Stale;
        }
        if schedule.paused != paused {
            schedule.paused = paused;
            schedule.version += 1;
            schedule.updated_at = now;
        }
        Changed::Done(schedule.clone())
    }

    pub(in crate::reference) fn delete_schedule(&mut self, key: &ScheduleRef, version: Option<i64>) -> Changed {
        match self.schedules.get(key) {
            None => Changed::Unknown,
            Some(schedule) if version.is_some_and(|version| version != schedule.version) => Changed::Stale,
            Some(_) => self.schedules.remove(key).map_or(Changed::Unknown, Changed::Done),
        }
    }

    pub(in crate::reference) fn due_schedules(&self, now: Timestamp, limit: usize) -> Agenda {
        let awake = self.schedules.values().filter(|schedule| !schedule.paused);
        let mut awake: Vec<(Timestamp, &Schedule)> =
            awake.filter_map(|schedule| Some((schedule.position.next_at?, schedule))).collect();
        awake.sort_by_key(|(next_at, schedule)| (*next_at, schedule.id));
        let due = awake.iter().filter(|(next_at, _)| *next_at <= now).take(limit).map(|(_, schedule)| Due {
            id: schedule.id,
            version: schedule.version,
            position: schedule.position.clone(),
            last_job: schedule.last_job,
            runs: schedule.runs,
        });
        Agenda { now, due: due.collect(), next_at: awake.first().map(|(next_at, _)| *next_at) }
    }

    pub(in crate::reference) fn fire(
        &mut self,
        now: Timestamp,
        steps: &[Step],
        owner: ProcessId,
        done: &[ReceiptId],
    ) -> Result<BatchFired> {
        let free: Vec<&Step> = steps.iter().filter(|step| self.is_free(step)).collect();
        let jobs: Vec<&Job> = free.iter().flat_map(|step| &step.jobs).collect();
        self.store(now, &jobs, owner)?;
        let mut taken: HashSet<ScheduleId> = HashSet::new();
        for step in free {
            taken.insert(step.schedule);
            let Some(schedule) = self.schedule_mut(step.schedule) else { continue };
            schedule.position = step.moved.to.clone();
            schedule.last_job = step.jobs.last().map(|job| job.id).or(schedule.last_job);
            schedule.runs += step.jobs.len() as u64;
            schedule.problem = step.problem.clone();
        }
        self.drop_receipts(done);
        let is_taken = |step: &&Step| taken.contains(&step.schedule) || self.was_taken(step);
        let answer = |step| if is_taken(&step) { Stepped::Done } else { Stepped::Stale };
        let first = steps.iter().filter(is_taken).flat_map(|step| &step.jobs).map(|job| job.id).min();
        Ok(BatchFired { steps: steps.iter().map(answer).collect(), receipt: first.map(ReceiptId) })
    }

    fn schedule_by_id(&self, id: ScheduleId) -> Option<&Schedule> {
        self.schedules.values().find(|schedule| schedule.id == id)
    }

    fn schedule_mut(&mut self, id: ScheduleId) -> Option<&mut Schedule> {
        self.schedules.values_mut().find(|schedule| schedule.id == id)
    }

    fn is_free(&self, step: &Step) -> bool {
        self.schedule_by_id(step.schedule).is_some_and(|schedule| {
            schedule.version == step.version && !schedule.paused && schedule.position.fired_through == step.moved.from
        })
    }

    fn was_taken(&self, step: &Step) -> bool {
        let last_job = step.jobs.last().map(|job| job.id);
        last_job.is_some() && self.schedule_by_id(step.schedule).is_some_and(|schedule| schedule.last_job == last_job)
    }
}
