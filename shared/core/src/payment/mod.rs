//! Payments: money that is moved at a provider at most once, and known to have been moved, or not, in the end.
//!
//! A [`Payment`] is what was asked and what came of it: a list of [`Operation`]s (the charge, its capture, its refunds),
//! each of which is sent to the provider under keys of its own, one per [`Generation`]. [`decide`] is the whole state
//! machine, a pure function; [`drive`] is one attempt, over the ports [`Books`](crate::Books) and [`Provider`];
//! [`reconcile`] compares with the provider what attempts have left open.
//!
//! The promise: an operation is applied at the provider at most once, for as long as the provider keeps its own promises
//! about keys and look-ups. What is not promised: that a payment ends while its provider is silent. It is `unknown` then,
//! and says so.

mod card;
mod decide;
mod drive;
mod money;
mod provider;
mod reconcile;
mod stored;

pub use card::looks_like_card_number;
pub use decide::{Decision, Ended, Event, Rules, Then, decide};
pub use drive::{drive, take_in};
pub use money::{AMOUNT_MAX, AmountOutOfRange, Currency, Money, UnknownCurrency};
pub use provider::{
    Answer, ListOf, LookUp, METADATA_OPERATION, METADATA_PAYMENT, Object, ObjectPage, ObjectState, Provider,
    ProviderRequest,
};
pub use reconcile::{Reconciled, reconcile};
pub use stored::{Record, StoredError};

use crate::{id::JobId, name::Tenant, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// The kind of jobs that charge.
pub const KIND_CHARGE: &str = "payment.charge";
/// The kind of jobs that capture what a charge has authorised.
pub const KIND_CAPTURE: &str = "payment.capture";
/// The kind of jobs that give money back.
pub const KIND_REFUND: &str = "payment.refund";

/// Operations of one payment, in all.
pub const OPERATIONS_MAX: usize = 100;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// Characters of a source.
pub const SOURCE_CHARS_MAX: usize = 255;
/// Entries of the metadata.
pub const METADATA_MAX: usize = 20;
/// Characters of a name in the metadata.
pub const METADATA_NAME_CHARS_MAX: usize = 40;
/// Characters of a value in the metadata.
pub const METADATA_VALUE_CHARS_MAX: usize = 500;

/// A payment's id: a UUIDv7 on the ledger's clock, as a job's is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(pub Uuid);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl std::str::FromStr for PaymentId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// What was asked, and what came of it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Its id; tells when it was made.
    pub id: PaymentId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Grows with every change, from 1. A change that was decided on another version is refused.
    pub version: i64,
    /// How much.
    pub amount: Money,
    /// Whether the charge takes the money at once. Otherwise it is held until it is captured.
    pub capture: bool,
    /// The provider's token for whom or what to charge. Never a card's number.
    pub source: String,
    /// For people.
    pub description: Option<String>,
    /// The submitter's own marks.
    pub metadata: BTreeMap<String, String>,
    /// What is done for it, in the order of their numbers; the charge first.
    pub operations: Vec<Operation>,
    /// When it was made, on the ledger's clock.
    pub created_at: Timestamp,
    /// When it changed last, on the ledger's clock.
    pub updated_at: Timestamp,
}

/// One thing that is done at the provider, at most once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// From 1. The charge is 1.
    pub number: u32,
    /// What is done.
    pub kind: OperationKind,
    /// How much of the payment's currency, in minor units.
    pub amount: i64,
    /// How far it has come.
    pub state: OperationState,
    /// The job that was made for it.
    pub job: JobId,
    /// What was sent: one for each key, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<Generation>,
    /// The provider's id of what it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline: Option<Decline>,
    /// Why somebody has to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// What is done at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// Takes the money, or holds it.
    Charge,
    /// Takes what was held.
    Capture,
    /// Gives money back.
    Refund,
}

impl OperationKind {
    /// The kind of jobs that do it.
    pub const fn job_kind(self) -> &'static str {
        match self {
            Self::Charge => KIND_CHARGE,
            Self::Capture => KIND_CAPTURE,
            Self::Refund => KIND_REFUND,
        }
    }

    /// What jobs of this kind do; `None` when they do not work on payments.
    pub fn of_job_kind(kind: &str) -> Option<Self> {
        [Self::Charge, Self::Capture, Self::Refund].into_iter().find(|operation| operation.job_kind() == kind)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Nothing was ever sent.
    Pending,
    /// A send is stored; its answer is not known yet.
    Sent,
    /// Every send so far was turned away: for sure, nothing was done.
    Postponed,
    /// An answer was lost: whether it was done is to be found out before anything else.
    Unknown,
    /// It is done. Final.
    Succeeded,
    /// The provider will not do it. Final.
    Declined,
    /// Nothing was done, and nothing more will be sent. Final.
    NotDone,
}

impl OperationState {
    /// Whether nothing more will come.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Declined | Self::NotDone)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Postponed => "postponed",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::NotDone => "not_done",
        }
    }
}

/// Why the provider will not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The provider's word for it, such as `insufficient_funds`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Everything that is sent under one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// From 1.
    pub number: u32,
    /// When its first send was stored, on the ledger's clock: the provider's window is counted from here.
    pub first_sent_at: Timestamp,
    /// When its last send was stored.
    pub last_sent_at: Timestamp,
    /// How often it was sent, or was about to be.
    pub sends: u32,
    /// Whether the provider will repeat an error for its key for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
}

/// The state of a payment as a reader sees it: derived from its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentState {
    /// The charge has not ended.
    Pending,
    /// The charge is done: the money is taken, or held when the payment is captured later.
    Succeeded,
    /// The charge will not be done. No money moved.
    Declined,
    /// The answer to some operation was lost, and it is not found out yet what came of it.
    Unknown,
    /// Something was given back: all or a part.
    Refunded,
}

impl PaymentState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Succeeded, Self::Declined, Self::Unknown, Self::Refunded];

    /// The word for it, in the API and in the tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Unknown => "unknown",
            Self::Refunded => "refunded",
        }
    }

    /// The state of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl Payment {
    /// The state, derived: what is not known counts most.
    pub fn state(&self) -> PaymentState {
        let is_unknown = |operation: &Operation| operation.state == OperationState::Unknown;
        if self.operations.iter().any(is_unknown) {
            return PaymentState::Unknown;
        }
        match self.operations.first().map(|charge| charge.state) {
            Some(OperationState::Succeeded) if self.refunded() > 0 => PaymentState::Refunded,
            Some(OperationState::Succeeded) => PaymentState::Succeeded,
            Some(OperationState::Declined | OperationState::NotDone) => PaymentState::Declined,
            _ => PaymentState::Pending,
        }
    }

    /// An operation by its number.
    pub fn operation(&self, number: u32) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.number == number)
    }

    /// The provider's id of what was charged, once that is known.
    pub fn charged_object(&self) -> Option<&str> {
        self.operations.first()?.object.as_deref()
    }

    /// Whether something is not final: then there is something to be reconciled.
    pub fn is_unfinished(&self) -> bool {
        self.operations.iter().any(|operation| !operation.state.is_final())
    }

    /// The first reason why somebody has to look at it.
    pub fn flag(&self) -> Option<&str> {
        self.operations.iter().find_map(|operation| operation.flag.as_deref())
    }

    /// Whether an operation has moved money: it is done, and no mere hold.
    pub fn moved_by(&self, operation: &Operation) -> bool {
        let is_hold = operation.kind == OperationKind::Charge && !self.capture;
        operation.state == OperationState::Succeeded && !is_hold
    }

    /// Minor units that were taken.
    pub fn captured(&self) -> i64 {
        self.sum(|operation| operation.kind != OperationKind::Refund && self.moved_by(operation))
    }

    /// Minor units that were given back.
    pub fn refunded(&self) -> i64 {
        self.sum(|operation| operation.kind == OperationKind::Refund && operation.state == OperationState::Succeeded)
    }

    /// Minor units that can still be given back: refunds that are under way count as given.
    pub fn refundable(&self) -> i64 {
        let counts = |state| !matches!(state, OperationState::Declined | OperationState::NotDone);
        let under_way = |operation: &Operation| operation.kind == OperationKind::Refund && counts(operation.state);
        self.captured().saturating_sub(self.sum(under_way))
    }

    /// Minor units that can be captured: none once a capture is under way.
    pub fn capturable(&self) -> i64 {
        let charge = self.operations.first();
        let is_held = !self.capture && charge.is_some_and(|charge| charge.state == OperationState::Succeeded);
        let counts = |state| !matches!(state, OperationState::Declined | OperationState::NotDone);
        let under_way = |operation: &Operation| operation.kind == OperationKind::Capture && counts(operation.state);
        if is_held && !self.operations.iter().any(under_way) { self.amount.minor() } else { 0 }
    }

    fn sum(&self, counts: impl Fn(&Operation) -> bool) -> i64 {
        self.operations.iter().filter(|operation| counts(operation)).map(|operation| operation.amount).sum()
    }
}

impl Operation {
    /// One that nothing was done for yet.
    pub fn new(number: u32, kind: OperationKind, amount: i64, job: JobId) -> Self {
        Self {
            number,
            kind,
            amount,
            state: OperationState::Pending,
            job,
            generations: Vec::new(),
            object: None,
            decline: None,
            flag: None,
        }
    }
}

/// The key of a generation: made of the payment, never of a job, so that every job that works on it says the same.
pub fn idempotency_key(payment: PaymentId, operation: u32, generation: u32) -> String {
    format!("haul_{payment}_{operation}_{generation}")
}

/// What a job of a payment is to do: its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The payment.
    pub payment: PaymentId,
    /// The number of its operation; the charge when it is not told.
    #[serde(default = "charge")]
    pub operation: u32,
}

const fn charge() -> u32 {
    1
}

impl Assignment {
    /// Reads a job's payload.
    pub fn parse(payload: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(payload)
    }

    /// The payload of a job.
    pub fn payload(&self) -> Vec<u8> {
        format!("{{\"payment\":\"{}\",\"operation\":{}}}", self.payment, self.operation).into_bytes()
    }
}
