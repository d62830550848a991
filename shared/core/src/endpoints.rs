//! Endpoints: where a tenant hears of events, by webhooks.
//!
//! An endpoint is a URL, the types of event that it wants, and the keys that deliveries to it are signed with. It is
//! changed by whoever knows its version; deliveries report what became of them, and an endpoint that is gone, or has
//! failed for days, is disabled by such a report. Delivering is not done here: an event is a job, and so is each delivery.
//!
//! What an adapter promises is written at each method of [`Endpoints`] and checked by the endpoints suite of
//! `haul-conformance`.

mod event;
pub mod jobs;
mod keys;

pub use event::{EventType, Subscription, SubscriptionError};
pub use keys::{KeyError, Keyring, SigningKey};

use crate::{
    id,
    ledger::{Idempotency, Result},
    name::Tenant,
    time::{Clock, Timestamp},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};
use uuid::Uuid;

/// Endpoints that one tenant may have: an event is accepted with its deliveries to all of them in one transaction.
pub const ENDPOINTS_MAX: usize = 500;

/// An endpoint's id: a UUIDv7 on the ledger's clock, so that ids are in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(pub Uuid);

impl EndpointId {
    /// A new id.
    pub fn new(clock: &Clock) -> Self {
        Self(id::made_at(clock.now()))
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EndpointId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> std::result::Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// What its owner says of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Where deliveries go. Its query may hold a secret of the owner's, so it is shown to nobody else and never logged.
    pub url: String,
    /// For people.
    pub description: String,
    /// Which events it wants; none named: all of them.
    pub events: Vec<Subscription>,
}

impl EndpointSettings {
    /// Whether it wants events of this type.
    pub fn wants(&self, event: &EventType) -> bool {
        self.events.is_empty() || self.events.iter().any(|wanted| wanted.covers(event))
    }

    /// The form in which the ledger keeps it: JSON.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`EndpointSettings::encode`] has written.
    pub fn decode(text: &str) -> std::result::Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Why nothing is delivered to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disabled {
    /// Its owner said so.
    Owner,
    /// Every delivery failed, for days.
    Failing,
    /// It answered that it is gone for good (410).
    Gone,
}

/// A text that names no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no reason for which an endpoint is disabled")]
pub struct UnknownReason;

impl Disabled {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

impl FromStr for Disabled {
    type Err = UnknownReason;
    fn from_str(text: &str) -> std::result::Result<Self, UnknownReason> {
        [Self::Owner, Self::Failing, Self::Gone].into_iter().find(|why| why.as_str() == text).ok_or(UnknownReason)
    }
}

/// An endpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose endpoint.
    pub tenant: Tenant,
    /// Grows with every change of what is said of it, from 1; also when a report disables it.
    pub version: i64,
    /// What its owner says of it.
    pub settings: EndpointSettings,
    /// What deliveries are signed with.
    pub keys: Keyring,
    /// Why nothing is delivered to it, if nothing is.
    pub disabled: Option<Disabled>,
    /// Since when every delivery has failed, if the last one did.
    pub failing_since: Option<Timestamp>,
    /// When it was created, on the ledger's clock.
    pub created_at: Timestamp,
    /// When its version began, on the ledger's clock.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// What a report makes of an endpoint that is enabled: since when it has been failing then, and why it is disabled then, if
    /// it is.
    pub fn after(&self, delivered: Delivered, now: Timestamp) -> (Option<Timestamp>, Option<Disabled>) {
        match delivered {
            Delivered::Taken => (None, None),
            Delivered::Gone => (self.failing_since.or(Some(now)), Some(Disabled::Gone)),
            Delivered::Failed(limit) => {
                let is_over = self.failing_since.is_some_and(|since| since.plus(limit) <= now);
                (self.failing_since.or(Some(now)), is_over.then_some(Disabled::Failing))
            }
        }
    }
}

/// An endpoint to be created, enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    /// A new id.
    pub id: EndpointId,
    /// Whose endpoint.
    pub tenant: Tenant,
    /// What its owner says of it.
    pub settings: EndpointSettings,
    /// What deliveries are signed with.
    pub keys: Keyring,
    /// The request's idempotency key, if it came with one. Jobs, schedules and endpoints share keys.
    pub idempotency: Option<Idempotency>,
}

/// What became of a wish to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is committed. Also when an earlier call with the same id had committed it.
    New(Endpoint),
    /// The same request came under this key before. Nothing was created.
    Replayed(EndpointId),
    /// Another request came under this key before. Nothing was created.
    KeyReused,
    /// The tenant has [`ENDPOINTS_MAX`] already. Nothing was created, and a key is left free.
    TooMany,
}

/// A change of an endpoint, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Whose endpoint.
    pub tenant: Tenant,
    /// Which.
    pub id: EndpointId,
    /// The version that the edit is of.
    pub version: i64,
    /// What its owner says of it now.
    pub settings: EndpointSettings,
    /// What deliveries are signed with now.
    pub keys: Keyring,
    /// Whether it is disabled now, and why.
    pub disabled: Option<Disabled>,
}

/// What became of a wish to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It is committed; the endpoint as it is now, or as it was when it was deleted.
    Done(Endpoint),
    /// It is not at the version that the wish was about. Nothing was changed.
    Stale,
    /// There is no such endpoint.
    Unknown,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It was taken.
    Taken,
    /// It failed. When every delivery has for so long, the endpoint is disabled.
    Failed(Duration),
    /// The endpoint answered that it is gone.
    Gone,
}

/// Where endpoints are kept: beside the jobs, in the same ledger.
#[async_trait]
pub trait Endpoints: Send + Sync + 'static {
    /// Creates an endpoint, durably, with version 1, if its key and the number of its tenant's endpoints allow it; these are
    /// looked at in this order. However many are created at once, a tenant never has more than [`ENDPOINTS_MAX`], and a key
    /// creates one.
    async fn create(&self, new: &NewEndpoint) -> Result<Created>;

    /// An endpoint of the tenant.
    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>>;

    /// The tenant's endpoints in order of id, those after `after`, at most `limit`.
    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>>;

    /// Replaces what is said of an endpoint, if it has the version. It counts as not failing then.
    async fn edit(&self, edit: &Edit) -> Result<Changed>;

    /// Deletes an endpoint, if it has the version; any version when none is given.
    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed>;

    /// Notes what became of a delivery to the endpoint as it was at `version`; of an endpoint that was changed since, or
    /// is disabled, nothing is noted. A first failure begins the time of failing, a success ends it; time is the
    /// ledger's. Gives why the endpoint is disabled when this report has disabled it. A report that changes nothing writes
    /// nothing.
    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>>;
}
