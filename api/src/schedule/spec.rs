//! When a schedule is to fire, as requests say it: from fields to a [`ScheduleSpec`].

use crate::{fields::pointer_of, reader::Reader};
use haul_schedule::{DstSpec, MissedSpec, Schedule, ScheduleSpec};

/// The most runs that a schedule may be given.
const RUNS_MAX: u64 = 1_000_000_000_000;

/// The fields that say when a schedule fires. Everything that is wrong with them is noted in the reader.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    spec: ScheduleSpec,
}

impl Timing {
    /// Reads a member, if it is one of these fields; tells whether it is.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, name: &str, value: &str) -> bool {
        let spec = &mut self.spec;
        let is_null = value == "null";
        match name {
            "cron" | "every" | "seconds" | "timezone" | "dst" | "missed" | "overlap" | "jitter" | "start_at"
            | "end_at" | "max_runs"
                if is_null => {}
            "cron" => spec.cron = reader.text("/cron", value).map(Into::into),
            "every" => spec.every = reader.parse("/every", value),
            "seconds" => spec.seconds = reader.flag("/seconds", value),
            "timezone" => spec.timezone = reader.text("/timezone", value).map(Into::into),
            "dst" => spec.dst = Some(dst(reader, value)),
            "missed" => spec.missed = missed(reader, value),
            "overlap" => spec.overlap = reader.parse("/overlap", value),
            "jitter" => spec.jitter = reader.parse("/jitter", value),
            "start_at" => spec.start_at = reader.parse("/start_at", value),
            "end_at" => spec.end_at = reader.parse("/end_at", value),
            "max_runs" => spec.max_runs = reader.whole_number("/max_runs", value, 1, RUNS_MAX),
            _ => return false,
        }
        true
    }

    /// The whole of it, checked. `None` when something is wrong, which is noted then. Where a field could not be read, the
    /// rest is not judged: what is missing then would be an error of ours.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) -> Option<(ScheduleSpec, Schedule)> {
        if !reader.errors.is_empty() {
            return None;
        }
        match self.spec.validate() {
            Ok(schedule) => Some((self.spec, schedule)),
            Err(errors) => {
                for error in errors.0 {
                    reader.fail(error.pointer, error.problem.to_string());
                }
                None
            }
        }
    }
}

fn dst(reader: &mut Reader<'_>, value: &str) -> DstSpec {
    let mut dst = DstSpec::default();
    for (name, value) in reader.object("/dst", value) {
        match &*name {
            "gap" | "overlap" if value == "null" => {}
            "gap" => dst.gap = reader.parse("/dst/gap", value),
            "overlap" => dst.overlap = reader.parse("/dst/overlap", value),
            unknown => reader.fail(&format!("/dst{}", pointer_of(unknown)), "is not a field of dst: gap, overlap"),
        }
    }
    dst
}

fn missed(reader: &mut Reader<'_>, value: &str) -> Option<MissedSpec> {
    let errors_before = reader.errors.len();
    let (mut policy, mut max, mut max_age) = (None, None, None);
    for (name, value) in reader.object("/missed", value) {
        match &*name {
            "max" | "max_age" if value == "null" => {}
            "policy" => policy = reader.parse("/missed/policy", value),
            "max" => max = reader.whole_number("/missed/max", value, 1, haul_schedule::MISSED_MAX),
            "max_age" => max_age = reader.parse("/missed/max_age", value),
            unknown => {
                let detail = "is not a field of missed: policy, max, max_age";
                reader.fail(&format!("/missed{}", pointer_of(unknown)), detail);
            }
        }
    }
    if policy.is_none() && reader.errors.len() == errors_before {
        reader.fail("/missed/policy", "is required; write one of `skip` `last` `all`");
    }
    policy.map(|policy| MissedSpec { policy, max, max_age })
}
