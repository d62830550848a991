//! A payment as it is stored: what is searched for lies in columns, the rest in one JSON text.

use super::{AmountOutOfRange, Money, Operation, Payment, PaymentId, UnknownCurrency};
use crate::{
    name::{NameError, Tenant},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Why a stored payment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The text is not what a payment is written as.
    #[error("the payment's text cannot be read")]
    Text(#[from] serde_json::Error),
    /// The amount is out of its range.
    #[error("the payment's amount {0}")]
    Amount(#[from] AmountOutOfRange),
    /// The currency is none.
    #[error("the payment's currency {0}")]
    Currency(#[from] UnknownCurrency),
    /// The tenant is none.
    #[error("the payment's tenant {0}")]
    Tenant(#[from] NameError),
}

/// A payment's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: String,
    /// Its version.
    pub version: i64,
    /// Minor units.
    pub amount: i64,
    /// The currency's code.
    pub currency: String,
    /// Everything else, as JSON. Never logged.
    pub body: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// What the text holds.
#[derive(Serialize, Deserialize)]
struct Body {
    capture: bool,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    operations: Vec<Operation>,
}

impl Record {
    /// The text of a payment.
    pub fn body_of(payment: &Payment) -> Result<String, StoredError> {
        let Payment { capture, source, description, metadata, operations, .. } = payment.clone();
        Ok(serde_json::to_string(&Body { capture, source, description, metadata, operations })?)
    }

    /// The payment of these columns.
    pub fn read(self) -> Result<Payment, StoredError> {
        let Body { capture, source, description, metadata, operations } = serde_json::from_str(&self.body)?;
        Ok(Payment {
            id: PaymentId(self.id),
            tenant: Tenant::new(self.tenant)?,
            version: self.version,
            amount: Money::new(self.amount, super::Currency::new(&self.currency)?)?,
            capture,
            source,
            description,
            metadata,
            operations,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}
