//! A defect on demand, to show that the checker of `cargo xtask faults` finds it: `HAUL_BROKEN=fire-unguarded`.

use super::steps::StepColumns;
use crate::columns::JobColumns;
use haul_core::{ProcessId, schedules::ScheduleId};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::HashSet;
use uuid::Uuid;

/// What guards a step: where its schedule is looked up, and where it is moved.
const GUARDS: [&str; 2] = [
    "WHERE schedule.version = asked.version AND NOT schedule.paused AND schedule.fired_through = asked.origin",
    "AND schedule.version = step.version AND NOT schedule.paused\n        AND schedule.fired_through = step.origin",
];

/// Whether steps are to be taken wherever their schedules are.
#[expect(clippy::disallowed_methods, reason = "a switch of a build that is broken on purpose; no setting of Haul")]
pub(super) fn fires_unguarded() -> bool {
    std::env::var("HAUL_BROKEN").is_ok_and(|defect| defect == "fire-unguarded")
}

/// Takes steps without asking where their schedules are.
pub(super) async fn fire(
    steps: &StepColumns<'_>,
    jobs: &JobColumns<'_>,
    of: &[Uuid],
    connection: &mut PgConnection,
    owner: ProcessId,
    done: &[Uuid],
) -> sqlx::Result<HashSet<ScheduleId>> {
    let statement = include_str!("../../sql/schedule_fire.sql");
    let rows =
        sqlx::query(AssertSqlSafe(GUARDS.iter().fold(statement.to_owned(), |sql, guard| sql.replace(guard, ""))))
            .bind(&steps.schedules)
            .bind(&steps.versions)
            .bind(&steps.origins)
            .bind(&steps.targets)
            .bind(&steps.next_ats)
            .bind(&steps.last_jobs)
            .bind(&steps.counts)
            .bind(&steps.problems)
            .bind(&jobs.ids)
            .bind(&jobs.run_ats)
            .bind(&jobs.priorities)
            .bind(&jobs.tenants)
            .bind(&jobs.queues)
            .bind(&jobs.kinds)
            .bind(&jobs.payloads)
            .bind(&jobs.options)
            .bind(of)
            .bind(owner.0)
            .bind(done)
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| Ok(ScheduleId(row.try_get(0)?))).collect()
}
