//! How a schedule is written: by the API, in a file, in the ledger.
//!
//! ```toml
//! cron = "0 2 * * mon-fri"
//! timezone = "Europe/London"
//! dst = { gap = "skip", overlap = "second" }
//! missed = { policy = "all", max = 10, max_age = "6h" }
//! overlap = "skip"
//! jitter = "5m"
//! ```

use crate::{
    dst::{Dst, Gap, Repeat},
    expression::{Expression, ExpressionError},
    interval::{Interval, IntervalError},
    jitter::JITTER_MAX,
    missed::{CatchUp, MISSED_MAX, Missed, ON_TIME},
    overlap::Overlap,
    schedule::{Schedule, Timing},
    tick::TickName,
    ticks::Clockwork,
};
use chrono_tz::Tz;
use haul_core::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 2026-01-01T00:00:00Z. What would have fired only before Haul existed never fires.
const FIRST: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// A schedule as it is written. What is not given has the default of its documentation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// An expression with the meaning of crontab(5). Either this or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An interval in whole seconds, aligned to 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Whether `cron` has six fields, seconds in front. Default: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<bool>,
    /// The IANA time zone that `cron` is read in. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What happens when clocks are set. Default: as [`Dst::of`] the expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<DstSpec>,
    /// What happens to ticks that nobody was there to fire. Default: the last one fires, whatever its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedSpec>,
    /// What a tick does while an earlier one's job is unfinished. Default: `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// The window over which runs are spread. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// No tick before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Timestamp>,
    /// No tick at this time or after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<Timestamp>,
    /// The schedule ends after so many ticks have fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u64>,
}

/// The daylight-saving policy as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DstSpec {
    /// For times that do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// For times that exist twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Repeat>,
}

/// The policy for missed ticks as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissedSpec {
    /// Which are caught up with.
    pub policy: Missed,
    /// How many at most, with `all`. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How old a missed tick may be. Default: any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

/// One thing that is wrong with a spec: where (a JSON pointer) and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct SpecError {
    /// The field, such as `/missed/max`.
    pub pointer: &'static str,
    /// What is wrong with it, and the accepted form.
    pub problem: SpecProblem,
}

/// What is wrong with a field of a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "their texts say it")]
pub enum SpecProblem {
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    #[error(transparent)]
    Interval(#[from] IntervalError),
    #[error("is missing; write \"cron\" or \"every\"")]
    NoTiming,
    #[error("cannot stand beside \"cron\"; write one of them")]
    TwoTimings,
    #[error("belongs to \"cron\"; intervals are counted in UTC, whatever clocks show")]
    NotForIntervals,
    #[error("is not an IANA time zone; write for example \"Europe/London\" or \"UTC\"")]
    Zone,
    #[error("must be 1 to {MISSED_MAX}")]
    MissedMax,
    #[error("belongs to the policy `all`")]
    MaxWithoutAll,
    #[error("belongs to the policies `last` and `all`")]
    AgeWithSkip,
    #[error("must be at least {ON_TIME}: younger ticks are not missed yet")]
    MissedAge,
    #[error("must be at most {JITTER_MAX}")]
    Jitter,
    #[error("must be after \"start_at\"")]
    EndBeforeStart,
    #[error("leaves no tick: the schedule would never fire")]
    NoTick,
    #[error("must be at least 1")]
    NoRuns,
}

/// Everything that is wrong with a spec; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecErrors(pub Vec<SpecError>);

impl std::error::Error for SpecErrors {}
impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<String> = self.0.iter().map(SpecError::to_string).collect();
        f.write_str(&errors.join("; "))
    }
}

impl ScheduleSpec {
    /// A schedule that fires by `cron` in `timezone`, with every other thing as by default.
    pub fn cron(cron: &str, timezone: &str) -> Self {
        Self { cron: Some(cron.to_owned()), timezone: Some(timezone.to_owned()), ..Self::default() }
    }

    /// A schedule that fires every so often, with every other thing as by default.
    pub fn every(every: Span) -> Self {
        Self { every: Some(every), ..Self::default() }
    }

    /// Checks the whole of it.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn validate(&self) -> Result<Schedule, SpecErrors> {
        let mut errors = Errors::default();
        let timing = self.timing(&mut errors);
        let missed = self.catch_up(&mut errors);
        errors.check(self.jitter.is_none_or(|jitter| jitter <= JITTER_MAX), "/jitter", SpecProblem::Jitter);
        errors.check(self.max_runs != Some(0), "/max_runs", SpecProblem::NoRuns);
        let ordered = self.start_at.zip(self.end_at).is_none_or(|(start, end)| start < end);
        errors.check(ordered, "/end_at", SpecProblem::EndBeforeStart);
        let (Some(timing), true) = (timing, errors.0.is_empty()) else {
            return Err(SpecErrors(errors.0));
        };
        let schedule = Schedule {
            timing,
            missed,
            overlap: self.overlap.unwrap_or(Overlap::Allow),
            jitter: self.jitter.unwrap_or_default(),
            start_at: self.start_at,
            end_at: self.end_at,
            max_runs: self.max_runs,
        };
        if schedule.next(&TickName::of_instant(FIRST)).is_none() {
            let pointer = match (self.start_at, self.end_at) {
                (_, Some(_)) => "/end_at",
                (Some(_), None) => "/start_at",
                (None, None) => "/cron",
            };
            return Err(SpecErrors(vec![SpecError { pointer, problem: SpecProblem::NoTick }]));
        }
        Ok(schedule)
    }

    fn timing(&self, errors: &mut Errors) -> Option<Timing> {
        match (&self.cron, self.every) {
            (None, None) => errors.push("/cron", SpecProblem::NoTiming),
            (Some(_), Some(_)) => errors.push("/every", SpecProblem::TwoTimings),
            (Some(cron), None) => return self.clockwork(cron, errors).map(Box::new).map(Timing::Cron),
            (None, Some(every)) => {
                errors.check(self.seconds.is_none(), "/seconds", SpecProblem::NotForIntervals);
                errors.check(self.timezone.is_none(), "/timezone", SpecProblem::NotForIntervals);
                errors.check(self.dst.is_none(), "/dst", SpecProblem::NotForIntervals);
                return errors.keep("/every", Interval::new(every)).map(Timing::Every);
            }
        }
        None
    }

    fn clockwork(&self, cron: &str, errors: &mut Errors) -> Option<Clockwork> {
        let expression = errors.keep("/cron", Expression::parse(cron, self.seconds.unwrap_or(false)));
        let zone = self.timezone.as_deref().unwrap_or("UTC");
        let zone = errors.keep("/timezone", Tz::from_str(zone).map_err(|_| SpecProblem::Zone));
        let (expression, zone) = expression.zip(zone)?;
        let default = Dst::of(&expression);
        let given = self.dst.unwrap_or_default();
        let dst = Dst { gap: given.gap.unwrap_or(default.gap), overlap: given.overlap.unwrap_or(default.overlap) };
        Some(Clockwork { expression, zone, dst })
    }

    fn catch_up(&self, errors: &mut Errors) -> CatchUp {
        let default = CatchUp::default();
        let Some(MissedSpec { policy, max, max_age }) = self.missed else {
            return default;
        };
        if let Some(max) = max {
            errors.check(policy == Missed::All, "/missed/max", SpecProblem::MaxWithoutAll);
            errors.check((1..=MISSED_MAX).contains(&max), "/missed/max", SpecProblem::MissedMax);
        }
        if let Some(max_age) = max_age {
            errors.check(policy != Missed::Skip, "/missed/max_age", SpecProblem::AgeWithSkip);
            errors.check(max_age >= ON_TIME, "/missed/max_age", SpecProblem::MissedAge);
        }
        CatchUp { policy, max: max.unwrap_or(default.max), max_age }
    }
}

#[derive(Default)]
struct Errors(Vec<SpecError>);

impl Errors {
    fn push(&mut self, pointer: &'static str, problem: SpecProblem) {
        self.0.push(SpecError { pointer, problem });
    }

    fn check(&mut self, holds: bool, pointer: &'static str, problem: SpecProblem) {
        if !holds {
            self.push(pointer, problem);
        }
    }

    fn keep<T, E: Into<SpecProblem>>(&mut self, pointer: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.push(pointer, problem.into())).ok()
    }
}
