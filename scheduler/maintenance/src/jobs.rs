//! The handlers: a payload that is read strictly, steps, and a result that says what they did.

use crate::{
    Tools,
    steps::{Steps, refused_or_away},
};
use haul_core::{
    Span, Timestamp,
    audit::{AuditError, AuditReport},
    maintenance::{Retained, Retention},
};
use haul_worker::{HandlerError, JobContext};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A hundred years.
const DAYS_MAX: u32 = 36_525;
/// Keys, or rows of statistics, that one step forgets.
const STEP_ROWS: usize = 1_000;
/// How long an audit that finds another one under way waits.
const AUDIT_PAUSE: Duration = Duration::from_secs(60);

/// A payload that has nothing to say but how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plain {
    for_at_most: Option<Span>,
}

/// A payload that may say for how many days something is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    for_at_most: Option<Span>,
    keep_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepPayloads {
    for_at_most: Option<Span>,
    payload_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepStatistics {
    for_at_most: Option<Span>,
    statistics_days: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Prepared {
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Forgotten {
    keep_days: u32,
    days_closed: u64,
    days_dropped: u64,
    days_held: u64,
    jobs_moved: u64,
    jobs_deleted: u64,
    complete: bool,
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Erased {
    payload_days: u32,
    jobs_erased: u64,
    complete: bool,
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Expired {
    keys_expired: u64,
    complete: bool,
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Counted {
    statistics_days: u32,
    rows_counted: u64,
    rows_expired: u64,
    complete: bool,
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Analyzed {
    tables: u64,
    complete: bool,
    took_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Audited {
    queues: usize,
    queues_left_out: usize,
    jobs: u64,
    tickets: u64,
    unreachable: u64,
    abandoned: u64,
    settled: u64,
    complete: bool,
    took_ms: u64,
}

pub(crate) async fn partitions(tools: Tools, job: JobContext, wishes: Plain) -> Result<Prepared, HandlerError> {
    let steps = Steps::new(job, wishes.for_at_most);
    tools.ledger.prepare_ahead().await.map_err(refused_or_away)?;
    Ok(Prepared { took_ms: steps.took_ms() })
}

pub(crate) async fn retention(tools: Tools, job: JobContext, wishes: Keep) -> Result<Forgotten, HandlerError> {
    let steps = Steps::new(job, wishes.for_at_most);
    let keep_days = days("keep_days", wishes.keep_days, tools.config.keep_days)?;
    let (mut total, mut complete) = (Retained::default(), true);
    if keep_days > 0 {
        let maintenance = &*tools.maintenance;
        let retention = Retention::days(keep_days);
        loop {
            let step = maintenance.retain(&retention).await.map_err(refused_or_away)?;
            total.add(&step);
            if !step.more {
                break;
            }
            if !steps.may_go_on()? {
                complete = false;
                break;
            }
        }
    }
    Ok(Forgotten {
        keep_days,
        days_closed: total.days_closed,
        days_dropped: total.days_dropped,
        days_held: total.days_held,
        jobs_moved: total.jobs_moved,
        jobs_deleted: total.jobs_deleted,
        complete,
        took_ms: steps.took_ms(),
    })
}

pub(crate) async fn payloads(tools: Tools, job: JobContext, wishes: KeepPayloads) -> Result<Erased, HandlerError> {
    let payload_days = days("payload_days", wishes.payload_days, tools.config.payload_days)?;
    let before = before(job.now(), payload_days);
    let steps = Steps::new(job, wishes.for_at_most);
    let (jobs_erased, complete) = match before {
        Some(before) => {
            let maintenance = &*tools.maintenance;
            steps.all(|| maintenance.erase_payloads(before)).await?
        }
        None => (0, true),
    };
    Ok(Erased { payload_days, jobs_erased, complete, took_ms: steps.took_ms() })
}

pub(crate) async fn keys(tools: Tools, job: JobContext, wishes: Plain) -> Result<Expired, HandlerError> {
    let steps = Steps::new(job, wishes.for_at_most);
    let maintenance = &*tools.maintenance;
    let (keys_expired, complete) = steps.all(|| maintenance.expire_keys(STEP_ROWS)).await?;
    Ok(Expired { keys_expired, complete, took_ms: steps.took_ms() })
}

pub(crate) async fn statistics(tools: Tools, job: JobContext, wishes: KeepStatistics) -> Result<Counted, HandlerError> {
    let statistics_days = days("statistics_days", wishes.statistics_days, tools.config.statistics_days)?;
    let before = before(job.now(), statistics_days);
    let steps = Steps::new(job, wishes.for_at_most);
    let (rows_counted, mut complete) = steps.all(|| tools.statistics.count_hour()).await?;
    let mut rows_expired = 0;
    if let (Some(before), true) = (before, complete) {
        (rows_expired, complete) = steps.all(|| tools.statistics.expire_hours(before, STEP_ROWS)).await?;
    }
    Ok(Counted { statistics_days, rows_counted, rows_expired, complete, took_ms: steps.took_ms() })
}

pub(crate) async fn analyze(tools: Tools, job: JobContext, wishes: Plain) -> Result<Analyzed, HandlerError> {
    let steps = Steps::new(job, wishes.for_at_most);
    let maintenance = &*tools.maintenance;
    let (tables, complete) = steps.all(|| maintenance.analyze()).await?;
    Ok(Analyzed { tables, complete, took_ms: steps.took_ms() })
}

/// Jobs without a ticket would never have started. They have one now, but how they lost it is worth somebody's look: the
/// job is dead, and says how many there were.
pub(crate) async fn audit(tools: Tools, job: JobContext, wishes: Plain) -> Result<Audited, HandlerError> {
    let steps = Steps::new(job, wishes.for_at_most);
    let report = tools.audit.audit(steps.limit()).await.map_err(|error| match error {
        AuditError::UnderWay => HandlerError::retry_after(AUDIT_PAUSE, error),
        error => HandlerError::retry(error),
    })?;
    let audited = summary(&report, steps.took_ms());
    if audited.unreachable > 0 {
        let lost = audited.unreachable;
        let error = HandlerError::do_not_retry(format!("{lost} jobs had no ticket and would never have started"));
        let detail = serde_json::to_string(&audited).unwrap_or_default();
        return Err(error.with_detail(detail));
    }
    Ok(audited)
}

fn summary(report: &AuditReport, took_ms: u64) -> Audited {
    let queues = &report.queues;
    Audited {
        queues: queues.len(),
        queues_left_out: queues.iter().filter(|queue| !queue.compared).count(),
        jobs: queues.iter().map(|queue| queue.jobs).sum(),
        tickets: queues.iter().map(|queue| queue.tickets).sum(),
        unreachable: queues.iter().map(|queue| queue.unreachable.count).sum(),
        abandoned: queues.iter().map(|queue| queue.abandoned.count).sum(),
        settled: queues.iter().map(|queue| queue.settled.count).sum(),
        complete: report.complete,
        took_ms,
    }
}

/// What a payload says, or what holds where it says nothing.
fn days(field: &str, asked: Option<u32>, default: u32) -> Result<u32, HandlerError> {
    let days = asked.unwrap_or(default);
    if days > DAYS_MAX {
        return Err(HandlerError::do_not_retry(format!("`{field}` must be at most {DAYS_MAX}; 0 is for ever")));
    }
    Ok(days)
}

/// So many days ago; `None` when everything is kept.
fn before(now: Timestamp, days: u32) -> Option<Timestamp> {
    (days > 0).then(|| now.minus(Duration::from_secs(u64::from(days) * 24 * 3_600)))
}
