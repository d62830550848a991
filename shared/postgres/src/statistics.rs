//! Statistics: one hour and one statement at a time, by whoever holds the round's row.

use crate::{
    error::corrupt,
    ledger::PostgresLedger,
    pool::{ask, in_time},
};
use async_trait::async_trait;
use haul_core::{
    JobId, Kind, QueueRef, Statistics, Timestamp,
    ledger::Result,
    maintenance::Progress,
    statistics::{Figures, HOUR, HOURS_MAX, Hour, ROUNDS, hour_of, ids_of, uncounted_from},
};
use sqlx::{Connection, PgConnection};

#[async_trait]
impl Statistics for PostgresLedger {
    async fn count_hour(&self) -> Result<Progress> {
        let mut lent = self.shared().connections.lend().await?;
        let patience = lent.patience();
        for (round, after) in (1..).zip(ROUNDS) {
            let counted = in_time(patience * 2, count(lent.connection(), round, after)).await?;
            if let Some(done) = counted {
                lent.give_back();
                // Another round may wait, too: whoever asks again is told.
                return Ok(Progress { done, more: true });
            }
        }
        lent.give_back();
        Ok(Progress::default())
    }

    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let expired = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/statistic_expire.sql", before.to_chrono(), limit).execute(c)
        })?;
        let done = expired.rows_affected();
        Ok(Progress { done, more: i64::try_from(done).is_ok_and(|done| done == limit) })
    }

    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>> {
        let (tenant, name, kind) = (queue.tenant.as_str(), queue.queue.as_str(), kind.map(Kind::as_str));
        let (from, to) = (from.to_chrono(), to.to_chrono());
        let limit = i64::try_from(HOURS_MAX).unwrap_or(i64::MAX);
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/statistic_hours.sql", tenant, name, kind, from, to, limit).fetch_all(c)
        })?;
        let count = |number: i64| u64::try_from(number).map_err(corrupt);
        let mut hours = Vec::with_capacity(rows.len());
        for row in rows {
            let figures = Figures {
                accepted: count(row.accepted)?,
                succeeded: count(row.succeeded)?,
                dead: count(row.dead)?,
                cancelled: count(row.cancelled)?,
                failures: count(row.failures)?,
                took_ms_sum: count(row.took_ms_sum)?,
                took_ms_max: count(row.took_ms_max)?,
            };
            hours.push(Hour { at: row.hour.into(), figures });
        }
        Ok(hours)
    }
}

/// Counts the round's next hour. `None` when there is none, or another process is at it.
async fn count(connection: &mut PgConnection, round: i16, after: std::time::Duration) -> sqlx::Result<Option<u64>> {
    let mut transaction = connection.begin().await?;
    let place = sqlx::query_file!("sql/statistic_round.sql", round).fetch_optional(&mut *transaction).await?;
    let place = place.map(|row| (Timestamp::from(row.next_hour), uncounted_from(row.now.into(), after)));
    let Some((from, until)) = place.filter(|(from, until)| from < until) else {
        transaction.rollback().await?;
        return Ok(None);
    };
    let next = sqlx::query_file!("sql/statistic_next_job.sql", JobId::floor(from).0);
    let next = next.fetch_optional(&mut *transaction).await?;
    let hour = next.map(|job| hour_of(JobId(job.id).created_at())).filter(|hour| *hour < until);
    let mut done = 0;
    if let Some(hour) = hour {
        let (first, end) = ids_of(hour);
        let count = sqlx::query_file!("sql/statistic_count.sql", hour.to_chrono(), first.0, end.0);
        done = count.execute(&mut *transaction).await?.rows_affected();
    }
    let next_hour = hour.map_or(until, |hour| hour.plus(HOUR)).to_chrono();
    sqlx::query_file!("sql/statistic_round_moved.sql", round, next_hour).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some(done))
}
