//! The names of all metrics, in one place. Base units; labels are queue, kind, outcome or route, never ids or tenants.

/// Jobs accepted. Labels: `queue`, `kind`.
pub const JOBS_ACCEPTED_TOTAL: &str = "haul_jobs_accepted_total";
/// Attempts ended. Labels: `queue`, `kind`, `outcome` (`succeeded`, `failed`, `dead`, `released`, `deferred`).
pub const ATTEMPTS_TOTAL: &str = "haul_attempts_total";
/// Outcomes and failures that came too late and were not written. Labels: `kind`.
pub const STALE_RECORDS_TOTAL: &str = "haul_stale_records_total";
/// Handlers that were seen to crash the process that they ran alone in. Labels: `kind`.
pub const CRASHES_TOTAL: &str = "haul_crashes_total";
/// From due to the start of the attempt, in seconds. Labels: `queue`.
pub const WAIT_SECONDS: &str = "haul_wait_seconds";
/// From the start of the attempt to its end, in seconds. Labels: `kind`.
pub const RUN_SECONDS: &str = "haul_run_seconds";
/// Rows per group commit. Labels: `lane` (`accept`, `accept_keyed`, `record`).
pub const COMMIT_ROWS: &str = "haul_commit_rows";
/// Duration of a group commit, in seconds. Labels: `lane`.
pub const COMMIT_SECONDS: &str = "haul_commit_seconds";
/// Tickets that repair put into the dispatch. Labels: `cause` (`receipt`, `rebuild`).
pub const REPAIRED_TICKETS_TOTAL: &str = "haul_repaired_tickets_total";
/// Rebuilds of a queue that were finished.
pub const REBUILDS_TOTAL: &str = "haul_rebuilds_total";
/// What audits found. Labels: `finding` (`unreachable`, `abandoned`, `settled`).
pub const AUDIT_FINDINGS_TOTAL: &str = "haul_audit_findings_total";
/// Unsettled jobs that audits held against the dispatch.
pub const AUDIT_JOBS_TOTAL: &str = "haul_audit_jobs_total";
/// When this process's last complete audit ended, in seconds since 1970.
pub const AUDIT_LAST_TIMESTAMP_SECONDS: &str = "haul_audit_last_timestamp_seconds";
/// How long this process's last complete audit took, in seconds.
pub const AUDIT_LAST_SECONDS: &str = "haul_audit_last_seconds";
/// Slots in use, of the workers of this process.
pub const WORKER_SLOTS_BUSY: &str = "haul_worker_slots_busy";
/// Suspects that this worker runs, each alone in a process.
pub const SUSPECTS_RUNNING: &str = "haul_suspects_running";
/// HTTP requests answered. Labels: `route`, `status`.
pub const HTTP_REQUESTS_TOTAL: &str = "haul_http_requests_total";
/// Ticks that schedulers of this process have dealt with. Labels: `end` (`fired`, `passed`).
pub const TICKS_TOTAL: &str = "haul_ticks_total";
/// From a schedule being due to its step being committed, in seconds.
pub const SCHEDULE_LAG_SECONDS: &str = "haul_schedule_lag_seconds";
/// Steps that another scheduler, or an edit, was ahead of.
pub const STALE_STEPS_TOTAL: &str = "haul_stale_steps_total";
/// Steps that put off a schedule which cannot fire.
pub const SCHEDULE_PROBLEMS_TOTAL: &str = "haul_schedule_problems_total";
/// Times that a call to a third party had to wait. Labels: `why` (`open`, `probing`, `asked`, `busy`, `rate`, `line`).
/// Destinations are no labels: their number is not bounded.
pub const PACE_WAITS_TOTAL: &str = "haul_pace_waits_total";
/// Circuit breakers of destinations that this process has changed. Labels: `to` (`open`, `closed`).
pub const BREAKER_CHANGES_TOTAL: &str = "haul_breaker_changes_total";
/// Runs of maintenance jobs in this process. Labels: `kind`, `end` (`succeeded`, `failed`).
pub const MAINTENANCE_RUNS_TOTAL: &str = "haul_maintenance_runs_total";
/// When this process last finished a maintenance job of a kind, in seconds since 1970. Labels: `kind`.
pub const MAINTENANCE_LAST_TIMESTAMP_SECONDS: &str = "haul_maintenance_last_timestamp_seconds";
