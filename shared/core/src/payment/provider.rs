//! The provider, as the state machine knows it: something that is sent requests under keys, and asked what it has done.

use super::{Operation, Payment, PaymentId};
use crate::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt, time::Duration};

/// The name in an object's metadata under which the payment's id stands.
pub const METADATA_PAYMENT: &str = "haul_payment";
/// The name in an object's metadata under which the operation's number stands.
pub const METADATA_OPERATION: &str = "haul_operation";

/// What is sent, byte for byte, under one key. Stored before the first send; never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The path that it is posted to, without the provider's address.
    pub path: String,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for ProviderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderRequest").field("path", &self.path).field("bytes", &self.body.len()).finish()
    }
}

/// What one send came to, by what is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A success, with the object.
    Done(Object),
    /// The provider will never do this: 402, or a request that it cannot accept.
    Declined {
        /// The provider's word for it.
        code: String,
        /// For people.
        message: String,
    },
    /// For sure, this send did nothing: 429, a key that is not valid (401, 403), a connection that was never made. The
    /// same key is sent again, later.
    TurnedAway {
        /// When to try again, if the provider says so.
        after: Option<Duration>,
    },
    /// Whether anything was done is not known: a timeout, a connection that broke, a 5xx, or a 409 that says that an earlier
    /// send is under way.
    Unknown {
        /// When to try again, if the provider says so.
        after: Option<Duration>,
    },
    /// The provider has stored an error for this key and will repeat it: a replayed 5xx, or one that it says is not to be
    /// tried again. Whether anything was done is not known.
    Spent,
}

/// What the provider knows of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// One object.
    Found(Object),
    /// Definitely none, at the moment of the question. Who answers from an index that lags must not say so.
    Absent,
    /// More than one: it was applied twice.
    Several(u32),
    /// The question was not answered, or not for certain.
    Unclear(String),
}

/// Something that the provider has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The provider's id.
    pub id: String,
    /// The payment, as the object's metadata tells.
    pub payment: Option<PaymentId>,
    /// The operation, as the object's metadata tells.
    pub operation: Option<u32>,
    /// How far it has come there.
    pub state: ObjectState,
    /// Minor units.
    pub amount: i64,
    /// The currency's code, in capitals or not.
    pub currency: String,
}

/// How far something has come at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectState {
    /// Applied.
    Done,
    /// It will never be applied.
    Declined {
        /// The provider's word for it.
        code: String,
        /// For people.
        message: String,
    },
    /// The provider is still at it.
    Processing,
}

/// What a provider's list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// Charges.
    Charges,
    /// Refunds.
    Refunds,
}

/// A page of what the provider has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<Object>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// Where money is moved.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What the first send of an operation says. Names the payment and the operation in the metadata of what is made.
    fn request(&self, payment: &Payment, operation: &Operation) -> ProviderRequest;

    /// Sends a request once, under a key. Ends within a minute.
    async fn send(&self, key: &str, request: &ProviderRequest) -> Answer;

    /// Asks what came of an operation, whichever of its keys was used. Ends within a minute.
    async fn look_up(&self, payment: &Payment, operation: &Operation) -> LookUp;

    /// Everything made since then, in pages. An error is a reason for people.
    async fn list(&self, of: ListOf, since: Timestamp, cursor: Option<&str>) -> Result<ObjectPage, String>;
}
