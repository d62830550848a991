//! Receipts: which batches may still have to reach the dispatch, and who sees to it.

use super::{error::ledger_error, rows::hex, writer::Writer};
use haul_core::{
    JobId, ProcessId, Timestamp,
    ledger::{ProcessInfo, Receipt, ReceiptId, Result},
};
use sqlx::SqliteConnection;
use uuid::Uuid;

/// Writes a batch's receipt.
pub(super) async fn give(
    conn: &mut SqliteConnection,
    receipt: ReceiptId,
    last: JobId,
    owner: ProcessId,
    now: Timestamp,
) -> Result<()> {
    let now = now.as_ms();
    let give = sqlx::query_file!("sql/accept_receipt.sql", receipt.0.0, owner.0, last.0, now);
    give.execute(conn).await.map_err(ledger_error)?;
    Ok(())
}

pub(super) async fn drop(writer: &Writer, receipts: &[ReceiptId]) -> Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    let mut tx = writer.begin().await?;
    drop_within(&mut tx.conn, receipts).await?;
    tx.commit().await
}

/// The same, within a transaction.
pub(super) async fn drop_within(conn: &mut SqliteConnection, receipts: &[ReceiptId]) -> Result<()> {
    if !receipts.is_empty() {
        let names = hex(receipts.iter().map(|receipt| &receipt.0));
        sqlx::query_file!("sql/receipts_drop.sql", names).execute(conn).await.map_err(ledger_error)?;
    }
    Ok(())
}

pub(super) async fn release(writer: &Writer, receipts: &[ReceiptId]) -> Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    let mut tx = writer.begin().await?;
    let names = hex(receipts.iter().map(|receipt| &receipt.0));
    sqlx::query_file!("sql/receipts_release.sql", names).execute(&mut tx.conn).await.map_err(ledger_error)?;
    tx.commit().await
}

pub(super) async fn take(writer: &Writer, taker: ProcessId, limit: usize, now: Timestamp) -> Result<Vec<Receipt>> {
    let mut tx = writer.begin().await?;
    let (now, limit) = (now.as_ms(), i64::try_from(limit).unwrap_or(i64::MAX));
    let taken = sqlx::query_file!("sql/receipts_take.sql", taker.0, now, limit).fetch_all(&mut tx.conn).await;
    let taken = taken.map_err(ledger_error)?.into_iter().map(|row| Receipt {
        id: ReceiptId(JobId(row.id)),
        first: JobId(row.first),
        last: JobId(row.last),
        is_final: row.sweeps > 1,
    });
    let taken = taken.collect();
    // When nothing was taken, nothing is written: this is asked every second.
    tx.commit().await?;
    Ok(taken)
}

pub(super) async fn heartbeat(writer: &Writer, process: &ProcessInfo, now: Timestamp) -> Result<()> {
    let mut tx = writer.begin().await?;
    let (role, now) = (process.role.as_str(), now.as_ms());
    let beat = sqlx::query_file!("sql/heartbeat.sql", process.id.0, role, now);
    beat.execute(&mut tx.conn).await.map_err(ledger_error)?;
    tx.commit().await
}
