//! Schedules as requests describe them: from a body to a definition that can be stored, or to everything that is wrong.

use super::spec::Timing;
use crate::{
    draft::Rules,
    fields::{Fields, pointer_of},
    problem::{Problem, ProblemType},
    reader::Reader,
    submit::Asked,
};
use haul_core::{
    JobTemplate, ScheduleName, Timestamp,
    schedules::Definition,
    template::{SCHEDULE_TAG, TEMPLATE_TAGS_MAX, TICK_TAG},
};
use haul_schedule::{Schedule, ScheduleSpec};

/// A schedule of this name could not be reached: the path is taken.
const PREVIEW: &str = "preview";

/// What a body is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A schedule to be created: names itself, and may begin paused.
    New,
    /// A new definition of the schedule of this name.
    Change(ScheduleName),
}

/// A schedule as a request wants it.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: ScheduleName,
    pub(crate) paused: bool,
    pub(crate) definition: Definition,
    /// When it fires, checked.
    pub(crate) schedule: Schedule,
}

/// Judges a body: everything that is wrong is told at once.
pub(crate) fn wish(fields: &Fields<'_>, form: &Form, rules: &Rules, now: Timestamp) -> Result<Wish, Problem> {
    let Fields::Object(members) = fields else { return Err(no_object(now)) };
    // Each part is judged whatever is wrong with the others.
    let (mut timer, mut reader, mut jobs) = (Reader::new("", now), Reader::new("", now), Reader::new("/job", now));
    let mut timing = Timing::default();
    let mut name = match form {
        Form::New => None,
        Form::Change(name) => Some(name.clone()),
    };
    let (mut paused, mut source, mut template) = (false, None, None);
    for (field, value) in members {
        if timing.take(&mut timer, field, value) {
            continue;
        }
        match (&**field, form) {
            ("name", Form::New) => {
                name = reader.parse::<ScheduleName>("/name", value);
                if name.as_ref().is_some_and(|name| name.as_str() == PREVIEW) {
                    reader.fail("/name", "stands for something else in paths; choose another name");
                }
            }
            ("name", Form::Change(name)) => {
                if reader.parse::<ScheduleName>("/name", value).is_some_and(|given| given != *name) {
                    reader.fail("/name", "is not the name in the path; a schedule keeps its name");
                }
            }
            ("paused", Form::New) => paused = reader.flag("/paused", value).unwrap_or_default(),
            ("paused", Form::Change(_)) => {
                reader.fail("/paused", "is no part of a change; use POST .../pause or .../resume");
            }
            ("source", _) if *value == "null" => {}
            ("source", _) => source = reader.parse("/source", value),
            ("job", _) => template = job(&mut jobs, value, rules),
            (unknown, _) => reader.fail(&pointer_of(unknown), "is not a field of a schedule"),
        }
    }
    for required in ["name", "job"] {
        let is_in_path = required == "name" && name.is_some();
        if !is_in_path && !members.iter().any(|(given, _)| given == required) {
            reader.fail(&format!("/{required}"), "is required");
        }
    }
    let timing = timing.finish(&mut timer);
    for part in [timer, jobs] {
        reader.errors.extend(part.errors);
    }
    let (Some(name), Some((spec, schedule)), Some(template), true) = (name, timing, template, reader.errors.is_empty())
    else {
        return Err(reader.into_problem(ProblemType::InvalidSchedule));
    };
    let spec = serde_json::to_string(&spec).map_err(Problem::internal)?;
    let template = template.encode().map_err(Problem::internal)?;
    Ok(Wish { name, paused, definition: Definition { spec, template, source }, schedule })
}

/// The job of a schedule: what a submit says, without what the schedule itself decides.
fn job(reader: &mut Reader<'_>, value: &str, rules: &Rules) -> Option<JobTemplate> {
    let members = reader.object("", value);
    if !reader.errors.is_empty() {
        return None;
    }
    let mut asked = Asked::new(rules, TEMPLATE_TAGS_MAX);
    for (name, value) in &members {
        if asked.take(reader, name, value) {
            continue;
        }
        let detail = match &**name {
            "run_at" | "delay" => "is decided by the schedule: a job is due at its tick",
            "deadline" => "is one point in time, which the jobs of a schedule cannot share",
            "idempotency_key" => "is not needed: each tick has one job",
            _ => "is not a field of a schedule's job",
        };
        reader.fail(&pointer_of(name), detail);
    }
    asked.require(reader, &members);
    asked.refuse_payments(reader);
    for tag in [SCHEDULE_TAG, TICK_TAG] {
        if asked.options.tags.contains_key(tag) {
            reader.fail(&format!("/tags{}", pointer_of(tag)), "is set by the schedule");
        }
    }
    let Asked { kind: Some(kind), payload: Some(payload), queue, priority, options, .. } = asked else { return None };
    Some(JobTemplate { kind, queue, priority, payload, options: options.into_owned() })
}

/// What to look ahead at.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) spec: ScheduleSpec,
    pub(crate) schedule: Schedule,
    pub(crate) from: Timestamp,
    pub(crate) count: usize,
}

/// Ticks that a preview shows unless told otherwise, and at most.
const PREVIEW_TICKS: usize = 10;
const PREVIEW_TICKS_MAX: usize = 100;

/// Judges the body of a preview.
pub(crate) fn question(fields: &Fields<'_>, now: Timestamp) -> Result<Question, Problem> {
    let Fields::Object(members) = fields else { return Err(no_object(now)) };
    let (mut timer, mut reader) = (Reader::new("", now), Reader::new("", now));
    let mut timing = Timing::default();
    let (mut from, mut count) = (now, PREVIEW_TICKS);
    for (field, value) in members {
        if timing.take(&mut timer, field, value) {
            continue;
        }
        match &**field {
            "from" | "count" if *value == "null" => {}
            "from" => from = reader.parse("/from", value).unwrap_or(from),
            "count" => count = reader.whole_number("/count", value, 1, PREVIEW_TICKS_MAX).unwrap_or(count),
            unknown => reader.fail(&pointer_of(unknown), "is not a field of a preview"),
        }
    }
    let timing = timing.finish(&mut timer);
    reader.errors.extend(timer.errors);
    match timing {
        Some((spec, schedule)) if reader.errors.is_empty() => Ok(Question { spec, schedule, from, count }),
        _ => Err(reader.into_problem(ProblemType::InvalidSchedule)),
    }
}

fn no_object(now: Timestamp) -> Problem {
    let mut reader = Reader::new("", now);
    reader.fail("", "must be an object");
    reader.into_problem(ProblemType::InvalidSchedule)
}
