//! Idempotency keys: requests under one key are one request.

use super::{error::ledger_error, rows::Rows, writer::Writer};
use haul_core::{
    JobId, Timestamp,
    ledger::{Accepted, Idempotency, NewJob, Result},
};
use sqlx::SqliteConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Expired keys that are deleted in passing.
pub(super) const FORGET_MAX: usize = 5_000;

/// A batch, measured against the keys that are known.
pub(super) struct Measured<'a> {
    /// One per job.
    pub(super) answers: Vec<Accepted>,
    /// The new ones that carry a key.
    pub(super) taken: Vec<Taken<'a>>,
}

/// A key that is free, and whose it becomes.
pub(super) struct Taken<'a> {
    tenant: &'a str,
    key: &'a str,
    fingerprint: &'a [u8; 32],
    job: JobId,
    expires_at: Timestamp,
}

struct Known {
    fingerprint: Vec<u8>,
    job: JobId,
}

impl Known {
    /// What it means for a request of that fingerprint, to become that job.
    fn answer(&self, fingerprint: &[u8; 32], job: JobId) -> Accepted {
        if self.job == job {
            Accepted::New
        } else if self.fingerprint == fingerprint {
            Accepted::Replayed(self.job)
        } else {
            Accepted::KeyReused
        }
    }
}

/// Decides what becomes of each job: against the stored keys, and against those of earlier jobs of the batch.
pub(super) async fn measure<'a>(
    conn: &mut SqliteConnection,
    jobs: &'a [NewJob],
    now: Timestamp,
) -> Result<Measured<'a>> {
    let asked =
        jobs.iter().filter_map(|NewJob { job, idempotency }| Some((job.tenant.as_str(), idempotency.as_ref()?)));
    let mut known = known(conn, asked, now).await?;
    let mut taken = Vec::new();
    let answers = jobs.iter().map(|NewJob { job, idempotency }| {
        let Some(asked) = idempotency else { return Accepted::New };
        let slot = (job.tenant.as_str().to_owned(), asked.key.clone());
        if let Some(known) = known.get(&slot) {
            return known.answer(&asked.fingerprint, job.id);
        }
        known.insert(slot, Known { fingerprint: asked.fingerprint.to_vec(), job: job.id });
        taken.push(Taken {
            tenant: job.tenant.as_str(),
            key: &asked.key,
            fingerprint: &asked.fingerprint,
            job: job.id,
            expires_at: now.plus(asked.lifetime),
        });
        Accepted::New
    });
    let answers = answers.collect();
    Ok(Measured { answers, taken })
}

/// Takes the key of one request, if it is free; otherwise tells what it means that it is not.
pub(super) async fn take_one(
    conn: &mut SqliteConnection,
    tenant: &str,
    asked: &Idempotency,
    id: JobId,
    now: Timestamp,
) -> Result<Accepted> {
    let known = known(conn, std::iter::once((tenant, asked)), now).await?;
    if let Some(known) = known.into_values().next() {
        return Ok(known.answer(&asked.fingerprint, id));
    }
    let Idempotency { key, fingerprint, lifetime } = asked;
    take(conn, vec![Taken { tenant, key, fingerprint, job: id, expires_at: now.plus(*lifetime) }]).await?;
    Ok(Accepted::New)
}

/// The keys that are not free. One whose job was dropped is: jobs of closed days are looked for.
async fn known(
    conn: &mut SqliteConnection,
    keys: impl Iterator<Item = (&str, &Idempotency)>,
    now: Timestamp,
) -> Result<HashMap<(String, String), Known>> {
    let mut asked = Rows::default();
    for (tenant, idempotency) in keys {
        asked.add(|row| {
            row.name(tenant).bytes(Some(idempotency.key.as_bytes()));
        });
    }
    let now = now.as_ms();
    let retention = sqlx::query_file!("sql/retention.sql").fetch_one(&mut *conn).await.map_err(ledger_error)?;
    let closed_before = retention.closed_before;
    let mut known = HashMap::new();
    for chunk in asked.chunks() {
        let query = sqlx::query_file!("sql/keys_known.sql", chunk.rows, chunk.data, now, closed_before);
        for row in query.fetch_all(&mut *conn).await.map_err(ledger_error)? {
            known.insert((row.tenant, row.key), Known { fingerprint: row.fingerprint, job: JobId(row.job) });
        }
    }
    Ok(known)
}

pub(super) async fn take(conn: &mut SqliteConnection, taken: Vec<Taken<'_>>) -> Result<()> {
    let mut rows = Rows::default();
    for taken in taken {
        rows.add(|row| {
            row.name(taken.tenant)
                .bytes(Some(taken.key.as_bytes()))
                .bytes(Some(taken.fingerprint))
                .id(taken.job)
                .time(taken.expires_at);
        });
    }
    for chunk in rows.chunks() {
        let take = sqlx::query_file!("sql/keys_take.sql", chunk.rows, chunk.data);
        take.execute(&mut *conn).await.map_err(ledger_error)?;
    }
    Ok(())
}

/// Deletes some of the keys that have expired; they are not in the way, but they take room. Returns how many.
pub(super) async fn forget(writer: &Writer, now: Timestamp, limit: usize) -> Result<u64> {
    let mut tx = writer.begin().await?;
    let (now, limit) = (now.as_ms(), i64::try_from(limit).unwrap_or(i64::MAX));
    let forget = sqlx::query_file!("sql/keys_forget.sql", now, limit);
    let forgotten = forget.execute(&mut tx.conn).await.map_err(ledger_error)?.rows_affected();
    tx.commit().await?;
    Ok(forgotten)
}
