//! I1, I3 and I5 for payments: what was promised, what the provider did, and what the books say.

use super::{Invariant, Violation};
use crate::{evidence::Evidence, payments::Payments};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong with a run's payments; nothing for a run without any.
#[must_use]
pub fn payments_agree(evidence: &Evidence) -> Vec<Violation> {
    let Some(payments) = &evidence.payments else { return Vec::new() };
    let mut violations = known_and_ended(payments);
    violations.extend(applied_once(payments));
    violations.extend(books_agree(payments));
    violations
}

/// I1: each acknowledged payment is in the ledger, once per key, and has ended; none is unknown.
fn known_and_ended(payments: &Payments) -> Vec<Violation> {
    let rows: BTreeMap<&str, _> = payments.rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut violations = Vec::new();
    let mut refuse = |detail: String| violations.push(Violation::new(Invariant::I1, detail));
    for asked in &payments.asked {
        let ids: BTreeSet<&String> = asked.accepted.iter().collect();
        if ids.len() > 1 {
            refuse(format!("{}: one key was acknowledged as {} payments", asked.key, ids.len()));
        }
        for id in ids {
            match rows.get(id.as_str()) {
                None => refuse(format!("{}: acknowledged as payment {id}, and not in the ledger", asked.key)),
                Some(row) if row.is_open || !matches!(row.state.as_str(), "succeeded" | "declined" | "refunded") => {
                    refuse(format!("payment {id} has not ended: {}", row.state));
                }
                Some(_) => {}
            }
        }
    }
    violations
}

/// I3: the provider was made to do each operation once at most, and none that the books do not know.
fn applied_once(payments: &Payments) -> Vec<Violation> {
    let rows: BTreeSet<&str> = payments.rows.iter().map(|row| row.id.as_str()).collect();
    let mut done: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for moved in &payments.moved {
        done.entry((&moved.payment, &moved.operation)).or_default().push(&moved.idempotency_key);
    }
    let mut violations = Vec::new();
    for ((payment, operation), keys) in done {
        if keys.len() > 1 {
            let how = format!(
                "payment {payment}, operation {operation}: applied {} times, under {}",
                keys.len(),
                keys.join(" and ")
            );
            violations.push(Violation::new(Invariant::I3, how));
        }
        if !rows.contains(payment) {
            violations
                .push(Violation::new(Invariant::I3, format!("{payment:?}: paid for nothing that is in the ledger")));
        }
    }
    violations
}

/// I5: postings sum to zero, and are what the provider did: by currency and payment by payment.
fn books_agree(payments: &Payments) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |detail: String| violations.push(Violation::new(Invariant::I5, detail));
    for (currency, sum) in payments.sums.iter().filter(|(_, sum)| **sum != 0) {
        refuse(format!("the postings in {currency} sum to {sum}"));
    }
    let mut by_currency: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
    let mut by_payment: BTreeMap<(&str, &str), (i128, i128)> = BTreeMap::new();
    for moved in &payments.moved {
        by_currency.entry(&moved.currency).or_default().0 += moved.amount;
        by_payment.entry((&moved.payment, &moved.currency)).or_default().0 += moved.amount;
    }
    for posted in &payments.posted {
        by_currency.entry(&posted.currency).or_default().1 += posted.amount;
        by_payment.entry((&posted.payment, &posted.currency)).or_default().1 += posted.amount;
    }
    for (currency, (moved, posted)) in by_currency.into_iter().filter(|(_, (moved, posted))| moved != posted) {
        refuse(format!("{currency}: the provider has {moved}, the postings say {posted}"));
    }
    for ((payment, currency), (moved, posted)) in by_payment.into_iter().filter(|(_, (moved, posted))| moved != posted)
    {
        refuse(format!("payment {payment}: the provider has {moved} {currency}, the postings say {posted}"));
    }
    let posted_for: BTreeSet<&str> = payments.posted.iter().map(|posted| posted.payment.as_str()).collect();
    for row in payments.rows.iter().filter(|row| row.state == "succeeded" && !posted_for.contains(row.id.as_str())) {
        refuse(format!("payment {} has succeeded, and nothing is posted for it", row.id));
    }
    let charged: BTreeMap<&str, &_> =
        payments.asked.iter().flat_map(|asked| asked.accepted.iter().map(move |id| (id.as_str(), asked))).collect();
    for posted in payments.posted.iter().filter(|posted| posted.amount > 0) {
        if let Some(asked) = charged.get(posted.payment.as_str())
            && (asked.amount, &asked.currency) != (posted.amount, &posted.currency)
        {
            refuse(format!(
                "payment {}: {} {} was asked for, {} {} is posted",
                posted.payment, asked.amount, asked.currency, posted.amount, posted.currency
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{Asked, Moved, Posted, Row};

    /// A payment of 10 EUR that was asked for, charged and posted.
    fn good() -> Payments {
        let (id, currency) = ("p-1".to_owned(), "EUR".to_owned());
        Payments {
            asked: vec![Asked {
                key: "k".to_owned(),
                amount: 10,
                currency: currency.clone(),
                accepted: vec![id.clone()],
            }],
            moved: vec![Moved {
                payment: id.clone(),
                operation: "1".to_owned(),
                idempotency_key: "haul_p-1_1_1".to_owned(),
                amount: 10,
                currency: currency.clone(),
            }],
            struck: 0,
            rows: vec![Row { id: id.clone(), state: "succeeded".to_owned(), is_open: false }],
            posted: vec![Posted { payment: id, step: "charge:1".to_owned(), amount: 10, currency }],
            sums: BTreeMap::from([("EUR".to_owned(), 0)]),
        }
    }

    fn violated(payments: Payments) -> Vec<Invariant> {
        let evidence = Evidence { payments: Some(payments), ..Evidence::default() };
        payments_agree(&evidence).into_iter().map(|violation| violation.invariant).collect()
    }

    #[test]
    fn books_that_agree_have_no_fault() {
        assert_eq!(violated(good()), []);
        assert_eq!(payments_agree(&Evidence::default()), []);
    }

    #[test]
    fn a_charge_under_a_second_key_is_applied_twice_and_the_books_differ() {
        let mut twice = good();
        let again = Moved { idempotency_key: "haul_p-1_1_2".to_owned(), ..twice.moved[0].clone() };
        twice.moved.push(again);
        let violated = violated(twice);
        assert!(violated.contains(&Invariant::I3) && violated.contains(&Invariant::I5), "{violated:?}");
    }

    #[test]
    fn a_charge_without_a_posting_and_a_posting_without_a_charge_are_found() {
        let mut unposted = good();
        unposted.posted.clear();
        assert_eq!(violated(unposted), [Invariant::I5; 3], "the currency, the payment and its state");
        let mut of_nothing = good();
        (of_nothing.posted, of_nothing.moved) = (Vec::new(), Vec::new());
        assert_eq!(violated(of_nothing), [Invariant::I5], "its state");
        let mut invented = good();
        invented.moved.clear();
        assert_eq!(violated(invented), [Invariant::I5, Invariant::I5]);
    }

    #[test]
    fn amounts_that_only_agree_in_sum_are_found() {
        let mut swapped = good();
        swapped.rows.push(Row { id: "p-2".to_owned(), ..swapped.rows[0].clone() });
        swapped.posted[0].payment = "p-2".to_owned();
        assert_eq!(violated(swapped), [Invariant::I5; 3]);
    }

    #[test]
    fn a_payment_that_is_lost_open_or_doubled_is_found() {
        let mut lost = good();
        (lost.rows, lost.moved, lost.posted) = (Vec::new(), Vec::new(), Vec::new());
        assert_eq!(violated(lost), [Invariant::I1]);
        let mut unknown = good();
        unknown.rows[0].state = "unknown".to_owned();
        assert_eq!(violated(unknown), [Invariant::I1]);
        let mut doubled = good();
        doubled.rows.push(Row { id: "p-2".to_owned(), ..doubled.rows[0].clone() });
        doubled.asked[0].accepted.push("p-2".to_owned());
        assert_eq!(violated(doubled), [Invariant::I1, Invariant::I5]);
    }

    #[test]
    fn another_amount_than_was_asked_for_is_found() {
        let mut other = good();
        other.asked[0].amount = 11;
        assert_eq!(violated(other), [Invariant::I5]);
    }
}
