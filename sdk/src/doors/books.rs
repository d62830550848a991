//! The books behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Books, Payment, PaymentId, ProcessId, Tenant,
    books::{Advanced, Balance, Change, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{LedgerError, ReceiptId, Result},
    payment::{PaymentState, ProviderRequest},
};
use std::sync::{Arc, OnceLock};

/// Books that are not reached yet, or are.
#[derive(Default)]
pub(crate) struct BooksDoor(OnceLock<Arc<dyn Books>>);

impl BooksDoor {
    /// From now on these answer. Only the first ones count.
    pub(crate) fn open(&self, books: Arc<dyn Books>) {
        self.0.get_or_init(|| books);
    }

    fn get(&self) -> Result<&Arc<dyn Books>> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().ok_or_else(closed)
    }
}

#[async_trait]
impl Books for BooksDoor {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        self.get()?.order(order, owner, done).await
    }
    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        self.get()?.remembered(tenant, key).await
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        self.get()?.payment(id).await
    }
    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        self.get()?.payments(tenant, state, before, limit).await
    }
    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        self.get()?.unfinished(after, limit).await
    }
    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        self.get()?.unknown(limit).await
    }
    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        self.get()?.sheets(before, limit).await
    }
    async fn advance(&self, change: &Change) -> Result<Advanced> {
        self.get()?.advance(change).await
    }
    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        self.get()?.request(payment, operation, generation).await
    }
    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        self.get()?.postings(payment).await
    }
    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        self.get()?.balances(tenant).await
    }
    async fn is_noted(&self, event: &str) -> Result<bool> {
        self.get()?.is_noted(event).await
    }
    async fn note(&self, event: &str) -> Result<()> {
        self.get()?.note(event).await
    }
}
