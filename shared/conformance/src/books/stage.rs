//! What every promise of the books suite begins with: an empty store and the means to write to it tersely.

use super::{BooksHarness, BooksWorld};
use haul_core::{
    Books, Job, JobId, JobOptions, Kind, Ledger, Payment, PaymentId, Priority, ProcessId, Queue, Tenant, Timestamp,
    books::{Advanced, Change, Entry, NewRequest, Order, Ordered, Posting},
    ledger::{Cancelled, Idempotency, NewJob},
    payment::{Assignment, Currency, Generation, Money, Operation, OperationKind, OperationState, ProviderRequest},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// An empty store of payments and who writes to it.
pub struct Stage {
    /// The store's other side.
    pub world: Arc<dyn BooksWorld>,
    /// The store.
    pub books: Arc<dyn Books>,
    /// The ledger that it is a part of.
    pub ledger: Arc<dyn Ledger>,
    /// When the stage was set, on the ledger's clock.
    pub begun: Timestamp,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh store.
    pub async fn new(harness: Arc<dyn BooksHarness>) -> Self {
        let world = harness.fresh().await;
        let (books, ledger) = (world.books(), world.ledger());
        let begun = ledger.now().await.expect("a fresh ledger tells the time");
        Self { world, books, ledger, begun, ids: AtomicU64::new(1) }
    }

    /// A new id of the time when the stage was set. Ids only grow.
    pub(crate) fn id(&self) -> Uuid {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(self.begun.as_ms().unsigned_abs(), &low).into_uuid()
    }

    /// A payment of the default tenant, with a charge for which nothing was done yet.
    pub(crate) fn payment(&self, amount: i64, currency: &str) -> Payment {
        let (id, job) = (PaymentId(self.id()), JobId(self.id()));
        let currency = Currency::new(currency).expect("a currency");
        Payment {
            id,
            tenant: Tenant::default(),
            version: 1,
            amount: Money::new(amount, currency).expect("an amount"),
            capture: true,
            source: "tok_visa".to_owned(),
            description: Some("'quoted' \u{1F600}; DROP TABLE payment".to_owned()),
            metadata: BTreeMap::from([("order".to_owned(), "7".to_owned())]),
            operations: vec![Operation::new(1, OperationKind::Charge, amount, job)],
            created_at: self.begun,
            updated_at: self.begun,
        }
    }

    /// A job for an operation of a payment.
    pub(crate) fn job_of(&self, payment: &Payment, operation: u32, id: JobId) -> Job {
        Job {
            id,
            tenant: payment.tenant.clone(),
            queue: Queue::default(),
            kind: Kind::new("payment.charge").expect("a kind"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Assignment { payment: payment.id, operation }.payload().into(),
            options: JobOptions::shared_default(),
        }
    }

    /// An order for a job without a key.
    pub(crate) fn order_of(&self, entry: Entry, payment: &Payment, operation: u32, job: JobId) -> Order {
        let job = NewJob { job: self.job_of(payment, operation, job), idempotency: None };
        Order { entry, operation, job }
    }

    /// An order for a new payment.
    pub(crate) fn new_order(&self, payment: &Payment) -> Order {
        self.order_of(Entry::New(payment.clone()), payment, 1, payment.operations[0].job)
    }

    pub(crate) async fn order(&self, order: &Order) -> Ordered {
        self.books.order(order, ProcessId::NOBODY, &[]).await.expect("an order is answered")
    }

    /// Makes a payment; gives it as it is stored.
    pub(crate) async fn made(&self, payment: &Payment) -> Payment {
        let ordered = self.order(&self.new_order(payment)).await;
        assert!(matches!(ordered, Ordered::New(_)), "the payment was not made: {ordered:?}");
        self.read(payment.id).await
    }

    /// Makes a payment of 10.50 EUR.
    pub(crate) async fn some(&self) -> Payment {
        self.made(&self.payment(1_050, "EUR")).await
    }

    pub(crate) async fn find(&self, id: PaymentId) -> Option<Payment> {
        self.books.payment(id).await.expect("a payment is looked up").map(|seen| seen.payment)
    }

    pub(crate) async fn read(&self, id: PaymentId) -> Payment {
        self.find(id).await.expect("the payment is there")
    }

    pub(crate) async fn advance(&self, change: &Change) -> Advanced {
        self.books.advance(change).await.expect("a change is answered")
    }

    /// The change by which the charge is sent for the first time, by its job.
    pub(crate) fn sending(&self, payment: &Payment) -> Change {
        let mut payment = payment.clone();
        let at = self.begun;
        let charge = &mut payment.operations[0];
        charge.state = OperationState::Sent;
        charge.generations =
            vec![Generation { number: 1, first_sent_at: at, last_sent_at: at, sends: 1, spent: false }];
        let sender = Some((charge.job, 1));
        let request = ProviderRequest { path: "/v1/charges".to_owned(), body: "amount=1050&x=%00".into() };
        let request = Some(NewRequest { operation: 1, generation: 1, request });
        Change { id: Uuid::new_v4(), payment, request, posting: None, sender }
    }

    /// The change by which the charge is done.
    pub(crate) fn settling(&self, payment: &Payment) -> Change {
        let mut payment = payment.clone();
        let charge = &mut payment.operations[0];
        charge.state = OperationState::Succeeded;
        charge.object = Some("ch_1".to_owned());
        let posting = Posting::of(&payment, &payment.operations[0], self.begun);
        Change { id: Uuid::new_v4(), payment, request: None, posting: Some(posting), sender: None }
    }

    /// The change by which the answer to the charge is lost.
    pub(crate) fn losing(&self, payment: &Payment) -> Change {
        let mut payment = payment.clone();
        payment.operations[0].state = OperationState::Unknown;
        Change { id: Uuid::new_v4(), payment, request: None, posting: None, sender: None }
    }

    /// A change to nothing but the description.
    pub(crate) fn described(&self, payment: &Payment, description: &str) -> Change {
        let payment = Payment { description: Some(description.to_owned()), ..payment.clone() };
        Change { id: Uuid::new_v4(), payment, request: None, posting: None, sender: None }
    }

    pub(crate) async fn cancel(&self, job: JobId) -> Cancelled {
        let answers = self.ledger.cancel(&Tenant::default(), &[job], self.begun).await;
        answers.expect("a cancel is answered")[0]
    }

    /// Whether the ledger has the job.
    pub(crate) async fn has_job(&self, tenant: &Tenant, job: JobId) -> bool {
        self.ledger.job(tenant, job).await.expect("a job is looked up").is_some()
    }
}

/// What can be compared: the adapters' clocks are their own.
pub(crate) fn timeless(payment: Payment) -> Payment {
    Payment { created_at: Timestamp::default(), updated_at: Timestamp::default(), ..payment }
}

/// A key for an hour.
pub(crate) fn key(key: &str, fingerprint: u8) -> Option<Idempotency> {
    let (key, lifetime) = (key.to_owned(), Duration::from_secs(3_600));
    Some(Idempotency { key, fingerprint: [fingerprint; 32], lifetime })
}
