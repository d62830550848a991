//! Plans: which step a due schedule takes. Pure.
//!
//! Which ticks fire, and which of those that were missed, is decided by [`haul_schedule::Schedule::due`]; here it is
//! decided what an unfinished job of an earlier tick means for them, and what the jobs are.

use haul_core::{
    IdMint, JobTemplate, Timestamp,
    schedules::{Due, Move, Position, ScheduleRef, Step},
};
use haul_schedule::{Firing, Overlap, Place, Progress, Schedule, TickName, TickNameError};
use std::time::Duration;

/// Jobs of one step. A schedule that has more to catch up with takes several, one right after the other.
const STEP_JOBS_MAX: usize = 100;
/// How often it is looked whether the job has ended that another one waits for: the longer it has waited, the seldomer.
const WAITING_LOOK_MIN: Duration = Duration::from_secs(1);
const WAITING_LOOK_MAX: Duration = Duration::from_secs(30);
/// How long a schedule that cannot fire is put off.
const PROBLEM_PAUSE: Duration = Duration::from_secs(60);
/// Characters of a problem that are kept.
const PROBLEM_CHARS_MAX: usize = 500;

/// A definition that was read.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ScheduleRef,
    pub(crate) schedule: Schedule,
    pub(crate) template: JobTemplate,
}

/// A step, and how many ticks it passes without a job.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) step: Step,
    pub(crate) passed: usize,
}

/// The step of a schedule that is due at `now`, on the ledger's clock. `is_busy`: its last job has no outcome yet.
pub(crate) fn plan(
    prepared: &Prepared,
    due: &Due,
    now: Timestamp,
    is_busy: bool,
    mint: &IdMint,
) -> Result<Planned, TickNameError> {
    let Prepared { key, schedule, template } = prepared;
    let id = due.id.to_string();
    let place: Place = due.position.fired_through.parse()?;
    let so_far = due.runs + u64::from(place.waiting.is_some());
    let ticks = schedule.due(&id, &Progress { fired_through: place.through, runs: so_far }, now);
    let mut line =
        Line { overlap: schedule.overlap(), is_busy, waiting: None, fires: Vec::new(), passed: ticks.skipped };
    if let Some(waiting) = place.waiting {
        line.take(waiting, now);
    }
    for Firing { tick, run_at } in ticks.firings {
        line.take(tick.name, run_at);
    }
    let Line { waiting, mut fires, passed, .. } = line;

    let is_cut = fires.len() > STEP_JOBS_MAX;
    fires.truncate(STEP_JOBS_MAX);
    let through = match fires.last() {
        Some((last, _)) if is_cut => *last,
        _ => ticks.progress.fired_through,
    };
    let runs = due.runs + fires.len() as u64 + u64::from(waiting.is_some());
    let next_at = match &waiting {
        _ if is_cut => Some(now),
        Some(waiting) => {
            let patience = (now.since(waiting.at()) / 8).clamp(WAITING_LOOK_MIN, WAITING_LOOK_MAX);
            Some(now.plus(patience))
        }
        // Asked again: ticks that passed without a job have not used up any of the runs that are allowed.
        None => schedule.due(&id, &Progress { fired_through: through, runs }, now).next.map(|tick| tick.at),
    };
    let job = |(tick, run_at): (TickName, Timestamp)| {
        template.job(mint.next(), &key.tenant, key.name.as_str(), &tick.to_string(), run_at)
    };
    let to = Position { fired_through: Place { through, waiting }.to_string(), next_at };
    let moved = Move { from: due.position.fired_through.clone(), to };
    let jobs = fires.into_iter().map(job).collect();
    Ok(Planned { step: Step { schedule: due.id, version: due.version, moved, jobs, problem: None }, passed })
}

/// A step to the same place, a while later, that says why the schedule cannot fire.
pub(crate) fn put_off(due: &Due, now: Timestamp, problem: &str) -> Step {
    let from = due.position.fired_through.clone();
    let to = Position { fired_through: from.clone(), next_at: Some(now.plus(PROBLEM_PAUSE)) };
    let problem = problem.chars().filter(|c| !c.is_control()).take(PROBLEM_CHARS_MAX).collect();
    Step { schedule: due.id, version: due.version, moved: Move { from, to }, jobs: Vec::new(), problem: Some(problem) }
}

/// The ticks of one schedule, each of which fires, waits or passes.
struct Line {
    overlap: Overlap,
    /// Whether an earlier job is unfinished; one that fires in this very step is.
    is_busy: bool,
    waiting: Option<TickName>,
    fires: Vec<(TickName, Timestamp)>,
    passed: usize,
}

impl Line {
    fn take(&mut self, tick: TickName, run_at: Timestamp) {
        match self.overlap {
            Overlap::Allow => self.fires.push((tick, run_at)),
            Overlap::Skip | Overlap::Queue if !self.is_busy => {
                self.is_busy = true;
                self.fires.push((tick, run_at));
            }
            Overlap::Queue if self.waiting.is_none() => self.waiting = Some(tick),
            Overlap::Skip | Overlap::Queue => self.passed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        Clock, Kind, Priority, Queue, ScheduleName, Span, Tenant,
        schedules::ScheduleId,
        template::{SCHEDULE_TAG, TICK_TAG},
    };
    use haul_schedule::{Missed, MissedSpec, ScheduleSpec};
    use std::sync::Arc;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn prepared(spec: &ScheduleSpec) -> Prepared {
        Prepared {
            key: ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new("nightly").unwrap() },
            schedule: spec.validate().unwrap(),
            template: JobTemplate {
                kind: Kind::new("report").unwrap(),
                queue: Queue::default(),
                priority: Priority::default(),
                payload: "null".into(),
                options: haul_core::JobOptions::default(),
            },
        }
    }

    fn every_minute(overlap: Overlap) -> ScheduleSpec {
        ScheduleSpec { overlap: Some(overlap), ..ScheduleSpec::cron("* * * * *", "UTC") }
    }

    fn due(fired_through: &str, runs: u64) -> Due {
        Due {
            id: ScheduleId(uuid::Uuid::nil()),
            version: 3,
            position: Position { fired_through: fired_through.to_owned(), next_at: None },
            last_job: None,
            runs,
        }
    }

    fn planned(prepared: &Prepared, due: &Due, now: &str, is_busy: bool) -> Planned {
        plan(prepared, due, time(now), is_busy, &IdMint::new(Arc::new(Clock::new()))).unwrap()
    }

    fn ticks(step: &Step) -> Vec<&str> {
        step.jobs.iter().map(|job| job.options.tags[TICK_TAG].as_str()).collect()
    }

    /// What happens next, from where a step leads.
    fn after(due: &Due, step: &Step) -> Due {
        Due { position: step.moved.to.clone(), runs: due.runs + step.jobs.len() as u64, ..due.clone() }
    }

    const TEN: &str = "2026-11-22T10:00:00[UTC]";
    const TEN_1: &str = "2026-11-22T10:01:00[UTC]";
    const TEN_2: &str = "2026-11-22T10:02:00[UTC]";

    #[test]
    fn a_due_tick_is_a_job_that_names_it() {
        let Planned { step, passed } =
            planned(&prepared(&every_minute(Overlap::Allow)), &due(TEN, 0), "2026-11-22T10:01:00.020Z", true);
        assert_eq!((step.version, passed, step.jobs.len()), (3, 0, 1));
        assert_eq!((step.moved.from.as_str(), step.moved.to.fired_through.as_str()), (TEN, TEN_1));
        assert_eq!(step.moved.to.next_at, Some(time("2026-11-22T10:02:00Z")));
        let tags = &step.jobs[0].options.tags;
        assert_eq!((tags[SCHEDULE_TAG].as_str(), tags[TICK_TAG].as_str()), ("nightly", TEN_1));
        assert_eq!(step.jobs[0].run_at, time("2026-11-22T10:01:00Z"));
    }

    #[test]
    fn a_tick_passes_while_the_last_job_is_unfinished_if_it_may_not_overlap() {
        let skip = prepared(&every_minute(Overlap::Skip));
        let busy = planned(&skip, &due(TEN, 1), "2026-11-22T10:01:00.020Z", true);
        assert_eq!((busy.step.jobs.len(), busy.passed), (0, 1));
        assert_eq!(busy.step.moved.to.fired_through, TEN_1);
        let free = planned(&skip, &due(TEN, 1), "2026-11-22T10:01:00.020Z", false);
        assert_eq!(ticks(&free.step), [TEN_1]);
    }

    #[test]
    fn one_tick_waits_for_the_last_job_and_further_ones_pass() {
        let queue = prepared(&every_minute(Overlap::Queue));
        let at_ten = due(TEN, 1);
        let waits = planned(&queue, &at_ten, "2026-11-22T10:01:00.020Z", true);
        assert_eq!((waits.step.jobs.len(), waits.passed), (0, 0));
        assert_eq!(waits.step.moved.to.fired_through, format!("{TEN_1} waiting {TEN_1}"));
        assert_eq!(waits.step.moved.to.next_at, Some(time("2026-11-22T10:01:01.020Z")), "it is looked at again soon");
        let waiting = after(&at_ten, &waits.step);
        let passes = planned(&queue, &waiting, "2026-11-22T10:02:00.020Z", true);
        assert_eq!((passes.step.jobs.len(), passes.passed), (0, 1));
        assert_eq!(passes.step.moved.to.fired_through, format!("{TEN_2} waiting {TEN_1}"));
        let waiting = after(&waiting, &passes.step);
        let fires = planned(&queue, &waiting, "2026-11-22T10:02:30Z", false);
        assert_eq!(ticks(&fires.step), [TEN_1]);
        assert_eq!(fires.step.moved.to.fired_through, TEN_2);
        assert_eq!(fires.step.moved.to.next_at, Some(time("2026-11-22T10:03:00Z")));
    }

    #[test]
    fn a_tick_that_waits_for_hours_was_not_missed() {
        let missed = Some(MissedSpec { policy: Missed::Skip, max: None, max_age: None });
        let spec = ScheduleSpec { missed, overlap: Some(Overlap::Queue), ..ScheduleSpec::cron("0 0 * * *", "UTC") };
        let waiting = due("2026-11-22T00:00:00[UTC] waiting 2026-11-22T00:00:00[UTC]", 1);
        let fires = planned(&prepared(&spec), &waiting, "2026-11-22T09:00:00Z", false);
        assert_eq!(ticks(&fires.step), ["2026-11-22T00:00:00[UTC]"]);
    }

    #[test]
    fn ticks_that_pass_use_up_no_run() {
        let spec = ScheduleSpec { max_runs: Some(2), ..every_minute(Overlap::Skip) };
        let prepared = prepared(&spec);
        let passes = planned(&prepared, &due(TEN, 1), "2026-11-22T10:01:00.020Z", true);
        assert_eq!(passes.step.moved.to.next_at, Some(time("2026-11-22T10:02:00Z")));
        let last = planned(&prepared, &after(&due(TEN, 1), &passes.step), "2026-11-22T10:02:00.020Z", false);
        assert_eq!((ticks(&last.step), last.step.moved.to.next_at), (vec![TEN_2], None), "and then it has ended");
    }

    #[test]
    fn much_to_catch_up_with_is_several_steps() {
        let missed = Some(MissedSpec { policy: Missed::All, max: Some(250), max_age: None });
        let spec = ScheduleSpec { missed, ..ScheduleSpec::every(Span::from_secs(60)) };
        let (prepared, mut now_at) = (prepared(&spec), due("2026-11-22T00:00:00Z", 0));
        let mut steps = Vec::new();
        loop {
            let Planned { step, .. } = planned(&prepared, &now_at, "2026-11-22T10:00:00Z", false);
            steps.push(step.jobs.len());
            now_at = after(&now_at, &step);
            if now_at.position.next_at > Some(time("2026-11-22T10:00:00Z")) {
                break;
            }
            assert!(steps.len() < 10, "catching up ends");
        }
        assert_eq!(steps, [100, 100, 52], "the newest 250 that were missed, and the two that are on time");
    }

    #[test]
    fn a_place_that_cannot_be_read_is_an_error_and_putting_off_keeps_it() {
        let unreadable = due("the day after tomorrow", 0);
        let prepared = prepared(&every_minute(Overlap::Allow));
        let mint = IdMint::new(Arc::new(Clock::new()));
        assert!(plan(&prepared, &unreadable, time("2026-11-22T10:00:00Z"), false, &mint).is_err());
        let step = put_off(&unreadable, time("2026-11-22T10:00:00Z"), &"what\n".repeat(1_000));
        assert_eq!(step.moved.from, step.moved.to.fired_through);
        assert_eq!(step.moved.to.next_at, Some(time("2026-11-22T10:01:00Z")));
        assert_eq!(step.problem.map(|problem| problem.len()), Some(PROBLEM_CHARS_MAX));
    }
}
