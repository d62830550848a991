//! What must hold in every state, and at the end of every way.

use super::{JOBS, Job, Outcome, Platform, Stage, State, Ticket};
use stateright::Property;

pub(super) const OUTCOME_STAYS: &str = "the first outcome stays";
pub(super) const FAILURES_ARE_LEASED: &str = "no failure is recorded without the lease";
pub(super) const IS_REACHABLE: &str = "an accepted job without an outcome has a ticket, a receipt or a rebuild to come";
pub(super) const INNOCENT: &str = "no crash is counted against a job that never crashes";
pub(super) const ENDS: &str = "every accepted job ends";

pub(super) fn all() -> Vec<Property<Platform>> {
    vec![
        Property::always(OUTCOME_STAYS, |_, state: &State| {
            state.jobs.iter().all(|job| job.first_outcome.is_none() || job.outcome == job.first_outcome)
        }),
        Property::always(FAILURES_ARE_LEASED, |_, state: &State| state.jobs.iter().all(|job| !job.failed_unleased)),
        Property::always(IS_REACHABLE, |_, state: &State| {
            let is_reachable = |job: &Job| job.has_receipt || job.ticket != Ticket::None || state.is_lost;
            state.jobs.iter().all(|job| job.outcome.is_some() || is_reachable(job))
        }),
        Property::always(INNOCENT, |platform: &Platform, state: &State| {
            (0..JOBS).all(|job| platform.is_poison(job) || state.jobs[job].crashes == 0)
        }),
        Property::eventually(ENDS, |_, state: &State| state.jobs.iter().all(|job| job.outcome.is_some())),
        Property::sometimes("two workers run one job at a time", |_, state: &State| {
            let runs = |worker: usize, job: usize| {
                state.runs[worker][job].is_some_and(|run| matches!(run.stage, Stage::Running { .. }))
            };
            (0..JOBS).any(|job| runs(0, job) && runs(1, job))
        }),
        Property::sometimes("a job is cancelled while it runs", |_, state: &State| {
            let is_cancelled = |job: usize| state.jobs[job].outcome == Some(Outcome::Cancelled);
            let runs = |run: super::Run| matches!(run.stage, Stage::Running { .. });
            state.runs.iter().any(|runs_of| (0..JOBS).any(|job| is_cancelled(job) && runs_of[job].is_some_and(runs)))
        }),
        Property::sometimes("a dead job", |_, state: &State| {
            state.jobs.iter().any(|job| job.outcome == Some(Outcome::Dead))
        }),
    ]
}
