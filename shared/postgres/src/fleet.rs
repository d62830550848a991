//! The fleet: processes, and what they tell.

use crate::pool::{Connections, ask};
use haul_core::{
    JobId, ProcessId, Timestamp,
    fleet::{About, Member, RECEIPTS_COUNTED_MAX, Receipts, Report},
    ledger::Result,
};

pub(crate) async fn report(connections: &Connections, report: &Report) -> Result<()> {
    let about = report.about.to_text();
    ask!(connections, c => sqlx::query_file!("sql/report.sql", report.id.0, report.role, about).execute(c))?;
    Ok(())
}

pub(crate) async fn alive(connections: &Connections, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>> {
    let (after, limit) = (after.unwrap_or(ProcessId::NOBODY), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = ask!(connections, c => sqlx::query_file!("sql/alive.sql", after.0, limit).fetch_all(c))?;
    let members = rows.into_iter().map(|row| Member {
        report: Report { id: ProcessId(row.id), role: row.role, about: About::from_text(&row.about) },
        since: Timestamp::from(row.since),
        seen: Timestamp::from(row.alive_at),
    });
    Ok(members.collect())
}

pub(crate) async fn receipts(connections: &Connections) -> Result<Receipts> {
    let max = i64::try_from(RECEIPTS_COUNTED_MAX).unwrap_or(i64::MAX);
    let row = ask!(connections, c => sqlx::query_file!("sql/count_receipts.sql", max).fetch_one(c))?;
    Ok(Receipts { count: row.count.unsigned_abs(), oldest: row.oldest.map(|id| JobId(id).created_at()) })
}
