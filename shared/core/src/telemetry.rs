//! Metrics: every name, what it means, its unit, its labels and who shows it, in one table.
//!
//! The table is what `/metrics` describes them by, what buckets are taken from, what `docs/metrics.md` is written from,
//! and what dashboards and alerts are checked against. Units are base units. Labels are bounded: a closed set of
//! words, names of the program itself, or names of queues and kinds up to a cap ([`cap`]). Ids, tenants and URLs are never labels.
//!
//! Counters and histograms tell what this process did: sum them over processes. So are gauges of what it has (slots,
//! connections). What is common to all processes, such as the depth of a queue, is shown by one process alone, the
//! *lookout*, so that sums of it are right too: see [`Role::Lookout`] and `docs/decisions/0170`.

mod accepted;
pub mod cap;
#[cfg(test)]
mod document;
mod metric;

pub use accepted::AcceptedMeter;
pub use metric::{Form, Label, Metric, Role, Unit, Values};

use Form::{Counter, Gauge, Histogram};
use Role::{Api, Lookout, Scheduler, Worker};
use Unit::{Bool, Bytes, Count, Seconds, UnixSeconds};
use metric::{
    BREAKER, CAUSE, CONNECTION_STATE, DISPATCH_ERROR, FINDING, KIND, LANE, LEDGER_ERROR, MAINTENANCE_KIND, METHOD,
    OPERATION, OUTCOME, POOL, QUEUE, QUEUE_STATE, ROLE, ROUTE, RUN_END, SPAN_END, STATUS, TICK_END, VERSION, WHY,
};

/// What concerns jobs: from a millisecond to a day.
const JOB_SECONDS_BOUNDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0,
    28_800.0, 86_400.0,
];
/// Calls to a store, and commits: from a quarter of a millisecond to ten seconds.
const CALL_SECONDS_BOUNDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Requests: from a millisecond to the longest that one may wait.
const REQUEST_SECONDS_BOUNDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// How late a schedule fires: it is looked for every second at the latest.
const LAG_SECONDS_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0];
/// Rows of a commit.
const ROWS_BOUNDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];

const ALL_ROLES: &[Role] = &[Api, Worker, Scheduler];
/// A scheduler has a small worker of its own, for maintenance.
const WORKERS: &[Role] = &[Worker, Scheduler];

macro_rules! metrics {
    ($($constant:ident: $name:literal, $form:expr, $unit:expr, [$($label:expr),*], $roles:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// The table.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, form: $form, unit: $unit, labels: &[$($label),*], roles: $roles, help: $help },)*
        ];
    };
}

metrics! {
    // Jobs.
    JOBS_ACCEPTED_TOTAL: "haul_jobs_accepted_total", Counter, Count, [QUEUE, KIND], &[Api, Worker, Scheduler],
        "Jobs accepted: submitted, fired by schedules, or follow-ups of other jobs. Those that users' own transactions enqueue are not among them.";
    ATTEMPTS_TOTAL: "haul_attempts_total", Counter, Count, [QUEUE, KIND, OUTCOME], WORKERS,
        "Attempts ended. `failed` is retried, `dead` is a job's end, `released` and `deferred` used up no attempt.";
    CRASHES_TOTAL: "haul_crashes_total", Counter, Count, [KIND], WORKERS,
        "Attempts that were seen to crash the process that they ran alone in.";
    LEASES_EXPIRED_TOTAL: "haul_leases_expired_total", Counter, Count, [QUEUE], WORKERS,
        "Tickets claimed that had come back because a lease expired: their worker is gone, or was too slow.";
    STALE_RECORDS_TOTAL: "haul_stale_records_total", Counter, Count, [KIND], WORKERS,
        "Outcomes and failures that came too late and were not written.";
    WAIT_SECONDS: "haul_wait_seconds", Histogram(JOB_SECONDS_BOUNDS), Seconds, [QUEUE], WORKERS,
        "From an attempt being due to its start.";
    RUN_SECONDS: "haul_run_seconds", Histogram(JOB_SECONDS_BOUNDS), Seconds, [KIND], WORKERS,
        "From the start of an attempt to its end.";
    JOB_SECONDS: "haul_job_seconds", Histogram(JOB_SECONDS_BOUNDS), Seconds, [QUEUE], WORKERS,
        "From a job being due for the first time (accepted, or its `run_at`) to its end, retries and all, of those that succeeded or died.";

    // Workers.
    WORKER_SLOTS: "haul_worker_slots", Gauge, Count, [], WORKERS,
        "Slots of this process: how many attempts it can run at a time.";
    WORKER_SLOTS_BUSY: "haul_worker_slots_busy", Gauge, Count, [], WORKERS,
        "Those of its slots that are in use.";
    SUSPECTS_RUNNING: "haul_suspects_running", Gauge, Count, [], &[Worker],
        "Suspects that this worker runs, each alone in a process.";

    // What is common to all processes, from the lookout.
    QUEUE_JOBS: "haul_queue_jobs", Gauge, Count, [QUEUE, QUEUE_STATE], &[Lookout],
        "Tickets in the dispatch: `ready` to run, `delayed` (due later), `leased` (running).";
    QUEUE_OLDEST_READY_SECONDS: "haul_queue_oldest_ready_seconds", Gauge, Seconds, [QUEUE], &[Lookout],
        "For how long the oldest job that could run now has been due; 0 when none is.";
    QUEUE_PAUSED: "haul_queue_paused", Gauge, Bool, [QUEUE], &[Lookout],
        "Whether an operator paused the queue.";
    QUEUES: "haul_queues", Gauge, Count, [], &[Lookout],
        "Queues that the ledger knows.";
    PROCESSES: "haul_processes", Gauge, Count, [ROLE], &[Lookout],
        "Processes that are alive: that told the ledger so within the last 15 s.";
    RECEIPTS_OUTSTANDING: "haul_receipts_outstanding", Gauge, Count, [], &[Lookout],
        "Batches that may still have to reach the dispatch; counted up to 100,000. Each is kept for a minute at least.";
    RECEIPTS_OLDEST_SECONDS: "haul_receipts_oldest_seconds", Gauge, Seconds, [], &[Lookout],
        "Age of the oldest of these; 0 when there is none.";
    DESTINATIONS_OPEN: "haul_destinations_open", Gauge, Count, [], &[Lookout],
        "Destinations whose circuit breaker is open: third parties that are not called at the moment.";
    PAYMENTS_UNKNOWN: "haul_payments_unknown", Gauge, Count, [], &[Lookout],
        "Payments of which nobody knows whether the provider has carried out what it was sent; counted up to 100,000.";
    PAYMENTS_UNKNOWN_OLDEST_SECONDS: "haul_payments_unknown_oldest_seconds", Gauge, Seconds, [], &[Lookout],
        "For how long the one of these that changed longest ago has not changed; 0 when there is none.";
    POSTINGS_IMBALANCE: "haul_postings_imbalance", Gauge, Count, [], &[Lookout],
        "Currencies in which some payment's postings are not what the payment says has moved. The newest 1,000 payments are looked at every 10 s, older ones in turn, ten million in seven hours.";
    LOOKOUT_TIMESTAMP_SECONDS: "haul_lookout_timestamp_seconds", Gauge, UnixSeconds, [], &[Lookout],
        "When the lookout last looked at all queues. The process that shows this is the lookout.";

    // Commits and stores.
    COMMIT_ROWS: "haul_commit_rows", Histogram(ROWS_BOUNDS), Count, [LANE], ALL_ROLES,
        "Rows of a group commit.";
    COMMIT_SECONDS: "haul_commit_seconds", Histogram(CALL_SECONDS_BOUNDS), Seconds, [LANE], ALL_ROLES,
        "Duration of a group commit, tries and all.";
    LEDGER_SECONDS: "haul_ledger_seconds", Histogram(CALL_SECONDS_BOUNDS), Seconds, [OPERATION], ALL_ROLES,
        "Duration of a call to the ledger that was answered.";
    LEDGER_ERRORS_TOTAL: "haul_ledger_errors_total", Counter, Count, [OPERATION, LEDGER_ERROR], ALL_ROLES,
        "Calls to the ledger that failed.";
    LEDGER_CONNECTIONS: "haul_ledger_connections", Gauge, Count, [POOL, CONNECTION_STATE], ALL_ROLES,
        "Connections of this process to the ledger.";
    LEDGER_CONNECTIONS_MAX: "haul_ledger_connections_max", Gauge, Count, [POOL], ALL_ROLES,
        "How many it may have.";
    DISPATCH_SECONDS: "haul_dispatch_seconds", Histogram(CALL_SECONDS_BOUNDS), Seconds, [OPERATION], ALL_ROLES,
        "Duration of a call to the dispatch that was answered; waiting for work is none.";
    DISPATCH_ERRORS_TOTAL: "haul_dispatch_errors_total", Counter, Count, [OPERATION, DISPATCH_ERROR], ALL_ROLES,
        "Calls to the dispatch that failed.";
    DISPATCH_EVICTS: "haul_dispatch_evicts", Gauge, Bool, [], ALL_ROLES,
        "Whether the Redis of the dispatch would drop tickets when memory runs out: its maxmemory-policy is not noeviction. Then nothing is claimed.";

    // Repair and audit.
    REPAIRED_TICKETS_TOTAL: "haul_repaired_tickets_total", Counter, Count, [CAUSE], WORKERS,
        "Tickets that repair put into the dispatch.";
    REBUILDS_TOTAL: "haul_rebuilds_total", Counter, Count, [], WORKERS,
        "Rebuilds of a queue that were finished.";
    AUDIT_FINDINGS_TOTAL: "haul_audit_findings_total", Counter, Count, [FINDING], WORKERS,
        "Jobs that audits found ledger and dispatch to disagree about.";
    AUDIT_JOBS_TOTAL: "haul_audit_jobs_total", Counter, Count, [], WORKERS,
        "Unsettled jobs that audits held against the dispatch.";
    AUDIT_LAST_TIMESTAMP_SECONDS: "haul_audit_last_timestamp_seconds", Gauge, UnixSeconds, [], WORKERS,
        "When this process's last complete audit ended. Absent before.";
    AUDIT_LAST_SECONDS: "haul_audit_last_seconds", Gauge, Seconds, [], WORKERS,
        "How long it took. Absent before.";

    // The scheduler.
    TICKS_TOTAL: "haul_ticks_total", Counter, Count, [TICK_END], &[Scheduler],
        "Ticks that schedulers dealt with: those `fired`, and those that were missed and `passed` over.";
    SCHEDULE_LAG_SECONDS: "haul_schedule_lag_seconds", Histogram(LAG_SECONDS_BOUNDS), Seconds, [], &[Scheduler],
        "From a schedule being due to its step being committed.";
    STALE_STEPS_TOTAL: "haul_stale_steps_total", Counter, Count, [], &[Scheduler],
        "Steps that another scheduler, or an edit, was ahead of.";
    SCHEDULE_PROBLEMS_TOTAL: "haul_schedule_problems_total", Counter, Count, [], &[Scheduler],
        "Steps that put off a schedule which cannot fire.";
    MAINTENANCE_RUNS_TOTAL: "haul_maintenance_runs_total", Counter, Count, [MAINTENANCE_KIND, RUN_END], &[Scheduler],
        "Runs of maintenance jobs.";
    MAINTENANCE_LAST_TIMESTAMP_SECONDS: "haul_maintenance_last_timestamp_seconds", Gauge, UnixSeconds, [MAINTENANCE_KIND], &[Scheduler],
        "When this process last finished a maintenance job of a kind. Absent before.";

    // Third parties.
    PACE_WAITS_TOTAL: "haul_pace_waits_total", Counter, Count, [WHY], &[Worker],
        "Times that a call to a third party had to wait. Destinations are no labels: their number is not bounded.";
    BREAKER_CHANGES_TOTAL: "haul_breaker_changes_total", Counter, Count, [BREAKER], &[Worker],
        "Circuit breakers of destinations that this process has changed.";

    // HTTP.
    HTTP_REQUESTS_TOTAL: "haul_http_requests_total", Counter, Count, [ROUTE, METHOD, STATUS], &[Api],
        "HTTP requests answered.";
    HTTP_REQUEST_SECONDS: "haul_http_request_seconds", Histogram(REQUEST_SECONDS_BOUNDS), Seconds, [ROUTE, METHOD], &[Api],
        "From a request's head to its answer's head. Those that asked to wait for a job's end are not among them.";

    // The process.
    BUILD_INFO: "haul_build_info", Gauge, Count, [VERSION, ROLE], ALL_ROLES,
        "1; its labels say what this process is.";
    PROCESS_CPU_SECONDS_TOTAL: "process_cpu_seconds_total", Counter, Seconds, [], ALL_ROLES,
        "CPU time that the process has used.";
    PROCESS_RESIDENT_MEMORY_BYTES: "process_resident_memory_bytes", Gauge, Bytes, [], ALL_ROLES,
        "Memory of the process that is in RAM.";
    PROCESS_OPEN_FDS: "process_open_fds", Gauge, Count, [], ALL_ROLES,
        "Files and sockets that the process has open.";
    PROCESS_MAX_FDS: "process_max_fds", Gauge, Count, [], ALL_ROLES,
        "How many it may have open.";
    PROCESS_START_TIME_SECONDS: "process_start_time_seconds", Gauge, UnixSeconds, [], ALL_ROLES,
        "When the process began.";
    SPANS_TOTAL: "haul_spans_total", Counter, Count, [SPAN_END], ALL_ROLES,
        "Spans of traces: `exported` to the collector, refused by it or not sent in time (`failed`), or `dropped` because too many waited.";
}

/// The metric of a name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_name_is_declared_once_and_ends_in_its_unit() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("haul_") || name.starts_with("process_"), "{name}");
            assert_eq!(metric.form == Counter, name.ends_with("_total"), "{name}");
            let bare = name.trim_end_matches("_total");
            assert_eq!(matches!(metric.unit, Seconds | UnixSeconds), bare.ends_with("_seconds"), "{name}");
            assert_eq!(metric.unit == Bytes, bare.ends_with("_bytes"), "{name}");
            assert!(!metric.roles.is_empty() && metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn labels_are_few_and_never_name_a_job_a_tenant_or_a_url() {
        for metric in METRICS {
            assert!(metric.labels.len() <= 3, "{}", metric.name);
            for label in metric.labels {
                assert!(!["id", "job", "tenant", "url", "host", "destination", "le"].contains(&label.name));
                assert!(!matches!(label.values, Values::Closed([])), "{}", metric.name);
            }
        }
    }

    #[test]
    fn buckets_of_jobs_reach_from_a_millisecond_to_hours_and_all_are_in_order() {
        for metric in METRICS {
            if let Histogram(bounds) = metric.form {
                assert!(bounds.len() >= 2 && bounds.len() <= 20 && bounds.is_sorted(), "{}", metric.name);
            }
        }
        assert_eq!(JOB_SECONDS_BOUNDS.first(), Some(&0.001));
        assert!(JOB_SECONDS_BOUNDS.iter().filter(|bound| **bound >= 3_600.0).count() >= 2);
    }
}
