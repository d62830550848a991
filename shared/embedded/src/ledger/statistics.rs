//! Statistics: an hour is counted by a reader, so that no write waits for it, and kept by the writer.

use super::{
    SqliteLedger,
    error::{corrupt, ledger_error},
};
use async_trait::async_trait;
use haul_core::{
    JobId, Kind, QueueRef, Statistics, Timestamp,
    ledger::Result,
    maintenance::Progress,
    statistics::{Figures, HOUR, HOURS_MAX, Hour, ROUNDS, hour_of, ids_of, uncounted_from},
};
use uuid::Uuid;

/// A round that has an hour to count.
struct Turn {
    round: i64,
    /// Where it is.
    from: Timestamp,
    /// The next hour that has jobs; `None` when there is none before `until`.
    hour: Option<Timestamp>,
    until: Timestamp,
}

/// What an hour of a queue and kind has come to.
struct Counted {
    tenant: String,
    queue: String,
    kind: String,
    accepted: i64,
    succeeded: i64,
    dead: i64,
    cancelled: i64,
    failures: i64,
    took_ms_sum: i64,
    took_ms_max: i64,
}

#[async_trait]
impl Statistics for SqliteLedger {
    async fn count_hour(&self) -> Result<Progress> {
        let Some(turn) = self.next_turn().await? else { return Ok(Progress::default()) };
        let next = turn.hour.map_or(turn.until, |hour| hour.plus(HOUR));
        let counted = match turn.hour {
            Some(hour) => self.counted(hour).await?,
            None => Vec::new(),
        };
        let mut tx = self.writer.begin().await?;
        let (from, next_ms) = (turn.from.as_ms(), next.as_ms());
        let moved = sqlx::query_file!("sql/statistic_round_moved.sql", turn.round, from, next_ms);
        if moved.execute(&mut tx.conn).await.map_err(ledger_error)?.rows_affected() == 0 {
            tx.leave().await?;
            return Ok(Progress { done: 0, more: true });
        }
        let hour = turn.hour.unwrap_or_default().as_ms();
        for row in &counted {
            let save = sqlx::query_file!(
                "sql/statistic_save.sql",
                hour,
                row.tenant,
                row.queue,
                row.kind,
                row.accepted,
                row.succeeded,
                row.dead,
                row.cancelled,
                row.failures,
                row.took_ms_sum,
                row.took_ms_max
            );
            save.execute(&mut tx.conn).await.map_err(ledger_error)?;
        }
        tx.commit().await?;
        // Another round may wait, too: whoever asks again is told.
        Ok(Progress { done: counted.len() as u64, more: true })
    }

    async fn expire_hours(&self, before: Timestamp, limit: usize) -> Result<Progress> {
        let (before, limit) = (before.as_ms(), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut tx = self.writer.begin().await?;
        let expire = sqlx::query_file!("sql/statistic_expire.sql", before, limit).execute(&mut tx.conn).await;
        let done = expire.map_err(ledger_error)?.rows_affected();
        tx.commit().await?;
        Ok(Progress { done, more: i64::try_from(done).is_ok_and(|done| done == limit) })
    }

    async fn hours(&self, queue: &QueueRef, kind: Option<&Kind>, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>> {
        let (tenant, name, kind) = (queue.tenant.as_str(), queue.queue.as_str(), kind.map(Kind::as_str));
        let (from, to, limit) = (from.as_ms(), to.as_ms(), i64::try_from(HOURS_MAX).unwrap_or(i64::MAX));
        let rows = sqlx::query_file!("sql/statistic_hours.sql", tenant, name, kind, from, to, limit);
        let rows = rows.fetch_all(&self.readers).await.map_err(ledger_error)?;
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
            hours.push(Hour { at: Timestamp::from_ms(row.hour), figures });
        }
        Ok(hours)
    }
}

impl SqliteLedger {
    /// The first round that has something to do.
    async fn next_turn(&self) -> Result<Option<Turn>> {
        let now = self.clock.now();
        let rounds = sqlx::query_file!("sql/statistic_rounds.sql").fetch_all(&self.readers).await;
        for (round, after) in rounds.map_err(ledger_error)?.into_iter().zip(ROUNDS) {
            let (from, until) = (Timestamp::from_ms(round.next_hour), uncounted_from(now, after));
            if from >= until {
                continue;
            }
            let (first, end) = (JobId::floor(from), JobId::floor(until));
            let next = sqlx::query_file!("sql/close_next.sql", first.0, end.0).fetch_optional(&self.readers).await;
            let hour = next.map_err(ledger_error)?.map(|job| hour_of(JobId(job.id).created_at()));
            return Ok(Some(Turn { round: round.round, from, hour, until }));
        }
        Ok(None)
    }

    async fn counted(&self, hour: Timestamp) -> Result<Vec<Counted>> {
        let (first, end) = ids_of(hour);
        let rows = sqlx::query_file_as!(Counted, "sql/statistic_count.sql", first.0, end.0);
        rows.fetch_all(&self.readers).await.map_err(ledger_error)
    }
}
