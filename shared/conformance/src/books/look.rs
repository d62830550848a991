//! Looking: lists, balances and events.

use super::stage::Stage;
use haul_core::{
    Payment, PaymentId, Tenant,
    books::{Balance, Change, Posting},
    payment::{Currency, Operation, OperationKind, OperationState, PaymentState},
};
use std::collections::BTreeMap;
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

pub async fn the_accounts_of_a_currency_sum_to_zero(stage: Stage) {
    assert_eq!(stage.books.balances(&Tenant::default()).await.expect("balances are read"), []);
    for (amount, currency) in [(1_050, "EUR"), (2_000, "EUR"), (700, "JPY")] {
        let payment = stage.made(&stage.payment(amount, currency)).await;
        stage.advance(&stage.settling(&payment)).await;
    }
    let mut refunded = stage.made(&stage.payment(500, "EUR")).await;
    stage.advance(&stage.settling(&refunded)).await;
    refunded = stage.read(refunded.id).await;
    let mut refund = Operation::new(2, OperationKind::Refund, 200, refunded.operations[0].job);
    refund.state = OperationState::Succeeded;
    refunded.operations.push(refund);
    let posting = Some(Posting::of(&refunded, &refunded.operations[1], stage.begun));
    stage.advance(&Change { id: Uuid::new_v4(), payment: refunded, request: None, posting, sender: None }).await;

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
