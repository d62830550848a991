//! Metric handles, looked up once per queue and kind instead of once per job.

use haul_core::{
    Kind, QueueRef,
    telemetry::{
        self, AcceptedMeter,
        cap::{kind_label, pair_labels, queue_label},
    },
};
use metrics::{Counter, Gauge, Histogram};

/// What is counted per queue and kind.
pub(crate) struct RouteMeters {
    pub(crate) succeeded: Counter,
    pub(crate) failed: Counter,
    pub(crate) dead: Counter,
    pub(crate) released: Counter,
    pub(crate) deferred: Counter,
    pub(crate) stale: Counter,
    pub(crate) crashes: Counter,
    pub(crate) expired: Counter,
    pub(crate) wait_seconds: Histogram,
    pub(crate) run_seconds: Histogram,
    pub(crate) job_seconds: Histogram,
}

impl RouteMeters {
    pub(crate) fn new(queue: &QueueRef, kind: &Kind) -> Self {
        let (queue, kind) = (queue.queue.as_str(), kind.as_str());
        let (both_queue, both_kind) = pair_labels(queue, kind);
        let ended = |outcome: &'static str| {
            let labels =
                [("queue", both_queue.to_owned()), ("kind", both_kind.to_owned()), ("outcome", outcome.to_owned())];
            metrics::counter!(telemetry::ATTEMPTS_TOTAL, &labels)
        };
        let (queue, kind) = (queue_label(queue).to_owned(), kind_label(kind).to_owned());
        Self {
            succeeded: ended("succeeded"),
            failed: ended("failed"),
            dead: ended("dead"),
            released: ended("released"),
            deferred: ended("deferred"),
            stale: metrics::counter!(telemetry::STALE_RECORDS_TOTAL, "kind" => kind.clone()),
            crashes: metrics::counter!(telemetry::CRASHES_TOTAL, "kind" => kind.clone()),
            expired: metrics::counter!(telemetry::LEASES_EXPIRED_TOTAL, "queue" => queue.clone()),
            wait_seconds: metrics::histogram!(telemetry::WAIT_SECONDS, "queue" => queue.clone()),
            run_seconds: metrics::histogram!(telemetry::RUN_SECONDS, "kind" => kind),
            job_seconds: metrics::histogram!(telemetry::JOB_SECONDS, "queue" => queue),
        }
    }
}

/// What is counted per worker.
pub(crate) struct WorkerMeters {
    pub(crate) commit_rows: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) slots: Gauge,
    pub(crate) slots_busy: Gauge,
    pub(crate) accepted: AcceptedMeter,
    pub(crate) suspects_running: Gauge,
}

impl WorkerMeters {
    pub(crate) fn new() -> Self {
        Self {
            commit_rows: metrics::histogram!(telemetry::COMMIT_ROWS, "lane" => "record"),
            commit_seconds: metrics::histogram!(telemetry::COMMIT_SECONDS, "lane" => "record"),
            slots: metrics::gauge!(telemetry::WORKER_SLOTS),
            accepted: AcceptedMeter::default(),
            slots_busy: metrics::gauge!(telemetry::WORKER_SLOTS_BUSY),
            suspects_running: metrics::gauge!(telemetry::SUSPECTS_RUNNING),
        }
    }
}
