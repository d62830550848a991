//! Stores of payments that each break one promise.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Books, Ledger, Payment, PaymentId, ProcessId, Tenant,
    books::{Advanced, Balance, Change, Entry, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{ReceiptId, Result},
    payment::{PaymentState, ProviderRequest},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    PostsTwice,
    LetsStaleChangesThrough,
    LooksBeforeItChanges,
    SumsOneSide,
    ForgetsTheBytes,
    MakesTheRequestText,
    ForgetsThePosting,
    ForgetsWhoSends,
    LooksAtThePaymentFirst,
    MakesJobsForAnybody,
    IgnoresKeys,
    RefusesWhatItHasMade,
    HidesWhatIsOpen,
    CountsWhatIsOpen,
    CountsWithoutLimit,
    ReadsSheetsOfOneTenant,
    ReadsPostingsLater,
    ForgetsEvents,
}
use Defect::*;

pub(crate) struct BrokenBooks {
    inner: Arc<ReferenceLedger>,
    defect: Defect,
}

impl BrokenBooks {
    pub(crate) fn new(inner: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner, defect }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    async fn version(&self, id: PaymentId) -> Option<i64> {
        let seen = Books::payment(&*self.inner, id).await.ok()??;
        Some(seen.payment.version)
    }
}

#[async_trait]
impl Books for BrokenBooks {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        let mut order = order.clone();
        match &order.entry {
            _ if self.is(IgnoresKeys) => order.job.idempotency = None,
            Entry::Changed(change)
                if self.is(LooksAtThePaymentFirst)
                    && self.version(change.payment.id).await != Some(change.payment.version) =>
            {
                return Ok(Ordered::Stale);
            }
            _ => {}
        }
        let ordered = self.inner.order(&order, owner, done).await?;
        if self.is(MakesJobsForAnybody) && ordered == Ordered::Unknown {
            let accepted = self.inner.accept(&[order.job], owner, done).await?;
            return Ok(accepted.receipt.map_or(Ordered::Unknown, Ordered::New));
        }
        Ok(ordered)
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        self.inner.remembered(tenant, key).await
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        Books::payment(&*self.inner, id).await
    }
    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        self.inner.payments(tenant, state, before, limit).await
    }

    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        let mut found = self.inner.unfinished(after, limit).await?;
        if self.is(HidesWhatIsOpen) {
            found.retain(|payment| payment.state() == PaymentState::Unknown);
        }
        Ok(found)
    }

    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        match self.defect {
            CountsWhatIsOpen => {
                let open = self.inner.unfinished(None, limit).await?;
                let changed = open.iter().map(|payment| payment.updated_at);
                Ok(Unknowns { count: open.len() as u64, oldest: changed.min() })
            }
            CountsWithoutLimit => self.inner.unknown(usize::MAX).await,
            _ => self.inner.unknown(limit).await,
        }
    }
    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        let mut sheets = self.inner.sheets(before, limit).await?;
        match self.defect {
            ReadsSheetsOfOneTenant => sheets.retain(|sheet| sheet.payment.tenant == Tenant::default()),
            ReadsPostingsLater => {
                for Sheet { payment, postings } in &mut sheets {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    *postings = self.inner.postings(payment.id).await?;
                }
            }
            _ => {}
        }
        Ok(sheets)
    }

    async fn advance(&self, change: &Change) -> Result<Advanced> {
        let mut change = change.clone();
        let stored = self.version(change.payment.id).await;
        match self.defect {
            LetsStaleChangesThrough => change.payment.version = stored.unwrap_or(change.payment.version),
            LooksBeforeItChanges if stored == Some(change.payment.version) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                change.payment.version = self.version(change.payment.id).await.unwrap_or_default();
                if let Some(posting) = &mut change.posting {
                    posting.step = Uuid::new_v4().to_string();
                }
            }
            ForgetsTheBytes => change.request = None,
            ForgetsThePosting => change.posting = None,
            ForgetsWhoSends => change.sender = None,
            RefusesWhatItHasMade => change.id = Uuid::new_v4(),
            _ => {}
        }
        let advanced = self.inner.advance(&change).await?;
        if let (true, Some(posting)) = (self.is(PostsTwice), change.posting) {
            let payment = Payment { version: change.payment.version + 1, ..change.payment };
            let posting = Some(Posting { step: format!("{}:again", posting.step), ..posting });
            let again = Change { id: Uuid::new_v4(), payment, request: None, posting, sender: None };
            self.inner.advance(&again).await?;
        }
        Ok(advanced)
    }

    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        let mut stored = self.inner.request(payment, operation, generation).await?;
        if let (true, Some(request)) = (self.is(MakesTheRequestText), &mut stored) {
            request.body = String::from_utf8_lossy(&request.body).into_owned().into();
        }
        Ok(stored)
    }

    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        self.inner.postings(payment).await
    }

    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        let mut balances = self.inner.balances(tenant).await?;
        if self.is(SumsOneSide) {
            balances.retain(|balance| balance.amount > 0);
        }
        Ok(balances)
    }

    async fn is_noted(&self, event: &str) -> Result<bool> {
        self.inner.is_noted(event).await
    }
    async fn note(&self, event: &str) -> Result<()> {
        if self.is(ForgetsEvents) { Ok(()) } else { self.inner.note(event).await }
    }
}
