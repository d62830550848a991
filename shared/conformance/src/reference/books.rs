//! The reference ledger as a store of payments.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{
    Books, Payment, PaymentId, ProcessId, Tenant,
    books::{Advanced, Balance, Change, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{ReceiptId, Result},
    payment::{PaymentState, ProviderRequest},
};

#[async_trait]
impl Books for ReferenceLedger {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        self.state.lock().order(self.clock.now(), self.rule_time(), order, owner, done)
    }
    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        Ok(self.state.lock().remembered(self.rule_time(), tenant, key))
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        Ok(self.state.lock().payment(self.clock.now(), id))
    }
    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        Ok(self.state.lock().payments(tenant, state, before, limit))
    }
    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        Ok(self.state.lock().unfinished(after, limit))
    }
    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        Ok(self.state.lock().unknown(limit))
    }
    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        Ok(self.state.lock().sheets(before, limit))
    }
    async fn advance(&self, change: &Change) -> Result<Advanced> {
        self.state.lock().advance(self.clock.now(), change)
    }
    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        Ok(self.state.lock().request(payment, operation, generation))
    }
    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        Ok(self.state.lock().postings(payment))
    }
    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        Ok(self.state.lock().balances(tenant))
    }
    async fn is_noted(&self, event: &str) -> Result<bool> {
        Ok(self.state.lock().is_noted(event))
    }
    async fn note(&self, event: &str) -> Result<()> {
        self.state.lock().note(event);
        Ok(())
    }
}
