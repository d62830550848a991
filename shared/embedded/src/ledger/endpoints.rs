//! Endpoints: one row each. Nobody else writes, so that each change looks first and then writes.

use super::{
    SqliteLedger,
    error::{corrupt, ledger_error},
    keys,
};
use async_trait::async_trait;
use haul_core::{
    JobId, Tenant, Timestamp,
    endpoints::{
        Changed, Created, Delivered, Disabled, ENDPOINTS_MAX, Edit, Endpoint, EndpointId, EndpointSettings, Endpoints,
        Keyring, NewEndpoint,
    },
    ledger::{Accepted, LedgerError, Result},
};
use sqlx::SqliteConnection;
use uuid::Uuid;

/// A row of the table `endpoint`.
struct Row {
    tenant: String,
    id: Uuid,
    version: i64,
    settings: String,
    keys: String,
    disabled: Option<String>,
    failing_since: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Endpoint {
    type Error = LedgerError;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: EndpointId(row.id),
            tenant: Tenant::new(row.tenant).map_err(corrupt)?,
            version: row.version,
            settings: EndpointSettings::decode(&row.settings).map_err(corrupt)?,
            keys: Keyring::decode(&row.keys).map_err(corrupt)?,
            disabled: row.disabled.map(|text| text.parse()).transpose().map_err(corrupt)?,
            failing_since: row.failing_since.map(Timestamp::from_ms),
            created_at: Timestamp::from_ms(row.created_at),
            updated_at: Timestamp::from_ms(row.updated_at),
        })
    }
}

async fn find(conn: &mut SqliteConnection, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
    let (tenant, id) = (tenant.as_str(), id.0);
    let row = sqlx::query_file_as!(Row, "sql/endpoint_get.sql", tenant, id).fetch_optional(conn).await;
    row.map_err(ledger_error)?.map(Endpoint::try_from).transpose()
}

#[async_trait]
impl Endpoints for SqliteLedger {
    async fn create(&self, new: &NewEndpoint) -> Result<Created> {
        let clock_now = self.clock.now();
        let now = clock_now.as_ms();
        let settings = new.settings.encode();
        let (tenant, id, keys) = (new.tenant.as_str(), new.id.0, new.keys.encode());
        let max = i64::try_from(ENDPOINTS_MAX).unwrap_or(i64::MAX);
        let mut tx = self.writer.begin().await?;
        let made = find(&mut tx.conn, &new.tenant, new.id).await?;
        if let Some(made) = made {
            tx.leave().await?;
            return Ok(Created::New(made));
        }
        if let Some(asked) = &new.idempotency {
            let refusal = match keys::take_one(&mut tx.conn, tenant, asked, JobId(id), clock_now).await? {
                Accepted::New => None,
                Accepted::Replayed(earlier) => Some(Created::Replayed(EndpointId(earlier.0))),
                Accepted::KeyReused => Some(Created::KeyReused),
            };
            if let Some(refusal) = refusal {
                tx.leave().await?;
                return Ok(refusal);
            }
        }
        let create = sqlx::query_file!("sql/endpoint_create.sql", tenant, id, settings, keys, now, max);
        create.execute(&mut tx.conn).await.map_err(ledger_error)?;
        let stored = find(&mut tx.conn, &new.tenant, new.id).await?;
        match stored {
            Some(stored) => {
                tx.commit().await?;
                Ok(Created::New(stored))
            }
            // Its key is left free.
            None => {
                tx.leave().await?;
                Ok(Created::TooMany)
            }
        }
    }

    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
        find(&mut *self.readers.acquire().await.map_err(ledger_error)?, tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>> {
        let (tenant, after) = (tenant.as_str(), after.map_or(Uuid::nil(), |id| id.0));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query_file_as!(Row, "sql/endpoint_list.sql", tenant, after, limit).fetch_all(&self.readers);
        rows.await.map_err(ledger_error)?.into_iter().map(Endpoint::try_from).collect()
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let now = self.clock.now().as_ms();
        let settings = edit.settings.encode();
        let (tenant, id, keys) = (edit.tenant.as_str(), edit.id.0, edit.keys.encode());
        let disabled = edit.disabled.map(Disabled::as_str);
        let mut tx = self.writer.begin().await?;
        let old = wanted(find(&mut tx.conn, &edit.tenant, edit.id).await?, Some(edit.version));
        if !matches!(old, Changed::Done(_)) {
            tx.leave().await?;
            return Ok(old);
        }
        let write = sqlx::query_file!("sql/endpoint_edit.sql", tenant, id, settings, keys, disabled, now);
        write.execute(&mut tx.conn).await.map_err(ledger_error)?;
        let edited = find(&mut tx.conn, &edit.tenant, edit.id).await?;
        tx.commit().await?;
        Ok(edited.map_or(Changed::Unknown, Changed::Done))
    }

    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed> {
        let mut tx = self.writer.begin().await?;
        let answer = wanted(find(&mut tx.conn, tenant, id).await?, version);
        if matches!(answer, Changed::Done(_)) {
            let (tenant, id) = (tenant.as_str(), id.0);
            let delete = sqlx::query_file!("sql/endpoint_delete.sql", tenant, id);
            delete.execute(&mut tx.conn).await.map_err(ledger_error)?;
        }
        tx.commit().await?;
        Ok(answer)
    }

    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>> {
        let now = self.clock.now();
        let mut tx = self.writer.begin().await?;
        let found = find(&mut tx.conn, tenant, id).await?;
        let Some(found) = found.filter(|found| found.version == version && found.disabled.is_none()) else {
            tx.leave().await?;
            return Ok(None);
        };
        let (failing_since, disabled) = found.after(delivered, now);
        if failing_since == found.failing_since && disabled.is_none() {
            tx.leave().await?;
            return Ok(None);
        }
        let (tenant, id, failing_since, now) =
            (tenant.as_str(), id.0, failing_since.map(Timestamp::as_ms), now.as_ms());
        let write = match disabled.map(Disabled::as_str) {
            None => {
                sqlx::query_file!("sql/endpoint_failing.sql", tenant, id, failing_since).execute(&mut tx.conn).await
            }
            Some(disabled) => {
                sqlx::query_file!("sql/endpoint_disable.sql", tenant, id, disabled, failing_since, now)
                    .execute(&mut tx.conn)
                    .await
            }
        };
        write.map_err(ledger_error)?;
        tx.commit().await?;
        Ok(disabled)
    }
}

/// Whether the change may be made to what was found.
fn wanted(found: Option<Endpoint>, version: Option<i64>) -> Changed {
    match found {
        None => Changed::Unknown,
        Some(found) if version.is_some_and(|version| version != found.version) => Changed::Stale,
        Some(found) => Changed::Done(found),
    }
}
