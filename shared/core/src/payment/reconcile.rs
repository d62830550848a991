//! Reconciling: what attempts have left open is looked up, and what the provider lists is compared with the books.
//!
//! Nothing is ever sent here. What is found is settled; what contradicts is flagged, for people. Bounded by a number of
//! payments and pages per run; run again, it begins anew.

use super::{
    Assignment, Ended, ListOf, Object, ObjectState, Operation, OperationState, Payment, Provider, Rules,
    drive::{look, look_up, take_in},
};
use crate::{books::Books, ledger::Result, payment::PaymentId, time::Timestamp};
use serde::Serialize;

/// Payments read at a time.
const PAGE: usize = 100;
/// Pages of a provider's list that one run reads.
const PAGES_MAX: usize = 1_000;

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Operations that were open and were looked up.
    pub looked_at: u64,
    /// Operations that ended by it.
    pub settled: u64,
    /// Operations that are still open.
    pub waiting: u64,
    /// Operations that somebody has to look at.
    pub flagged: u64,
    /// Objects of the provider's that were compared.
    pub compared: u64,
    /// Objects that name a payment which the books do not have.
    pub missing: u64,
    /// Objects that name no payment of ours.
    pub foreign: u64,
    /// Whether the provider's lists could not be read to their end.
    pub is_cut: bool,
}

/// Looks up what is open, at most `limit` operations, and compares what the provider has made since then.
pub async fn reconcile(
    books: &dyn Books,
    provider: &dyn Provider,
    rules: &Rules,
    since: Timestamp,
    limit: u64,
) -> Result<Reconciled> {
    let mut done = Reconciled::default();
    look_up_open(books, provider, rules, limit, &mut done).await?;
    for of in [ListOf::Charges, ListOf::Refunds] {
        compare(books, provider, rules, of, since, &mut done).await?;
    }
    Ok(done)
}

async fn look_up_open(
    books: &dyn Books,
    provider: &dyn Provider,
    rules: &Rules,
    limit: u64,
    done: &mut Reconciled,
) -> Result<()> {
    let mut after: Option<PaymentId> = None;
    loop {
        let page = books.unfinished(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for Payment { id, operations, .. } in page {
            for Operation { number, state, .. } in operations {
                // What was never sent is nothing to ask about.
                if state.is_final() || state == OperationState::Pending {
                    continue;
                }
                if done.looked_at >= limit {
                    return Ok(());
                }
                done.looked_at += 1;
                // Read anew: an answer counts for the version that it was asked of.
                let Some(seen) = books.payment(id).await? else { continue };
                let Some(event) = look_up(provider, &seen.payment, number, seen.now).await else { continue };
                let assignment = Assignment { payment: id, operation: number };
                done.count(look(books, rules, assignment, event).await?);
            }
        }
    }
}

async fn compare(
    books: &dyn Books,
    provider: &dyn Provider,
    rules: &Rules,
    of: ListOf,
    since: Timestamp,
    done: &mut Reconciled,
) -> Result<()> {
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let Ok(page) = provider.list(of, since, cursor.as_deref()).await else {
            done.is_cut = true;
            return Ok(());
        };
        for object in page.objects {
            compare_one(books, rules, object, done).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
    done.is_cut = true;
    Ok(())
}

async fn compare_one(books: &dyn Books, rules: &Rules, object: Object, done: &mut Reconciled) -> Result<()> {
    let (Some(payment), Some(number)) = (object.payment, object.operation) else {
        done.foreign += 1;
        return Ok(());
    };
    done.compared += 1;
    let Some(seen) = books.payment(payment).await? else {
        done.missing += 1;
        return Ok(());
    };
    let Some(operation) = seen.payment.operation(number) else {
        done.missing += 1;
        return Ok(());
    };
    // Only what was done is a fact that cannot be outdated.
    let is_news = operation.state != OperationState::Succeeded || operation.object.as_ref() != Some(&object.id);
    if object.state == ObjectState::Done && is_news {
        let ended = take_in(books, rules, payment, number, object).await?;
        done.count(ended);
    }
    Ok(())
}

impl Reconciled {
    fn count(&mut self, ended: Option<Ended>) {
        match ended {
            Some(Ended::Succeeded { .. } | Ended::Declined(_) | Ended::NotDone) => self.settled += 1,
            Some(Ended::Flagged(_)) => self.flagged += 1,
            Some(Ended::Later { .. } | Ended::Cancelled | Ended::NotOurs) | None => self.waiting += 1,
        }
    }
}
