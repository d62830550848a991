//! Accepting: jobs, their keys, their queues and one receipt, in one transaction.

use super::{
    error::ledger_error,
    job, keys, queues, receipts, retention,
    rows::hex,
    writer::{Tx, Writer},
};
use haul_core::{
    Job, JobId, ProcessId, Timestamp,
    ledger::{Accepted, BatchAccepted, NewJob, ReceiptId, Result},
};

pub(super) async fn accept(
    writer: &Writer,
    jobs: &[NewJob],
    owner: ProcessId,
    done: &[ReceiptId],
    now: Timestamp,
) -> Result<BatchAccepted> {
    if jobs.is_empty() && done.is_empty() {
        return Ok(BatchAccepted { jobs: Vec::new(), receipt: None });
    }
    let mut tx = writer.begin().await?;
    let measured = keys::measure(&mut tx.conn, jobs, now).await?;
    let new = jobs.iter().zip(&measured.answers).filter(|(_, answer)| **answer == Accepted::New);
    let new: Vec<&Job> = new.map(|(new, _)| &new.job).collect();
    let unknown = match queues::unknown(&tx.kinds, &new) {
        Ok(unknown) => unknown,
        Err(refusal) => {
            tx.leave().await?;
            return Err(refusal);
        }
    };
    queues::learn(&mut tx, unknown, now).await?;
    let receipt = store(&mut tx, new, owner, now).await?;
    keys::take(&mut tx.conn, measured.taken).await?;
    receipts::drop_within(&mut tx.conn, done).await?;
    tx.commit().await?;
    Ok(BatchAccepted { jobs: measured.answers, receipt })
}

/// Stores jobs of known queues with one receipt; `None` when there are none. Refused, the transaction is to be dropped.
pub(super) async fn store(
    tx: &mut Tx<'_>,
    mut jobs: Vec<&Job>,
    owner: ProcessId,
    now: Timestamp,
) -> Result<Option<ReceiptId>> {
    // In order of id, rows are appended to the file; and the ends are the receipt's range.
    jobs.sort_unstable_by_key(|job| job.id);
    jobs.dedup_by_key(|job| job.id);
    let (Some(first), Some(last)) = (jobs.first().map(|job| job.id), jobs.last().map(|job| job.id)) else {
        return Ok(None);
    };
    retention::refuse_late(tx, jobs.iter().map(|job| job.id)).await?;
    job::insert(&mut tx.conn, &jobs).await?;
    let late: Vec<&JobId> = jobs.iter().map(|job| &job.id).take_while(|id| **id < tx.closed_through).collect();
    if !late.is_empty() {
        let late = hex(late);
        sqlx::query_file!("sql/accept_late.sql", late).execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    receipts::give(&mut tx.conn, ReceiptId(first), last, owner, now).await?;
    Ok(Some(ReceiptId(first)))
}
