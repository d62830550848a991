//! Endpoints: one row each. What is said of one is replaced by whoever knows its version; a report is one statement.

use crate::{
    error::corrupt,
    keys,
    ledger::PostgresLedger,
    pool::{ask, in_time},
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use haul_core::{
    Tenant,
    endpoints::{
        Changed, Created, Delivered, Disabled, ENDPOINTS_MAX, Edit, Endpoint, EndpointId, EndpointSettings, Endpoints,
        Keyring, NewEndpoint,
    },
    ledger::{Accepted, LedgerError, Result},
};
use sqlx::Connection;
use std::time::Duration;
use uuid::Uuid;

/// A row of `haul.endpoint`.
struct Row {
    tenant: String,
    id: Uuid,
    version: i64,
    settings: String,
    keys: String,
    disabled: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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
            disabled: row.disabled.as_deref().map(disabled).transpose()?,
            failing_since: row.failing_since.map(Into::into),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

fn disabled(text: &str) -> Result<Disabled> {
    text.parse().map_err(corrupt)
}

#[async_trait]
impl Endpoints for PostgresLedger {
    async fn create(&self, new: &NewEndpoint) -> Result<Created> {
        let settings = new.settings.encode();
        let (tenant, keys) = (new.tenant.as_str(), new.keys.encode());
        let max = i64::try_from(ENDPOINTS_MAX).unwrap_or(i64::MAX);
        let mut lent = self.shared().connections.lend().await?;
        let patience = lent.patience();
        let write = async {
            let mut transaction = lent.connection().begin().await?;
            sqlx::query_file!("sql/endpoint_turn.sql", tenant).fetch_one(&mut *transaction).await?;
            if let Some(asked) = &new.idempotency {
                let refusal = match keys::take(&mut transaction, tenant, asked, new.id.0).await? {
                    Accepted::New => None,
                    Accepted::Replayed(earlier) => Some(Created::Replayed(EndpointId(earlier.0))),
                    Accepted::KeyReused => Some(Created::KeyReused),
                };
                if let Some(refusal) = refusal {
                    transaction.rollback().await?;
                    return Ok(Err(refusal));
                }
            }
            let create = sqlx::query_file_as!(Row, "sql/endpoint_create.sql", tenant, new.id.0, settings, keys, max);
            let row = create.fetch_optional(&mut *transaction).await?;
            // What is not created leaves its key free.
            match row {
                Some(_) => transaction.commit().await?,
                None => transaction.rollback().await?,
            }
            Ok(Ok(row))
        };
        let written = in_time(patience, write).await?;
        lent.give_back();
        match written {
            Err(refusal) => return Ok(refusal),
            Ok(Some(row)) => return Ok(Created::New(row.try_into()?)),
            Ok(None) => {}
        }
        Ok(Endpoints::get(self, &new.tenant, new.id).await?.map_or(Created::TooMany, Created::New))
    }

    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/endpoint_get.sql", tenant.as_str(), id.0).fetch_optional(c)
        })?;
        row.map(Endpoint::try_from).transpose()
    }

    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/endpoint_list.sql", tenant.as_str(), after, limit).fetch_all(c)
        })?;
        rows.into_iter().map(Endpoint::try_from).collect()
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let settings = edit.settings.encode();
        let disabled = edit.disabled.map(Disabled::as_str);
        let row = ask!(self.shared().connections, c => sqlx::query_file_as!(
            Row,
            "sql/endpoint_edit.sql",
            edit.tenant.as_str(),
            edit.id.0,
            edit.version,
            settings,
            edit.keys.encode(),
            disabled,
        )
        .fetch_optional(c))?;
        changed(self, &edit.tenant, edit.id, row).await
    }

    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/endpoint_delete.sql", tenant.as_str(), id.0, version).fetch_optional(c)
        })?;
        changed(self, tenant, id, row).await
    }

    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>> {
        let (what, limit) = match delivered {
            Delivered::Taken => ("taken", Duration::ZERO),
            Delivered::Failed(limit) => ("failed", limit),
            Delivered::Gone => ("gone", Duration::ZERO),
        };
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/endpoint_report.sql", tenant.as_str(), id.0, version, what, limit_ms)
                .fetch_optional(c)
        })?;
        row.and_then(|row| row.disabled).as_deref().map(disabled).transpose()
    }
}

/// What a change came to, by the row that it returned.
async fn changed(ledger: &PostgresLedger, tenant: &Tenant, id: EndpointId, row: Option<Row>) -> Result<Changed> {
    match row {
        Some(row) => Ok(Changed::Done(row.try_into()?)),
        None if Endpoints::get(ledger, tenant, id).await?.is_none() => Ok(Changed::Unknown),
        None => Ok(Changed::Stale),
    }
}
