//! Looking: lists, balances and events.

use super::stage::Stage;
use haul_core::{
    Payment, PaymentId, Tenant,
    books::{Balance, Change, Posting, Sheet, Unknowns},
    payment::{Currency, Operation, OperationKind, OperationState, PaymentState},
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

fn ids(payments: &[Payment]) -> Vec<PaymentId> {
    payments.iter().map(|payment| payment.id).collect()
}

pub async fn payments_are_listed_the_newest_first(stage: Stage) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(stage.some().await);
    }
    let theirs = Payment { tenant: Tenant::new("theirs").expect("a tenant"), ..stage.payment(1, "EUR") };
    stage.made(&theirs).await;
    let list = async |before, limit| {
        let page = stage.books.payments(&Tenant::default(), None, before, limit).await;
        ids(&page.expect("payments are listed"))
    };
    let newest: Vec<PaymentId> = ids(&made).into_iter().rev().collect();
    assert_eq!(list(None, 10).await, newest);
    assert_eq!(list(None, 2).await, newest[..2]);
    assert_eq!(list(Some(newest[1]), 2).await, newest[2..4]);
    assert_eq!(list(Some(newest[4]), 2).await, []);
}

pub async fn payments_of_a_state_are_listed(stage: Stage) {
    let (pending, done) = (stage.some().await, stage.some().await);
    stage.advance(&stage.settling(&done)).await;
    let list = async |state| {
        let page = stage.books.payments(&Tenant::default(), Some(state), None, 10).await;
        ids(&page.expect("payments are listed"))
    };
    assert_eq!(list(PaymentState::Pending).await, [pending.id]);
    assert_eq!(list(PaymentState::Succeeded).await, [done.id]);
    assert_eq!(list(PaymentState::Unknown).await, []);
}

pub async fn what_is_not_final_is_found(stage: Stage) {
    let (first, done, last) = (stage.some().await, stage.some().await, stage.some().await);
    stage.advance(&stage.settling(&done)).await;
    let list = async |after, limit| ids(&stage.books.unfinished(after, limit).await.expect("payments are listed"));
    assert_eq!(list(None, 10).await, [first.id, last.id]);
    assert_eq!(list(None, 1).await, [first.id]);
    assert_eq!(list(Some(first.id), 10).await, [last.id]);
    stage.advance(&stage.settling(&first)).await;
    assert_eq!(list(None, 10).await, [last.id]);
}

pub async fn what_is_unknown_is_counted_with_the_oldest_of_it(stage: Stage) {
    let unknown = async || stage.books.unknown(10).await.expect("what is unknown is counted");
    let (_pending, second, first) = (stage.some().await, stage.some().await, stage.some().await);
    assert_eq!(unknown().await, Unknowns::default());
    let mut changed = Vec::new();
    for payment in [&first, &second] {
        stage.advance(&stage.losing(payment)).await;
        changed.push(stage.read(payment.id).await);
        // So that the other one's time is a later one.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert!(changed[0].updated_at < changed[1].updated_at && first.id > second.id);
    assert_eq!(unknown().await, Unknowns { count: 2, oldest: Some(changed[0].updated_at) });
    stage.advance(&stage.settling(&changed[0])).await;
    assert_eq!(unknown().await, Unknowns { count: 1, oldest: Some(changed[1].updated_at) });
    let theirs = Payment { tenant: Tenant::new("theirs").expect("a tenant"), ..stage.payment(1, "EUR") };
    let theirs = stage.made(&theirs).await;
    stage.advance(&stage.losing(&theirs)).await;
    assert_eq!(unknown().await.count, 2, "of every tenant");
}

pub async fn what_is_unknown_is_counted_up_to_a_limit(stage: Stage) {
    for _ in 0..3 {
        let payment = stage.some().await;
        stage.advance(&stage.losing(&payment)).await;
    }
    for (limit, count) in [(0, 0), (2, 2), (3, 3), (4, 3)] {
        let unknown = stage.books.unknown(limit).await.expect("what is unknown is counted");
        assert_eq!((unknown.count, unknown.oldest.is_some()), (count, count > 0));
    }
}

pub async fn payments_are_read_beside_their_postings(stage: Stage) {
    let sheets = async |before, limit| {
        let sheets: Vec<Sheet> = stage.books.sheets(before, limit).await.expect("sheets are read");
        assert!(sheets.iter().all(Sheet::agrees), "{sheets:?}");
        sheets.into_iter().map(|sheet| (sheet.payment.id, sheet.postings.len())).collect::<Vec<_>>()
    };
    assert_eq!(sheets(None, 10).await, []);
    let (pending, done) = (stage.some().await, stage.some().await);
    stage.advance(&stage.settling(&done)).await;
    let theirs = Payment { tenant: Tenant::new("theirs").expect("a tenant"), ..stage.payment(700, "JPY") };
    let theirs = stage.made(&theirs).await;
    stage.advance(&stage.settling(&theirs)).await;
    let refunded = stage.made(&stage.payment(500, "EUR")).await;
    stage.advance(&stage.settling(&refunded)).await;
    stage.advance(&refund(&stage, stage.read(refunded.id).await, 200)).await;

    let expected = [(refunded.id, 2), (theirs.id, 1), (done.id, 1), (pending.id, 0)];
    assert_eq!(sheets(None, 10).await, expected);
    assert_eq!(sheets(None, 2).await, expected[..2], "payments are counted, not postings");
    assert_eq!(sheets(Some(theirs.id), 1).await, expected[2..3]);
    assert_eq!(sheets(Some(pending.id), 10).await, []);
    let read = stage.books.sheets(None, 1).await.expect("sheets are read");
    assert_eq!(read[0].payment, stage.read(refunded.id).await);
    assert_eq!(read[0].postings, stage.books.postings(refunded.id).await.expect("postings are read"));
}

/// The change by which so much is given back.
fn refund(stage: &Stage, mut payment: Payment, amount: i64) -> Change {
    let number = u32::try_from(payment.operations.len()).expect("a few") + 1;
    let mut refund = Operation::new(number, OperationKind::Refund, amount, payment.operations[0].job);
    refund.state = OperationState::Succeeded;
    let posting = Some(Posting::of(&payment, &refund, stage.begun));
    payment.operations.push(refund);
    Change { id: Uuid::new_v4(), payment, request: None, posting, sender: None }
}

pub async fn the_accounts_of_a_currency_sum_to_zero(stage: Stage) {
    assert_eq!(stage.books.balances(&Tenant::default()).await.expect("balances are read"), []);
    for (amount, currency) in [(1_050, "EUR"), (2_000, "EUR"), (700, "JPY")] {
        let payment = stage.made(&stage.payment(amount, currency)).await;
        stage.advance(&stage.settling(&payment)).await;
    }
    let refunded = stage.made(&stage.payment(500, "EUR")).await;
    stage.advance(&stage.settling(&refunded)).await;
    stage.advance(&refund(&stage, stage.read(refunded.id).await, 200)).await;

    let balances = stage.books.balances(&Tenant::default()).await.expect("balances are read");
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for Balance { currency, amount, .. } in &balances {
        *sums.entry(*currency).or_default() += amount;
    }
    assert!(sums.values().all(|sum| *sum == 0), "{balances:?}");
    let told: Vec<_> = balances.iter().map(|one| (one.account.as_str(), one.currency.as_str(), one.amount)).collect();
    let expected = [
        ("provider:receivable", "EUR", 3_350),
        ("provider:receivable", "JPY", 700),
        ("refunds", "EUR", 200),
        ("sales", "EUR", -3_550),
        ("sales", "JPY", -700),
    ];
    assert_eq!(told, expected);
    let theirs = Tenant::new("theirs").expect("a tenant");
    assert_eq!(stage.books.balances(&theirs).await.expect("balances are read"), []);
}

pub async fn an_event_is_noted(stage: Stage) {
    let is_noted = async |event| stage.books.is_noted(event).await.expect("an event is looked up");
    assert!(!is_noted("evt_1").await);
    for _ in 0..2 {
        stage.books.note("evt_1").await.expect("an event is noted");
        assert!(is_noted("evt_1").await);
    }
    assert!(!is_noted("evt_2").await);
}

pub async fn a_payment_is_read_with_the_ledgers_clock(stage: Stage) {
    let payment = stage.some().await;
    let seen = stage.books.payment(payment.id).await.expect("a payment is read").expect("it is there");
    let after = stage.ledger.now().await.expect("the ledger tells the time");
    // To the precision of a clock that counts milliseconds.
    assert!(seen.now.as_ms() >= stage.begun.as_ms() - 1 && seen.now.as_ms() <= after.as_ms() + 1);
    assert!(payment.created_at.as_ms() >= stage.begun.as_ms() - 1 && payment.created_at <= payment.updated_at);
}
