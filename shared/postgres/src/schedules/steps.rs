//! Steps as the columns of `schedule_fire.sql`.

use chrono::{DateTime, Utc};
use haul_core::schedules::Step;
use uuid::Uuid;

/// Steps as columns.
pub(super) struct StepColumns<'a> {
    pub(super) schedules: Vec<Uuid>,
    pub(super) versions: Vec<i64>,
    pub(super) origins: Vec<&'a str>,
    pub(super) targets: Vec<&'a str>,
    pub(super) next_ats: Vec<Option<DateTime<Utc>>>,
    pub(super) last_jobs: Vec<Option<Uuid>>,
    pub(super) counts: Vec<i64>,
    pub(super) problems: Vec<Option<&'a str>>,
}

impl<'a> StepColumns<'a> {
    pub(super) fn of(steps: &'a [Step]) -> Self {
        Self {
            schedules: steps.iter().map(|step| step.schedule.0).collect(),
            versions: steps.iter().map(|step| step.version).collect(),
            origins: steps.iter().map(|step| step.moved.from.as_str()).collect(),
            targets: steps.iter().map(|step| step.moved.to.fired_through.as_str()).collect(),
            next_ats: steps.iter().map(|step| step.moved.to.next_at.map(|at| at.to_chrono())).collect(),
            last_jobs: steps.iter().map(last_job).collect(),
            counts: steps.iter().map(|step| i64::try_from(step.jobs.len()).unwrap_or(i64::MAX)).collect(),
            problems: steps.iter().map(|step| step.problem.as_deref()).collect(),
        }
    }
}

/// By which a step is known again.
pub(super) fn last_job(step: &Step) -> Option<Uuid> {
    step.jobs.last().map(|job| job.id.0)
}
