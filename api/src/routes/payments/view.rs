//! Payments as clients read them.

use haul_core::{
    Timestamp,
    books::{Balance, Posting},
    payment::{Generation, Operation, Payment, idempotency_key},
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A payment.
#[derive(Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentView {
    /// Its id, a UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    /// `pending`, `succeeded`, `declined`, `unknown` or `refunded` (in part or as a whole).
    state: &'static str,
    /// Minor units of the currency.
    amount: i64,
    /// ISO 4217.
    currency: String,
    /// Minor units that were taken.
    captured: i64,
    /// Minor units that were given back.
    refunded: i64,
    /// Whether the charge takes the money at once; otherwise it is held until it is captured.
    capture: bool,
    /// For people.
    description: Option<String>,
    /// The submitter's own marks.
    metadata: BTreeMap<String, String>,
    /// Why somebody has to look at it.
    flag: Option<String>,
    /// What is done for it, the charge first.
    operations: Vec<OperationView>,
    /// What moved. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    postings: Option<Vec<PostingView>>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One thing that is done at the provider, at most once.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentOperation)]
struct OperationView {
    /// From 1, the charge.
    number: u32,
    /// `charge`, `capture` or `refund`.
    kind: &'static str,
    /// Minor units.
    amount: i64,
    /// `pending`, `sent`, `postponed`, `unknown`, `succeeded`, `declined` or `not_done`.
    state: &'static str,
    /// The job that was made for it.
    job: String,
    /// The provider's id of what it made.
    object: Option<String>,
    /// Why the provider will not do it.
    decline: Option<DeclineView>,
    /// Why somebody has to look at it.
    flag: Option<String>,
    /// The keys under which it was sent.
    generations: Vec<GenerationView>,
}

/// Why the provider will not do it.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentDecline)]
struct DeclineView {
    /// The provider's word for it.
    code: String,
    /// For people.
    message: String,
}

/// Everything that was sent under one key.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentGeneration)]
struct GenerationView {
    /// From 1.
    number: u32,
    /// The provider's idempotency key.
    key: String,
    /// When it was sent first.
    #[schema(value_type = String, format = DateTime)]
    first_sent_at: Timestamp,
    /// When it was sent last.
    #[schema(value_type = String, format = DateTime)]
    last_sent_at: Timestamp,
    /// How often it was sent, or was about to be.
    sends: u32,
    /// Whether the key is of no use any more.
    spent: bool,
}

/// Money that moved.
#[derive(Serialize, ToSchema)]
#[schema(as = Posting)]
struct PostingView {
    /// Which step of the payment.
    step: String,
    /// The account that gained.
    debit: String,
    /// The account that gave.
    credit: String,
    /// ISO 4217.
    currency: String,
    /// Minor units.
    amount: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A page of payments, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentPage {
    /// The payments.
    pub(crate) data: Vec<PaymentView>,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// Where they follow.
    pub(crate) next_cursor: Option<String>,
}

/// What an account holds of a currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Balance)]
pub(crate) struct BalanceView {
    /// The account.
    account: String,
    /// ISO 4217.
    currency: String,
    /// Minor units: what it gained less what it gave. All accounts of a currency sum to zero.
    amount: i64,
}

/// All balances.
#[derive(Serialize, ToSchema)]
pub(crate) struct BalanceList {
    /// One per account and currency.
    pub(crate) data: Vec<BalanceView>,
}

impl PaymentView {
    pub(crate) fn of(payment: &Payment, postings: Option<Vec<Posting>>) -> Self {
        Self {
            id: payment.id.to_string(),
            state: payment.state().as_str(),
            amount: payment.amount.minor(),
            currency: payment.amount.currency().to_string(),
            captured: payment.captured(),
            refunded: payment.refunded(),
            capture: payment.capture,
            description: payment.description.clone(),
            metadata: payment.metadata.clone(),
            flag: payment.flag().map(str::to_owned),
            operations: payment.operations.iter().map(|operation| OperationView::of(payment, operation)).collect(),
            postings: postings.map(|postings| postings.into_iter().map(PostingView::of).collect()),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

impl OperationView {
    fn of(payment: &Payment, operation: &Operation) -> Self {
        let generation = |generation: &Generation| GenerationView {
            number: generation.number,
            key: idempotency_key(payment.id, operation.number, generation.number),
            first_sent_at: generation.first_sent_at,
            last_sent_at: generation.last_sent_at,
            sends: generation.sends,
            spent: generation.spent,
        };
        let decline = operation.decline.clone();
        Self {
            number: operation.number,
            kind: operation.kind.as_str(),
            amount: operation.amount,
            state: operation.state.as_str(),
            job: operation.job.to_string(),
            object: operation.object.clone(),
            decline: decline.map(|decline| DeclineView { code: decline.code, message: decline.message }),
            flag: operation.flag.clone(),
            generations: operation.generations.iter().map(generation).collect(),
        }
    }
}

impl PostingView {
    fn of(posting: Posting) -> Self {
        let Posting { step, debit, credit, currency, amount, at, .. } = posting;
        Self { step, debit, credit, currency: currency.to_string(), amount, at }
    }
}

impl BalanceView {
    pub(crate) fn of(balance: Balance) -> Self {
        Self { account: balance.account, currency: balance.currency.to_string(), amount: balance.amount }
    }
}
