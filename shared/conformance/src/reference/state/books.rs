//! Payments, what was sent for them and what moved, and which jobs work on them.

use haul_core::{
    JobId, Payment, PaymentId, ProcessId, Tenant, Timestamp,
    books::{Advanced, Balance, Change, Entry, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{Accepted, LedgerError, ReceiptId, Result},
    payment::{PaymentState, ProviderRequest},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

#[derive(Debug)]
struct Stored {
    payment: Payment,
    last_change: Option<Uuid>,
}

/// A job that works on an operation.
#[derive(Debug)]
struct Work {
    payment: PaymentId,
    operation: u32,
    has_sent: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    payments: BTreeMap<PaymentId, Stored>,
    requests: BTreeMap<(PaymentId, u32, u32), ProviderRequest>,
    postings: BTreeMap<(PaymentId, String), Posting>,
    works: HashMap<JobId, Work>,
    noted: BTreeSet<String>,
}

impl State {
    pub(super) fn has_sent(&self, job: JobId) -> bool {
        self.works.get(&job).is_some_and(|work| work.has_sent)
    }

    /// Whether the payment is where the change was decided, or where it leads.
    fn is_free(&self, change: &Change) -> Option<bool> {
        let stored = self.payments.get(&change.payment.id)?;
        if stored.last_change == Some(change.id) {
            return Some(false);
        }
        (stored.payment.version == change.payment.version).then_some(true)
    }

    /// Why the change cannot be stored, if it cannot.
    fn refusal(&self, change: &Change) -> Option<LedgerError> {
        let Change { payment, request, posting, .. } = change;
        let is_stored = |new: &haul_core::books::NewRequest| {
            self.requests.contains_key(&(payment.id, new.operation, new.generation))
        };
        let is_posted = |posting: &Posting| self.postings.contains_key(&(payment.id, posting.step.clone()));
        let is_nothing = |posting: &Posting| posting.amount < 1 || posting.debit == posting.credit;
        if request.as_ref().is_some_and(is_stored) {
            return Some(LedgerError::Refused("the request is stored already".into()));
        }
        let is_bad = |posting| is_posted(posting) || is_nothing(posting);
        posting.as_ref().is_some_and(is_bad).then(|| LedgerError::Refused("the posting is not one".into()))
    }

    fn write(&mut self, change: &Change, now: Timestamp) {
        let Change { id, payment, request, posting, sender } = change.clone();
        if let Some(new) = request {
            self.requests.insert((payment.id, new.operation, new.generation), new.request);
        }
        if let Some(posting) = posting {
            self.postings.insert((payment.id, posting.step.clone()), posting);
        }
        if let Some(work) = sender.and_then(|(job, _)| self.works.get_mut(&job)) {
            work.has_sent = true;
        }
        if let Some(stored) = self.payments.get_mut(&payment.id) {
            let created_at = stored.payment.created_at;
            let version = payment.version + 1;
            stored.payment = Payment { version, created_at, updated_at: now, ..payment };
            stored.last_change = Some(id);
        }
    }
}

impl super::State {
    pub(in crate::reference) fn order(
        &mut self,
        now: Timestamp,
        rule_time: Timestamp,
        order: &Order,
        owner: ProcessId,
        done: &[ReceiptId],
    ) -> Result<Ordered> {
        let Order { entry, operation, job } = order;
        let is_made = self.books.works.contains_key(&job.job.id);
        let known = job.idempotency.as_ref().and_then(|asked| {
            let slot = (job.job.tenant.clone(), asked.key.clone());
            let known = self.keys.get(&slot).filter(|known| known.expires_at > rule_time)?;
            Some((known.job, known.fingerprint == asked.fingerprint))
        });
        match known {
            Some((holder, _)) if holder == job.job.id => {}
            Some((holder, true)) => return Ok(Ordered::Replayed(holder)),
            Some((_, false)) => return Ok(Ordered::KeyReused),
            None => {}
        }
        if !is_made {
            let refused = match entry {
                Entry::New(payment) => (payment.operation(*operation).is_none()).then_some(Ordered::Unknown),
                Entry::Same(id) => {
                    let stored = self.books.payments.get(id).filter(|stored| stored.payment.tenant == job.job.tenant);
                    let has_it = stored.is_some_and(|stored| stored.payment.operation(*operation).is_some());
                    (!has_it).then_some(Ordered::Unknown)
                }
                Entry::Changed(change) => {
                    let has_it = change.payment.operation(*operation).is_some();
                    let stored = self.books.payments.get(&change.payment.id);
                    match stored.filter(|stored| stored.payment.tenant == job.job.tenant && has_it) {
                        None => Some(Ordered::Unknown),
                        Some(_) if self.books.is_free(change).is_none() => Some(Ordered::Stale),
                        Some(_) => None,
                    }
                }
            };
            if let Some(refused) = refused {
                return Ok(refused);
            }
            if let Entry::Changed(change) = entry
                && let Some(error) = self.books.refusal(change)
            {
                return Err(error);
            }
        }
        let accepted = self.accept(rule_time, std::slice::from_ref(job), owner, done)?;
        let (Some(Accepted::New), Some(receipt)) = (accepted.jobs.first(), accepted.receipt) else {
            return Ok(Ordered::KeyReused);
        };
        if !is_made {
            match entry {
                Entry::New(payment) => {
                    let payment = Payment { version: 1, created_at: now, updated_at: now, ..payment.clone() };
                    self.books.payments.entry(payment.id).or_insert(Stored { payment, last_change: None });
                }
                Entry::Changed(change) => self.books.write(change, now),
                Entry::Same(_) => {}
            }
            let work = Work { payment: entry.payment(), operation: *operation, has_sent: false };
            self.books.works.insert(job.job.id, work);
        }
        Ok(Ordered::New(receipt))
    }

    pub(in crate::reference) fn remembered(
        &self,
        rule_time: Timestamp,
        tenant: &Tenant,
        key: &str,
    ) -> Option<Remembered> {
        let known = self.keys.get(&(tenant.clone(), key.to_owned())).filter(|known| known.expires_at > rule_time)?;
        Some(Remembered { fingerprint: known.fingerprint, job: known.job })
    }

    pub(in crate::reference) fn payment(&self, now: Timestamp, id: PaymentId) -> Option<Seen> {
        self.books.payments.get(&id).map(|stored| Seen { payment: stored.payment.clone(), now })
    }

    pub(in crate::reference) fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Vec<Payment> {
        let payments = self.books.payments.values().rev().map(|stored| &stored.payment);
        let of_tenant = payments.filter(|payment| payment.tenant == *tenant);
        let earlier = of_tenant.filter(|payment| before.is_none_or(|before| payment.id < before));
        let fits = earlier.filter(|payment| state.is_none_or(|state| payment.state() == state));
        fits.take(limit).cloned().collect()
    }

    pub(in crate::reference) fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Vec<Payment> {
        let payments = self.books.payments.values().map(|stored| &stored.payment);
        let later = payments.filter(|payment| after.is_none_or(|after| payment.id > after));
        later.filter(|payment| payment.is_unfinished()).take(limit).cloned().collect()
    }

    pub(in crate::reference) fn unknown(&self, limit: usize) -> Unknowns {
        let payments = self.books.payments.values().map(|stored| &stored.payment);
        let unknown = payments.filter(|payment| payment.state() == PaymentState::Unknown).take(limit);
        let changed: Vec<Timestamp> = unknown.map(|payment| payment.updated_at).collect();
        Unknowns { count: changed.len() as u64, oldest: changed.into_iter().min() }
    }

    pub(in crate::reference) fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Vec<Sheet> {
        let payments = self.books.payments.values().rev().map(|stored| &stored.payment);
        let earlier = payments.filter(|payment| before.is_none_or(|before| payment.id < before));
        let sheet = |payment: &Payment| Sheet { payment: payment.clone(), postings: self.postings(payment.id) };
        earlier.take(limit).map(sheet).collect()
    }

    pub(in crate::reference) fn advance(&mut self, now: Timestamp, change: &Change) -> Result<Advanced> {
        match self.books.is_free(change) {
            None => return Ok(Advanced::Stale),
            Some(false) => return Ok(Advanced::Done),
            Some(true) => {}
        }
        if let Some((job, operation)) = change.sender {
            let work = self.books.works.get(&job);
            if !work.is_some_and(|work| work.payment == change.payment.id && work.operation == operation) {
                return Ok(Advanced::NotOurs);
            }
            if self.jobs.get(&job).is_none_or(|stored| stored.outcome.is_some()) {
                return Ok(Advanced::Ended);
            }
        }
        if let Some(error) = self.books.refusal(change) {
            return Err(error);
        }
        self.books.write(change, now);
        Ok(Advanced::Done)
    }

    pub(in crate::reference) fn request(
        &self,
        payment: PaymentId,
        operation: u32,
        generation: u32,
    ) -> Option<ProviderRequest> {
        self.books.requests.get(&(payment, operation, generation)).cloned()
    }

    pub(in crate::reference) fn postings(&self, payment: PaymentId) -> Vec<Posting> {
        let postings = self.books.postings.values().filter(|posting| posting.payment == payment);
        postings.cloned().collect()
    }

    pub(in crate::reference) fn balances(&self, tenant: &Tenant) -> Vec<Balance> {
        let mut sums = BTreeMap::new();
        for posting in self.books.postings.values().filter(|posting| posting.tenant == *tenant) {
            *sums.entry((posting.debit.clone(), posting.currency)).or_insert(0) += posting.amount;
            *sums.entry((posting.credit.clone(), posting.currency)).or_insert(0) -= posting.amount;
        }
        let balance = |((account, currency), amount)| Balance { account, currency, amount };
        sums.into_iter().map(balance).collect()
    }

    pub(in crate::reference) fn is_noted(&self, event: &str) -> bool {
        self.books.noted.contains(event)
    }

    pub(in crate::reference) fn note(&mut self, event: &str) {
        self.books.noted.insert(event.to_owned());
    }
}
