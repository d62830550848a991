//! A defect on demand, to show that the checker of `cargo xtask faults` finds it: `HAUL_BROKEN=overwrite-outcome`.

use super::{Batch, OUTCOME, Slot};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::HashSet;
use uuid::Uuid;

const OVERWRITE: &str = "ON CONFLICT (id) DO UPDATE SET finished_at = excluded.finished_at, \
    attempt = excluded.attempt, state = excluded.state, result = excluded.result, error = excluded.error \
    RETURNING id";

/// Whether a later outcome is to take the place of an earlier one.
#[expect(clippy::disallowed_methods, reason = "a switch of a build that is broken on purpose; no setting of Haul")]
pub(super) fn overwrites() -> bool {
    std::env::var("HAUL_BROKEN").is_ok_and(|defect| defect == "overwrite-outcome")
}

/// Writes a plain batch over whatever is there.
pub(super) async fn overwrite(batch: &Batch<'_>, connection: &mut PgConnection) -> sqlx::Result<HashSet<Slot>> {
    let statement = include_str!("../../sql/record_outcomes.sql").replace("RETURNING id", OVERWRITE);
    let outcomes = &batch.outcomes;
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&outcomes.ids)
        .bind(&outcomes.ats)
        .bind(&outcomes.attempts)
        .bind(&outcomes.states)
        .bind(&outcomes.tenants)
        .bind(&outcomes.results)
        .bind(&outcomes.errors)
        .bind(&outcomes.details)
        .bind(batch.low)
        .bind(batch.high)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get::<Uuid, _>(0)?, OUTCOME))).collect()
}
