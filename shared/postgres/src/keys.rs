//! Idempotency keys of what is no job: of schedules and endpoints, which are made one at a time.

use haul_core::{
    JobId,
    ledger::{Accepted, Idempotency},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// Takes a key for what is about to be made under this id, or tells whose it is. The key is taken when the transaction is
/// committed, and left free when it is rolled back; another transaction that wants it waits until then.
pub(crate) async fn take(
    connection: &mut PgConnection,
    tenant: &str,
    asked: &Idempotency,
    id: Uuid,
) -> sqlx::Result<Accepted> {
    let Idempotency { key, fingerprint, lifetime } = asked;
    let lifetime_ms = i32::try_from(lifetime.as_millis()).unwrap_or(i32::MAX);
    let take = sqlx::query_file!("sql/key_take.sql", tenant, key, fingerprint, id, f64::from(lifetime_ms));
    let known = take.fetch_one(connection).await?;
    Ok(match known.job == id {
        true => Accepted::New,
        false if known.fingerprint == fingerprint => Accepted::Replayed(JobId(known.job)),
        false => Accepted::KeyReused,
    })
}
