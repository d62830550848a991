//! The fleet: one process at a time, and those that were there a moment ago.

use super::{SqliteLedger, error::ledger_error};
use async_trait::async_trait;
use haul_core::{
    Fleet, JobId, ProcessId, Timestamp,
    fleet::{About, GONE_AFTER, Member, RECEIPTS_COUNTED_MAX, Receipts, Report},
    ledger::Result,
};
use uuid::Uuid;

#[async_trait]
impl Fleet for SqliteLedger {
    async fn report(&self, report: &Report) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let (now, about) = (self.clock.now().as_ms(), report.about.to_text());
        let told = sqlx::query_file!("sql/report.sql", report.id.0, report.role, now, about);
        told.execute(&mut tx.conn).await.map_err(ledger_error)?;
        tx.commit().await
    }

    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
        let after = after.unwrap_or(ProcessId::NOBODY);
        let since = self.clock.now().minus(GONE_AFTER).as_ms();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query_file!("sql/alive.sql", after.0, since, limit).fetch_all(&self.readers).await;
        let members = rows.map_err(ledger_error)?.into_iter().map(|row| Member {
            report: Report { id: ProcessId(row.id), role: row.role, about: About::from_text(&row.about) },
            since: Timestamp::from_ms(row.since),
            seen: Timestamp::from_ms(row.alive_at),
        });
        Ok(members.collect())
    }

    async fn receipts(&self) -> Result<Receipts> {
        let max = i64::try_from(RECEIPTS_COUNTED_MAX).unwrap_or(i64::MAX);
        let row = sqlx::query_file!("sql/count_receipts.sql", max).fetch_one(&self.readers).await;
        let row = row.map_err(ledger_error)?;
        let oldest = row.oldest.map(|id| JobId(id).created_at());
        Ok(Receipts { count: row.count.unsigned_abs(), oldest })
    }
}
