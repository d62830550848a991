//! The schedules that come along. Each is created once, by whichever process is first; from then on it is its operator's.

use crate::{QUEUE, Tools};
use bytes::Bytes;
use haul_core::{
    JobOptions, JobTemplate, Kind, Priority, Queue, RetryPolicy, ScheduleName, Schedules, Span, Tenant, Timestamp,
    ledger::Result,
    schedules::{Definition, NewSchedule, ScheduleId, ScheduleRef},
};
use haul_schedule::{Overlap, ScheduleSpec};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Kinds, which are the names of their schedules too, and when they run, in UTC: apart from each other, and from the full
/// hour, at which everybody else's schedules fire.
const ALWAYS: [(&str, &str); 6] = [
    ("maintenance.partitions", "37 */6 * * *"),
    ("maintenance.statistics", "6 * * * *"),
    ("maintenance.audit", "41 3 * * *"),
    ("maintenance.retention", "17 * * * *"),
    ("maintenance.keys", "27 * * * *"),
    ("maintenance.analyze", "47 * * * *"),
];
const WHERE_PAYMENTS_ARE_MADE: [(&str, &str); 1] = [("maintenance.reconcile_payments", "52 * * * *")];
const WHERE_PAYLOADS_ARE_ERASED: [(&str, &str); 1] = [("maintenance.payloads", "57 * * * *")];

/// More than a run begins steps for, and enough for a long one to end.
const TIMEOUT: Span = Span::from_secs(20 * 60);
/// Some minutes, and then the next tick is as good: a failure is to be seen.
const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 5,
    base: Span::from_secs(10),
    cap: Span::from_secs(300),
    max_age: Span::from_secs(3_600),
};
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Creates those schedules that no version has brought along before, and tells how many these were. What was edited,
/// paused or deleted since stays so.
pub async fn bring(schedules: &dyn Schedules, tools: &Tools) -> Result<usize> {
    let now = tools.ledger.now().await?;
    let mut created = 0;
    for (name, cron) in wanted(tools) {
        match new_schedule(name, cron, now) {
            Ok(new) => created += usize::from(schedules.create_once(&new).await?),
            // The tests know all of them.
            Err(error) => tracing::error!(schedule = name, "a schedule that comes along is refused: {error}"),
        }
    }
    Ok(created)
}

/// Brings them along as soon as the ledger answers. Ends with that, or with `stop`.
pub async fn bring_patiently(schedules: &dyn Schedules, tools: &Tools, stop: CancellationToken) {
    let mut pause = RETRY_MIN;
    loop {
        match bring(schedules, tools).await {
            Ok(0) => return,
            Ok(created) => return tracing::info!(created, "maintenance is scheduled; see docs/maintenance.md"),
            Err(error) if pause == RETRY_MIN => {
                tracing::warn!(error = &error as &dyn std::error::Error, "maintenance cannot be scheduled yet");
            }
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "still not"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
        }
    }
}

fn wanted(tools: &Tools) -> Vec<(&'static str, &'static str)> {
    let mut wanted = ALWAYS.to_vec();
    if tools.config.payload_days > 0 {
        wanted.extend(WHERE_PAYLOADS_ARE_ERASED);
    }
    if tools.reconciles {
        wanted.extend(WHERE_PAYMENTS_ARE_MADE);
    }
    wanted
}

fn new_schedule(
    name: &str,
    cron: &str,
    now: Timestamp,
) -> std::result::Result<NewSchedule, Box<dyn std::error::Error + Send + Sync>> {
    // A run that is still at it needs no second one beside it.
    let spec = ScheduleSpec { overlap: Some(Overlap::Skip), ..ScheduleSpec::cron(cron, "UTC") };
    let template = JobTemplate {
        kind: Kind::new(name)?,
        queue: Queue::new(QUEUE)?,
        priority: Priority::default(),
        payload: Bytes::from_static(b"{}"),
        options: JobOptions { timeout: TIMEOUT, retry: RETRY, ..JobOptions::default() },
    };
    Ok(NewSchedule {
        id: ScheduleId::new(now),
        key: ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new(name)? },
        definition: Definition { spec: serde_json::to_string(&spec)?, template: template.encode()?, source: None },
        position: spec.validate()?.begin(now),
        paused: false,
        idempotency: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_that_comes_along_is_valid_and_fires() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        for (name, cron) in ALWAYS.into_iter().chain(WHERE_PAYLOADS_ARE_ERASED).chain(WHERE_PAYMENTS_ARE_MADE) {
            let new = new_schedule(name, cron, now).unwrap();
            assert!(new.position.next_at.is_some_and(|at| at > now), "{name}");
            assert_eq!(JobTemplate::decode(&new.definition.template).unwrap().kind.as_str(), name);
        }
    }
}
