//! Books: payments, what was sent for them, and the postings of what moved.
//!
//! They lie beside the jobs, in the same ledger, so that a payment and the job that works on it are made in one
//! transaction. What a payment may become is not decided here: a change is computed by [`payment::decide`](crate::payment)
//! and stored if the payment is still at the version that it was decided on. So a worker that was late, paused or replaced
//! changes nothing, whatever has become of its job.
//!
//! Promise: a request is stored, byte for byte, before it is sent for the first time, and never changes; a posting is
//! stored with the change that it belongs to, once per payment and step, and never changes. What an adapter promises is
//! written at each method and checked by the books suite of `haul-conformance`. As with the ledger, every method may fail
//! with [`LedgerError::Unavailable`](crate::ledger::LedgerError::Unavailable) after its effect was committed all the same;
//! each is safe to call again with the same arguments.

use crate::{
    id::{JobId, ProcessId},
    ledger::{NewJob, ReceiptId, Result},
    name::Tenant,
    payment::{Currency, Operation, OperationKind, Payment, PaymentId, PaymentState, ProviderRequest},
    time::Timestamp,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the provider owes: taken, and not given back.
pub const ACCOUNT_PROVIDER: &str = "provider:receivable";
/// What was sold.
pub const ACCOUNT_SALES: &str = "sales";
/// What was given back.
pub const ACCOUNT_REFUNDS: &str = "refunds";

/// Money that moved from one account to another: balanced by its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The payment that it belongs to.
    pub payment: PaymentId,
    /// Whose books.
    pub tenant: Tenant,
    /// What of the payment it is: the operation's word and number, such as `refund:3`. Once per payment.
    pub step: String,
    /// The account that gains.
    pub debit: String,
    /// The account that gives.
    pub credit: String,
    /// The currency.
    pub currency: Currency,
    /// Minor units; more than nothing.
    pub amount: i64,
    /// When, on the ledger's clock.
    pub at: Timestamp,
}

impl Posting {
    /// The posting of an operation that moved money.
    pub fn of(payment: &Payment, operation: &Operation, at: Timestamp) -> Self {
        let (debit, credit) = match operation.kind {
            OperationKind::Charge | OperationKind::Capture => (ACCOUNT_PROVIDER, ACCOUNT_SALES),
            OperationKind::Refund => (ACCOUNT_REFUNDS, ACCOUNT_PROVIDER),
        };
        Self {
            payment: payment.id,
            tenant: payment.tenant.clone(),
            step: format!("{}:{}", operation.kind.as_str(), operation.number),
            debit: debit.to_owned(),
            credit: credit.to_owned(),
            currency: payment.amount.currency(),
            amount: operation.amount,
            at,
        }
    }
}

/// What an account holds of a currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The currency.
    pub currency: Currency,
    /// Minor units: what it gained less what it gave. All accounts of a currency sum to zero.
    pub amount: i64,
}

/// A payment, and when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The payment.
    pub payment: Payment,
    /// The ledger's clock as it was read.
    pub now: Timestamp,
}

/// A payment beside everything that was posted for it, of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The payment.
    pub payment: Payment,
    /// Its postings, in the order of their steps.
    pub postings: Vec<Posting>,
}

impl Sheet {
    /// Whether what was posted is what the payment says has moved: account by account, to the cent. Postings that cancel each
    /// other out, such as a mistake and its correction, change nothing.
    pub fn agrees(&self) -> bool {
        let Self { payment, postings } = self;
        let moved = payment.operations.iter().filter(|operation| payment.moved_by(operation));
        let expected: Vec<Posting> =
            moved.map(|operation| Posting::of(payment, operation, payment.updated_at)).collect();
        held(postings) == held(&expected)
    }
}

/// What each account holds by these postings alone; those that hold nothing are left out.
fn held(postings: &[Posting]) -> BTreeMap<(&Tenant, &str, Currency), i128> {
    let mut held = BTreeMap::new();
    for Posting { tenant, debit, credit, currency, amount, .. } in postings {
        *held.entry((tenant, debit.as_str(), *currency)).or_default() += i128::from(*amount);
        *held.entry((tenant, credit.as_str(), *currency)).or_default() -= i128::from(*amount);
    }
    held.retain(|_, amount| *amount != 0);
    held
}

/// Payments that are [unknown](PaymentState::Unknown).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unknowns {
    /// How many, up to where they are counted.
    pub count: u64,
    /// When the one of these that changed longest ago did.
    pub oldest: Option<Timestamp>,
}

/// A request to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// The operation that it is of.
    pub operation: u32,
    /// Under which key.
    pub generation: u32,
    /// What is sent.
    pub request: ProviderRequest,
}

/// A payment as it is to become.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Tells this change from others, so that one that is sent again is recognised.
    pub id: Uuid,
    /// The payment as it is to be. Its `version` is the one that this was decided on; it is stored with the next one.
    pub payment: Payment,
    /// The request of a generation that begins.
    pub request: Option<NewRequest>,
    /// Money that moved.
    pub posting: Option<Posting>,
    /// The job that is about to send, and for which operation. From then on it can no longer be cancelled.
    pub sender: Option<(JobId, u32)>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    /// It is committed. Also when an earlier call had committed the same change and none has followed.
    Done,
    /// The payment is at another version, or there is none. Nothing was changed.
    Stale,
    /// The job that is about to send has an outcome already. Nothing was changed.
    Ended,
    /// The job that is about to send was not made for this operation. Nothing was changed.
    NotOurs,
}

/// A job to be made for an operation of a payment.
#[derive(Debug, Clone)]
pub struct Order {
    /// What becomes of the payment in the same transaction.
    pub entry: Entry,
    /// The number of the operation that the job is made for.
    pub operation: u32,
    /// The job.
    pub job: NewJob,
}

/// What becomes of the payment with an order.
#[derive(Debug, Clone)]
pub enum Entry {
    /// It is made, with version 1. Times and version of what is given do not count.
    New(Payment),
    /// It is changed, typically by an operation more.
    Changed(Box<Change>),
    /// It stays as it is: another job for an operation that it has.
    Same(PaymentId),
}

impl Entry {
    /// The payment.
    pub fn payment(&self) -> PaymentId {
        match self {
            Self::New(payment) => payment.id,
            Self::Changed(change) => change.payment.id,
            Self::Same(id) => *id,
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// Payment and job are committed, with this receipt. Also when an earlier call with the same job had committed them.
    New(ReceiptId),
    /// The same request came before under this key, and was accepted as that job.
    Replayed(JobId),
    /// Another request came before under this key.
    KeyReused,
    /// The payment is at another version.
    Stale,
    /// The tenant has no such payment, or the payment no such operation.
    Unknown,
}

/// A key that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The digest of the request that came under it.
    pub fingerprint: [u8; 32],
    /// The job that it was accepted as.
    pub job: JobId,
}

/// Where payments are kept: beside the jobs, in the same ledger.
#[async_trait]
pub trait Books: Send + Sync + 'static {
    /// Makes a job for an operation of a payment, and makes or changes the payment, durably, all or nothing; with a
    /// receipt, as by [`Ledger::accept`](crate::Ledger::accept). Deletes the receipts that the caller is done with.
    ///
    /// The job's key is measured first: a request that came before is answered as then, whatever has become of the payment.
    /// The job is known as one that works on this operation from then on. Its tenant is the payment's.
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered>;

    /// What is remembered of an idempotency key that has not expired.
    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>>;

    /// A payment, and the ledger's clock.
    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>>;

    /// The tenant's payments, the newest first, those before `before`, at most `limit`; only those in a state, if one is
    /// given.
    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>>;

    /// Payments of every tenant of which an operation is not final, in order of id, those after `after`, at most `limit`.
    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>>;

    /// Payments of every tenant that are [unknown](PaymentState::Unknown): the first `limit`, in order of id. Must be cheap,
    /// however many others there are: it is asked every few seconds.
    async fn unknown(&self, limit: usize) -> Result<Unknowns>;

    /// Payments of every tenant beside their postings, the newest first, those before `before`, at most `limit`. Each is of
    /// one moment: a change is seen with its posting, or not at all.
    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>>;

    /// Changes a payment that is at the version that the change was decided on, durably: the payment, the request that
    /// begins and the posting, in one transaction.
    ///
    /// A sender must be a job that was ordered for this operation and has no outcome; from then on
    /// [`Ledger::cancel`](crate::Ledger::cancel) refuses it. Of a change with a sender and a cancel at the same time, one
    /// is refused. A posting of a step that was posted, and a request of a generation that is stored, are
    /// [`LedgerError::Refused`](crate::ledger::LedgerError::Refused): then nothing was changed.
    async fn advance(&self, change: &Change) -> Result<Advanced>;

    /// The request that was stored for a generation, byte for byte.
    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>>;

    /// A payment's postings, in the order of their steps.
    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>>;

    /// What the tenant's accounts hold, in order of account and currency.
    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>>;

    /// Whether an event of the provider's was noted.
    async fn is_noted(&self, event: &str) -> Result<bool>;

    /// Notes that an event of the provider's was taken in.
    async fn note(&self, event: &str) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Money, OperationState};

    fn operation(number: u32, kind: OperationKind, amount: i64, state: OperationState) -> Operation {
        Operation { state, ..Operation::new(number, kind, amount, JobId(Uuid::nil())) }
    }

    /// A payment of 10.50 EUR with these operations.
    fn payment(capture: bool, operations: Vec<Operation>) -> Payment {
        let currency = Currency::new("EUR").unwrap();
        Payment {
            id: PaymentId(Uuid::from_u128(7)),
            tenant: Tenant::default(),
            version: 1,
            amount: Money::new(1_050, currency).unwrap(),
            capture,
            source: "tok_visa".to_owned(),
            description: None,
            metadata: BTreeMap::new(),
            operations,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_payment_agrees_with_the_postings_of_what_moved_and_with_no_others() {
        use OperationKind::{Capture, Charge, Refund};
        use OperationState::{Declined, Succeeded, Unknown};
        let operations = vec![
            operation(1, Charge, 1_050, Succeeded),
            operation(2, Refund, 200, Succeeded),
            operation(3, Refund, 300, Declined),
            operation(4, Refund, 400, Unknown),
        ];
        let payment_of = payment(true, operations);
        let at = Timestamp::from_ms(5);
        let posting = |n: usize| Posting::of(&payment_of, &payment_of.operations[n], at);
        let agrees = |postings: Vec<Posting>| Sheet { payment: payment_of.clone(), postings }.agrees();
        assert!(agrees(vec![posting(0), posting(1)]));
        assert!(!agrees(vec![posting(0)]), "one is missing");
        assert!(!agrees(vec![]), "all are missing");
        assert!(!agrees(vec![posting(0), posting(1), posting(3)]), "one is too many");
        assert!(!agrees(vec![posting(0), posting(2)]), "one is of what was declined");
        assert!(!agrees(vec![posting(0), Posting { amount: 199, ..posting(1) }]), "another amount");
        assert!(
            !agrees(vec![posting(0), Posting { debit: ACCOUNT_SALES.to_owned(), ..posting(1) }]),
            "another account"
        );
        assert!(!agrees(vec![posting(0), Posting { tenant: Tenant::new("theirs").unwrap(), ..posting(1) }]));

        let held = payment(false, vec![operation(1, Charge, 1_050, Succeeded)]);
        assert!(Sheet { payment: held.clone(), postings: vec![] }.agrees(), "what is held has not moved");
        let captured = payment(false, [held.operations.clone(), vec![operation(2, Capture, 900, Succeeded)]].concat());
        let capture = Posting::of(&captured, &captured.operations[1], at);
        assert!(Sheet { payment: captured, postings: vec![capture] }.agrees());
    }

    #[test]
    fn a_mistake_and_its_correction_cancel_each_other_out() {
        let payment = payment(true, vec![operation(1, OperationKind::Charge, 1_050, OperationState::Succeeded)]);
        let posting = Posting::of(&payment, &payment.operations[0], Timestamp::default());
        let twice = Posting { step: "charge:1:again".to_owned(), ..posting.clone() };
        let (debit, credit) = (twice.credit.clone(), twice.debit.clone());
        let correction = Posting { step: "correction:1".to_owned(), debit, credit, ..twice.clone() };
        let mut sheet = Sheet { payment, postings: vec![posting, twice] };
        assert!(!sheet.agrees());
        sheet.postings.push(correction);
        assert!(sheet.agrees());
    }
}
