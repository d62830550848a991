//! Receipts, and the heartbeats that tell whose receipts were left behind.

use crate::pool::{Connections, ask};
use haul_core::{
    JobId, ProcessId,
    ledger::{ProcessInfo, Receipt, ReceiptId, Result},
};
use uuid::Uuid;

/// Idempotency keys forgotten per statement, and statements per call.
const KEYS_FORGOTTEN_MAX: u64 = 5_000;
const FORGET_ROUNDS_MAX: u32 = 10;

pub(crate) async fn drop_receipts(connections: &Connections, receipts: &[ReceiptId]) -> Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    ask!(connections, c => sqlx::query_file!("sql/drop_receipts.sql", &sorted(receipts)).execute(c))?;
    Ok(())
}

pub(crate) async fn release_receipts(connections: &Connections, receipts: &[ReceiptId]) -> Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    ask!(connections, c => sqlx::query_file!("sql/release_receipts.sql", &sorted(receipts)).execute(c))?;
    Ok(())
}

pub(crate) async fn take_receipts(connections: &Connections, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = ask!(connections, c => sqlx::query_file!("sql/take_receipts.sql", taker.0, limit).fetch_all(c))?;
    let receipt = |id| ReceiptId(JobId(id));
    let mut receipts: Vec<Receipt> = rows
        .into_iter()
        .map(|row| Receipt {
            id: receipt(row.id),
            first: JobId(row.first),
            last: JobId(row.last),
            is_final: row.is_final,
        })
        .collect();
    receipts.sort_unstable_by_key(|receipt| receipt.id);
    Ok(receipts)
}

pub(crate) async fn heartbeat(connections: &Connections, process: &ProcessInfo) -> Result<()> {
    ask!(connections, c => sqlx::query_file!("sql/heartbeat.sql", process.id.0, process.role).execute(c))?;
    Ok(())
}

/// Forgets expired idempotency keys and processes that are long gone. Bounded work.
pub(crate) async fn forget(connections: &Connections) -> Result<()> {
    let (mut forgotten, mut rounds) = (KEYS_FORGOTTEN_MAX, 0);
    while forgotten == KEYS_FORGOTTEN_MAX && rounds < FORGET_ROUNDS_MAX {
        let limit = i64::try_from(KEYS_FORGOTTEN_MAX).unwrap_or(i64::MAX);
        let done = ask!(connections, c => sqlx::query_file!("sql/forget_keys.sql", limit).execute(c))?;
        forgotten = done.rows_affected();
        rounds += 1;
    }
    ask!(connections, c => sqlx::query_file!("sql/forget_processes.sql").execute(c))?;
    Ok(())
}

/// In the order in which everybody locks them.
fn sorted(receipts: &[ReceiptId]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = receipts.iter().map(|receipt| receipt.0.0).collect();
    ids.sort_unstable();
    ids
}
