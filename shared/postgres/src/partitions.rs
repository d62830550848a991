//! Partitions: one per day and table, made ahead of time, or when a row wants one that is missing.

use crate::{
    error::wants_partition,
    pool::{Connections, in_time},
};
use chrono::NaiveDate;
use haul_core::{JobId, ledger::Result};
use sqlx::postgres::PgConnection;
use std::collections::BTreeSet;

/// How many days are prepared: yesterday, for clocks that are behind, and two weeks, for the sake of applications that
/// enqueue in their own transactions while none of our processes runs.
const DAYS_BEFORE: i32 = 1;
const DAYS_AFTER: i32 = 14;

/// Makes the partitions around today that are missing.
pub(crate) async fn prepare_missing(connection: &mut PgConnection) -> sqlx::Result<()> {
    let days = sqlx::query_file!("sql/missing_days.sql", DAYS_BEFORE, DAYS_AFTER);
    for day in days.fetch_all(&mut *connection).await? {
        prepare_day(connection, day.day).await?;
    }
    Ok(())
}

async fn prepare_day(connection: &mut PgConnection, day: NaiveDate) -> sqlx::Result<()> {
    let made = sqlx::query_file!("sql/prepare_day.sql", day).fetch_one(connection).await?.made;
    if made {
        tracing::info!(%day, "made the partitions of a day");
    }
    Ok(())
}

/// [`prepare_missing`] on a connection of its own.
pub(crate) async fn prepare_ahead(connections: &Connections) -> Result<()> {
    let mut lent = connections.lend().await?;
    // Each day is a transaction of its own, bounded by the session's timeouts.
    in_time(lent.patience() * 4, prepare_missing(lent.connection())).await?;
    lent.give_back();
    Ok(())
}

/// Whether the failure was the want of a partition, which is there now: then the rows are to be sent again.
pub(crate) async fn made_for<T>(connections: &Connections, answer: &Result<T>, ids: &[JobId]) -> Result<bool> {
    if !answer.as_ref().is_err_and(wants_partition) {
        return Ok(false);
    }
    let days: BTreeSet<NaiveDate> = ids.iter().map(|id| id.created_at().to_chrono().date_naive()).collect();
    let mut lent = connections.lend().await?;
    for day in days {
        in_time(lent.patience(), prepare_day(lent.connection(), day)).await?;
    }
    lent.give_back();
    Ok(true)
}
