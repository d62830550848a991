//! A schedule as the API shows it: what it says, how far it has come, what comes next, and what keeps it from firing.

use crate::view::{RetryView, raw_json};
use bytes::Bytes;
use haul_core::{JobId, JobTemplate, Span, Timestamp, schedules::Schedule as Stored};
use haul_schedule::{Foresight, Occasion, Place, Progress, Schedule, ScheduleSpec, Tick, jitter};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Overdue ticks that are counted.
const OVERDUE_MAX: usize = 100;

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleView {
    /// Its name, unique among the tenant's.
    #[schema(examples("nightly-report"))]
    name: String,
    /// Its id. A name that is deleted and created anew has another.
    id: uuid::Uuid,
    /// Grows with every change, pause and resume; `ETag` holds it.
    version: i64,
    /// `active`, `paused` or `ended`: whether it fires when its next tick is due.
    #[schema(examples("active"))]
    state: &'static str,
    /// The file that it is kept in, by the file's own name; null for one that is kept here alone.
    source: Option<String>,
    /// When it fires. Null throughout when it cannot be read; `problem` says why then.
    #[serde(flatten)]
    timing: TimingView,
    /// What each of its jobs is made of.
    job: Option<TemplateView>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed, paused or resumed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Jobs that it has fired in all, runs by hand not counted.
    runs: u64,
    /// The job that it fired last.
    #[schema(value_type = Option<uuid::Uuid>)]
    last_job: Option<JobId>,
    /// When that was.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_fired_at: Option<Timestamp>,
    /// The last tick that is done with, or the moment from which on ticks count. Nothing up to here will fire.
    #[schema(examples("2026-11-01T02:00:00[Europe/London]"))]
    fired_through: String,
    /// A tick whose job waits for the outcome of the job before it (`"overlap": "queue"`).
    waiting: Option<String>,
    /// Ticks that have come and are not done with: missed while the schedule was paused, or while no scheduler ran. Counted
    /// up to 100. What becomes of them is for `missed` to say.
    #[schema(maximum = 100)]
    overdue: usize,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    overdue_since: Option<Timestamp>,
    /// Why it cannot fire, if it cannot.
    problem: Option<String>,
    /// The ticks to come; of a paused schedule, those that would come if it were resumed.
    next: Vec<NextView>,
}

/// When a schedule fires, as it was written; what is null is as by default.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Timing)]
pub(crate) struct TimingView {
    /// Five fields with the meaning of crontab(5), or `@hourly` and friends. Either this or `every`.
    #[schema(examples("0 2 * * mon-fri"))]
    cron: Option<String>,
    /// An interval in whole seconds, counted in UTC from 1970.
    #[schema(value_type = Option<String>, examples("15m"))]
    every: Option<Span>,
    /// Whether `cron` has six fields, seconds in front.
    seconds: Option<bool>,
    /// The IANA time zone of `cron`; UTC unless told otherwise.
    #[schema(examples("Europe/London"))]
    timezone: Option<String>,
    /// What happens when clocks are set.
    dst: Option<DstView>,
    /// What becomes of ticks that nobody was there to fire; the last one fires unless told otherwise.
    missed: Option<MissedView>,
    /// What a tick does while an earlier one's job is unfinished: `allow` (unless told otherwise), `skip`, `queue`.
    overlap: Option<&'static str>,
    /// The window over which the jobs' `run_at` are spread.
    #[schema(value_type = Option<String>, examples("5m"))]
    jitter: Option<Span>,
    /// No tick before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    start_at: Option<Timestamp>,
    /// No tick at this time or after it.
    #[schema(value_type = Option<String>, format = DateTime)]
    end_at: Option<Timestamp>,
    /// The schedule ends after so many ticks have fired.
    max_runs: Option<u64>,
}

/// What happens when clocks are set. What is null depends on the expression: see docs/schedules.md.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Dst)]
pub(crate) struct DstView {
    /// For times that do not exist: `skip` or `run_once_after`.
    gap: Option<&'static str>,
    /// For times that exist twice: `first`, `second` or `both`.
    overlap: Option<&'static str>,
}

/// What becomes of missed ticks.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Missed)]
struct MissedView {
    /// `skip`, `last` or `all`.
    policy: &'static str,
    /// How many at most, with `all`; 100 unless told otherwise.
    max: Option<u32>,
    /// How old a missed tick may be; any age unless told otherwise.
    #[schema(value_type = Option<String>)]
    max_age: Option<Span>,
}

/// What each job of a schedule is made of. Two tags come with it: `haul.schedule`, the schedule's name, and `haul.tick`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleJob)]
struct TemplateView {
    /// Which handler runs it.
    kind: String,
    /// Where it waits.
    queue: String,
    /// 0 first, 9 last.
    #[schema(maximum = 9)]
    priority: u8,
    /// As it was given, byte for byte.
    #[serde(serialize_with = "raw_json")]
    #[schema(value_type = serde_json::Value)]
    payload: Bytes,
    /// Marks to find jobs by.
    tags: BTreeMap<String, String>,
    /// How long one attempt may take.
    #[schema(value_type = String)]
    timeout: Span,
    /// Attempts in all.
    max_attempts: u16,
    /// When failed attempts are tried again.
    retry: RetryView,
}

/// A tick to come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NextTick)]
struct NextView {
    /// Its name: what clocks show then, the zone, and `+fold` for the second coming of a time that comes twice.
    #[schema(examples("2026-11-02T02:00:00[Europe/London]"))]
    tick: String,
    /// When it is.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When its job may start: `at`, and the jitter.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
}

/// A page of schedules, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchedulePage {
    /// The schedules.
    pub(crate) data: Vec<ScheduleView>,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// Give it back as `cursor` to read on; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl ScheduleView {
    /// A stored schedule as it is at `now`, with so many of its next ticks.
    pub(crate) fn of(stored: &Stored, now: Timestamp, next: usize) -> Self {
        let spec = serde_json::from_str::<ScheduleSpec>(&stored.definition.spec);
        let template = JobTemplate::decode(&stored.definition.template);
        let place = stored.position.fired_through.parse::<Place>();
        let (timing, schedule, spread, mut fault) = match spec {
            Ok(spec) => {
                let (schedule, fault) = match spec.validate() {
                    Ok(schedule) => (Some(schedule), None),
                    Err(errors) => (None, Some(format!("the schedule is not valid: {errors}"))),
                };
                (TimingView::of(&spec), schedule, spec.jitter.unwrap_or_default(), fault)
            }
            Err(error) => {
                let fault = format!("the schedule cannot be read: {error}");
                (TimingView::default(), None, Span::default(), Some(fault))
            }
        };
        if let Err(error) = &template {
            fault.get_or_insert_with(|| format!("the job {error}"));
        }
        let ahead = match (&schedule, &place) {
            (Some(schedule), Ok(place)) => Ahead::of(stored, schedule, place, now, next),
            _ => Ahead::default(),
        };
        let id = stored.id.to_string();
        let next = ahead.next.into_iter().map(|tick| NextView {
            tick: tick.name.to_string(),
            at: tick.at,
            run_at: tick.at.plus(jitter(&id, &tick.name, spread).as_duration()),
        });
        let has_ended = stored.position.next_at.is_none() || ahead.has_run_out;
        Self {
            name: stored.key.name.to_string(),
            id: stored.id.0,
            version: stored.version,
            state: match (stored.paused, has_ended) {
                (_, true) => "ended",
                (true, false) => "paused",
                (false, false) => "active",
            },
            source: stored.definition.source.as_ref().map(ToString::to_string),
            timing,
            job: template.ok().map(TemplateView::of),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            runs: stored.runs,
            last_job: stored.last_job,
            last_fired_at: stored.last_job.map(|job| job.created_at()),
            fired_through: match &place {
                Ok(place) => place.through.to_string(),
                Err(_) => stored.position.fired_through.clone(),
            },
            waiting: place.ok().and_then(|place| place.waiting).map(|tick| tick.to_string()),
            overdue: ahead.overdue,
            overdue_since: ahead.overdue_since,
            problem: stored.problem.clone().or(fault),
            next: next.collect(),
        }
    }
}

/// What lies between a schedule's place and its future.
#[derive(Debug, Default)]
struct Ahead {
    overdue: usize,
    overdue_since: Option<Timestamp>,
    next: Vec<Tick>,
    /// Whether it has had all the runs that it may have.
    has_run_out: bool,
}

impl Ahead {
    fn of(stored: &Stored, schedule: &Schedule, place: &Place, now: Timestamp, next: usize) -> Self {
        let runs = stored.runs + u64::from(place.waiting.is_some());
        let left = schedule.max_runs().map_or(u64::MAX, |max| max.saturating_sub(runs));
        if left == 0 {
            return Self { has_run_out: place.waiting.is_none(), ..Self::default() };
        }
        let due = schedule.ticks(&place.through).take_while(|tick| tick.at <= now).take(OVERDUE_MAX);
        let (mut overdue, mut overdue_since) = (0, None);
        for tick in due {
            overdue += 1;
            overdue_since.get_or_insert(tick.at);
        }
        let from = Progress { fired_through: place.through, runs }.edited_at(now).fired_through;
        let next = next.min(usize::try_from(left).unwrap_or(usize::MAX));
        Self { overdue, overdue_since, next: schedule.ticks(&from).take(next).collect(), has_run_out: false }
    }
}

impl TimingView {
    pub(crate) fn of(spec: &ScheduleSpec) -> Self {
        Self {
            cron: spec.cron.clone(),
            every: spec.every,
            seconds: spec.seconds,
            timezone: spec.timezone.clone(),
            dst: spec.dst.map(|dst| DstView {
                gap: dst.gap.map(|gap| gap.as_str()),
                overlap: dst.overlap.map(|overlap| overlap.as_str()),
            }),
            missed: spec.missed.map(|missed| MissedView {
                policy: missed.policy.as_str(),
                max: missed.max,
                max_age: missed.max_age,
            }),
            overlap: spec.overlap.map(|overlap| overlap.as_str()),
            jitter: spec.jitter,
            start_at: spec.start_at,
            end_at: spec.end_at,
            max_runs: spec.max_runs,
        }
    }
}

impl TemplateView {
    fn of(template: JobTemplate) -> Self {
        let JobTemplate { kind, queue, priority, payload, options } = template;
        Self {
            kind: kind.to_string(),
            queue: queue.to_string(),
            priority: priority.get(),
            payload,
            timeout: options.timeout,
            max_attempts: options.retry.max_attempts,
            retry: RetryView::of(&options.retry),
            tags: options.tags,
        }
    }
}

/// What a schedule will do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub(crate) struct PreviewView {
    /// The policy for set clocks that holds, said or by default; null for an interval.
    dst: Option<DstView>,
    /// The ticks that fire, in their order. Fewer than asked for when the schedule ends.
    ticks: Vec<TickView>,
    /// Ticks among these that the policy for set clocks leaves out.
    left_out: Vec<TickView>,
}

/// A tick, seen in advance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tick)]
struct TickView {
    /// Its name.
    tick: String,
    /// What clocks show then.
    #[schema(examples("2026-11-01T01:30:00"))]
    local: String,
    /// Whose clocks; null for an interval, which is counted in UTC.
    #[schema(examples("America/New_York"))]
    timezone: Option<&'static str>,
    /// Whether it is the second coming of a time that comes twice.
    fold: bool,
    /// When it is.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What clocks do then: `once`, `gap` (they are set forward over this time), `first` or `second` (they show it twice).
    clocks: &'static str,
    /// What the policy makes of it, where clocks are set.
    note: Option<&'static str>,
}

impl PreviewView {
    pub(crate) fn of(schedule: &Schedule, foresight: Foresight) -> Self {
        let dst =
            schedule.dst().map(|dst| DstView { gap: Some(dst.gap.as_str()), overlap: Some(dst.overlap.as_str()) });
        let view = |fires: bool| move |tick: &Tick| TickView::of(tick, fires);
        Self {
            dst,
            ticks: foresight.fires.iter().map(view(true)).collect(),
            left_out: foresight.left_out.iter().map(view(false)).collect(),
        }
    }
}

impl TickView {
    fn of(tick: &Tick, fires: bool) -> Self {
        let occasion = tick.name.occasion();
        let note = match (occasion, fires) {
            (Occasion::Once, _) => None,
            (Occasion::Gap, true) => Some("does not exist: runs once, at the end of the gap"),
            (Occasion::Gap, false) => Some("does not exist: left out"),
            (Occasion::First, true) => Some("comes twice: runs the first time"),
            (Occasion::First, false) => Some("comes twice: left out the first time"),
            (Occasion::Second, true) => Some("comes twice: runs the second time"),
            (Occasion::Second, false) => Some("comes twice: left out the second time"),
        };
        Self {
            tick: tick.name.to_string(),
            local: tick.name.local(),
            timezone: tick.name.zone(),
            fold: tick.name.fold(),
            at: tick.at,
            clocks: occasion.as_str(),
            note,
        }
    }
}
