//! Payments held against their postings: a bounded number per look, so that in the end it was all of them.
//!
//! A posting is balanced by its form, so the accounts of a currency sum to zero whatever happens, and summing them would find
//! nothing. What can go wrong is that a payment and its postings tell different stories: a restore that was partial, an edit
//! by hand, a defect. Each look reads the newest payments, and goes on through the older ones where the one before it
//! ended; a *round* has gone through all of them. See `docs/decisions/0188`.

use haul_core::{
    Books,
    books::Sheet,
    ledger::Result,
    payment::{Currency, PaymentId},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Payments that are read at a time: also how many of the newest are read at each look.
const PAGE: usize = 1_000;
/// Pages of older payments that one look reads.
const PAGES_MAX: usize = 4;
/// Rounds begin so far apart, at least.
const ROUND_EVERY: Duration = Duration::from_secs(300);
/// Payments that one round names in the log.
const NAMED_MAX: usize = 10;

/// Where the round is, and what was found.
#[derive(Debug)]
pub(super) struct Round {
    page: usize,
    /// Those before this one are yet to be read; `None` between two rounds.
    before: Option<PaymentId>,
    begun: Option<Instant>,
    found: Found,
    /// What the round before found.
    last: BTreeSet<Currency>,
}

#[derive(Debug, Default)]
struct Found {
    currencies: BTreeSet<Currency>,
    named: BTreeSet<PaymentId>,
}

impl Default for Round {
    fn default() -> Self {
        Self::with_pages_of(PAGE)
    }
}

impl Round {
    fn with_pages_of(page: usize) -> Self {
        Self { page, before: None, begun: None, found: Found::default(), last: BTreeSet::new() }
    }

    /// Reads on. Says in how many currencies a payment was found that does not agree with its postings, in this round or
    /// in the last one. When a page cannot be read, the next look reads it.
    pub(super) async fn look(&mut self, books: &dyn Books) -> Result<usize> {
        let mut before = self.read(books, None).await?;
        if self.before.is_none() && self.begun.is_none_or(|begun| begun.elapsed() >= ROUND_EVERY) {
            // The page of the newest is the first of the round.
            self.begun = Some(Instant::now());
            self.end_if(before.is_none());
            self.before = before;
        }
        for _ in 0..PAGES_MAX {
            if self.before.is_none() {
                break;
            }
            before = self.read(books, self.before).await?;
            self.end_if(before.is_none());
            self.before = before;
        }
        Ok(self.last.union(&self.found.currencies).count())
    }

    /// Reads a page, and says what the one behind it lies before; `None` when there is none.
    async fn read(&mut self, books: &dyn Books, before: Option<PaymentId>) -> Result<Option<PaymentId>> {
        let sheets = books.sheets(before, self.page).await?;
        sheets.iter().filter(|sheet| !sheet.agrees()).for_each(|sheet| self.found.note(sheet));
        Ok(sheets.last().filter(|_| sheets.len() == self.page).map(|sheet| sheet.payment.id))
    }

    fn end_if(&mut self, is_over: bool) {
        if is_over {
            self.last = std::mem::take(&mut self.found).currencies;
        }
    }
}

impl Found {
    fn note(&mut self, Sheet { payment, .. }: &Sheet) {
        self.currencies.insert(payment.amount.currency());
        if self.named.len() < NAMED_MAX && self.named.insert(payment.id) {
            tracing::error!("what was posted for payment {} is not what it says has moved", payment.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        Job, JobId, JobOptions, Kind, Ledger, Payment, Priority, ProcessId, Queue, Tenant, Timestamp,
        books::{Advanced, Change, Entry, Order, Ordered, Posting},
        ledger::NewJob,
        payment::{Assignment, Money, Operation, OperationKind, OperationState},
    };
    use haul_embedded::SqliteLedger;
    use std::collections::BTreeMap;
    use tempfile::TempDir;
    use uuid::Uuid;

    struct World {
        books: SqliteLedger,
        at: Timestamp,
        made: u32,
        _directory: TempDir,
    }

    impl World {
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let books = SqliteLedger::open(directory.path()).await.unwrap();
            let at = books.now().await.unwrap();
            Self { books, at, made: 0, _directory: directory }
        }

        fn id(&mut self) -> Uuid {
            self.made += 1;
            let mut low = [0; 10];
            low[6..].copy_from_slice(&self.made.to_be_bytes());
            uuid::Builder::from_unix_timestamp_millis(self.at.as_ms().unsigned_abs(), &low).into_uuid()
        }

        /// Makes a payment whose charge is done; with its posting, or without.
        async fn pay(&mut self, currency: &str, is_posted: bool) {
            let (id, job) = (PaymentId(self.id()), JobId(self.id()));
            let currency = Currency::new(currency).unwrap();
            let mut payment = Payment {
                id,
                tenant: Tenant::new("any").unwrap(),
                version: 1,
                amount: Money::new(1_050, currency).unwrap(),
                capture: true,
                source: "tok_visa".to_owned(),
                description: None,
                metadata: BTreeMap::new(),
                operations: vec![Operation::new(1, OperationKind::Charge, 1_050, job)],
                created_at: self.at,
                updated_at: self.at,
            };
            let job = Job {
                id: job,
                tenant: payment.tenant.clone(),
                queue: Queue::default(),
                kind: Kind::new("payment.charge").unwrap(),
                priority: Priority::default(),
                run_at: self.at,
                payload: Assignment { payment: id, operation: 1 }.payload().into(),
                options: JobOptions::shared_default(),
            };
            let job = NewJob { job, idempotency: None };
            let order = Order { entry: Entry::New(payment.clone()), operation: 1, job };
            let ordered = self.books.order(&order, ProcessId::NOBODY, &[]).await.unwrap();
            assert!(matches!(ordered, Ordered::New(_)), "{ordered:?}");
            payment.operations[0].state = OperationState::Succeeded;
            let posting = is_posted.then(|| Posting::of(&payment, &payment.operations[0], self.at));
            let change = Change { id: Uuid::new_v4(), payment, request: None, posting, sender: None };
            assert_eq!(self.books.advance(&change).await.unwrap(), Advanced::Done);
        }

        async fn look(&self, round: &mut Round) -> usize {
            round.look(&self.books).await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_was_not_posted_is_found_however_many_payments_came_after_it() {
        let mut world = World::new().await;
        world.pay("CHF", false).await;
        world.pay("JPY", false).await;
        for _ in 0..30 {
            world.pay("EUR", true).await;
        }
        let mut round = Round::with_pages_of(3);
        let mut looks = Vec::new();
        for _ in 0..3 {
            looks.push(world.look(&mut round).await);
        }
        // A look reads 3 of the newest and 12 others; the first of a round begins with the newest.
        assert_eq!(looks, [0, 0, 2]);
    }

    #[tokio::test]
    async fn of_the_newest_payments_it_is_found_at_the_next_look() {
        let mut world = World::new().await;
        world.pay("EUR", true).await;
        let mut round = Round::with_pages_of(3);
        assert_eq!(world.look(&mut round).await, 0);
        world.pay("EUR", false).await;
        assert_eq!(world.look(&mut round).await, 1, "between two rounds, too");
        for _ in 0..10 {
            world.pay("EUR", true).await;
        }
        assert_eq!(world.look(&mut round).await, 1, "it is not forgotten when it is no longer among the newest");
    }

    #[tokio::test]
    async fn what_was_found_is_shown_until_a_whole_round_has_found_nothing() {
        let mut world = World::new().await;
        let mut round = Round::with_pages_of(3);
        world.pay("EUR", true).await;
        // As if the payment had been put right since.
        round.found.currencies.insert(Currency::new("EUR").unwrap());
        let next_round = |round: &mut Round| round.begun = None;
        assert_eq!(world.look(&mut round).await, 1, "by the round that ends here");
        assert_eq!(world.look(&mut round).await, 1, "by the last round");
        next_round(&mut round);
        assert_eq!(world.look(&mut round).await, 0);
    }
}
