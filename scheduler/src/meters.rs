//! Metric handles of a scheduler, looked up once.

use haul_core::telemetry::{self, AcceptedMeter};
use metrics::{Counter, Histogram};

/// What is counted of steps.
pub(crate) struct Meters {
    pub(crate) fired: Counter,
    pub(crate) passed: Counter,
    pub(crate) stale: Counter,
    pub(crate) problems: Counter,
    pub(crate) lag: Histogram,
    pub(crate) accepted: AcceptedMeter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            fired: metrics::counter!(telemetry::TICKS_TOTAL, "end" => "fired"),
            passed: metrics::counter!(telemetry::TICKS_TOTAL, "end" => "passed"),
            stale: metrics::counter!(telemetry::STALE_STEPS_TOTAL),
            problems: metrics::counter!(telemetry::SCHEDULE_PROBLEMS_TOTAL),
            lag: metrics::histogram!(telemetry::SCHEDULE_LAG_SECONDS),
            accepted: AcceptedMeter::default(),
        }
    }
}
