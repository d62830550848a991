//! What is declared of a metric.

use super::cap::{KINDS_MAX, QUEUES_MAX, ROUTES_MAX};

/// A metric: declared once, in the table of [`crate::telemetry`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, with the unit last, as Prometheus has it.
    pub name: &'static str,
    /// How it moves.
    pub form: Form,
    /// What it counts or measures.
    pub unit: Unit,
    /// Its labels. There are no others.
    pub labels: &'static [Label],
    /// Which roles show it; `haul up` is all of them at once.
    pub roles: &'static [Role],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// Only grows, and begins at 0 with its process.
    Counter,
    /// Is set to what is.
    Gauge,
    /// Counts how often it was at most each of these; there is one bucket more, for everything.
    Histogram(&'static [f64]),
}

impl Form {
    /// As Prometheus writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things; the name says which.
    Count,
    /// Seconds.
    Seconds,
    /// Seconds since 1970, UTC.
    UnixSeconds,
    /// Bytes.
    Bytes,
    /// 0 or 1: whether it is so.
    Bool,
}

impl Unit {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::UnixSeconds => "seconds since 1970",
            Self::Bytes => "bytes",
            Self::Bool => "0 or 1",
        }
    }
}

/// A part that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `haul api`.
    Api,
    /// `haul worker`, and users' own workers.
    Worker,
    /// `haul scheduler`.
    Scheduler,
    /// Of all schedulers, the one that looks at what is common to all processes, and no other. See [`crate::telemetry`].
    Lookout,
}

impl Role {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Lookout => "lookout",
        }
    }
}

/// A label, and the values that it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These and no others.
    Closed(&'static [&'static str]),
    /// So many names at most; all further ones are [`OTHER`](super::cap::OTHER).
    Capped(usize),
    /// What the program has: its routes, its kinds of maintenance, the operations of a port, its version.
    Fixed,
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Closed(values) }
}

const fn fixed(name: &'static str) -> Label {
    Label { name, values: Values::Fixed }
}

pub(super) const QUEUE: Label = Label { name: "queue", values: Values::Capped(QUEUES_MAX) };
pub(super) const KIND: Label = Label { name: "kind", values: Values::Capped(KINDS_MAX) };
pub(super) const ROUTE: Label = Label { name: "route", values: Values::Capped(ROUTES_MAX) };
pub(super) const METHOD: Label =
    closed("method", &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"]);
pub(super) const STATUS: Label = fixed("status");
pub(super) const OUTCOME: Label = closed("outcome", &["succeeded", "failed", "dead", "released", "deferred"]);
pub(super) const LANE: Label = closed("lane", &["accept", "accept_keyed", "record"]);
pub(super) const OPERATION: Label = fixed("operation");
pub(super) const LEDGER_ERROR: Label =
    closed("error", &["unavailable", "contended", "refused", "limit_reached", "corrupt"]);
pub(super) const DISPATCH_ERROR: Label = closed("error", &["unavailable", "misconfigured"]);
pub(super) const POOL: Label = closed("pool", &["statements", "transactions"]);
pub(super) const CONNECTION_STATE: Label = closed("state", &["idle", "used"]);
pub(super) const QUEUE_STATE: Label = closed("state", &["ready", "delayed", "leased"]);
pub(super) const ROLE: Label = closed("role", &["api", "worker", "scheduler", "up", "other"]);
pub(super) const CAUSE: Label = closed("cause", &["receipt", "rebuild"]);
pub(super) const FINDING: Label = closed("finding", &["unreachable", "abandoned", "settled"]);
pub(super) const TICK_END: Label = closed("end", &["fired", "passed"]);
pub(super) const RUN_END: Label = closed("end", &["succeeded", "failed"]);
pub(super) const SPAN_END: Label = closed("end", &["exported", "failed", "dropped"]);
pub(super) const WHY: Label = closed("why", &["open", "probing", "asked", "busy", "rate", "line"]);
pub(super) const BREAKER: Label = closed("to", &["open", "closed"]);
pub(super) const MAINTENANCE_KIND: Label = fixed("kind");
pub(super) const VERSION: Label = fixed("version");
