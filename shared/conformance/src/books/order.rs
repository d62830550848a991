//! Orders: a job for a payment, and the payment, in one transaction.

use super::stage::{Stage, key, timeless};
use haul_core::{
    JobId, Payment, PaymentId, Tenant,
    books::{Entry, Order, Ordered, Remembered},
    ledger::{NewJob, ReceiptId},
    payment::{Operation, OperationKind},
};

pub async fn a_payment_and_its_job_are_made_together(stage: Stage) {
    let payment = stage.payment(1_050, "EUR");
    let job = payment.operations[0].job;
    assert_eq!(stage.order(&stage.new_order(&payment)).await, Ordered::New(ReceiptId(job)));
    assert_eq!(timeless(stage.read(payment.id).await), timeless(payment.clone()));
    let record = stage.ledger.job(&payment.tenant, job).await.expect("a job is looked up").expect("the job is there");
    assert_eq!(record.job, stage.job_of(&payment, 1, job));
    let unsettled = stage.ledger.unsettled(None, None, 10).await.expect("unsettled jobs are read");
    assert_eq!(unsettled.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [job]);
    assert_eq!(stage.find(PaymentId(stage.id())).await, None);
}

pub async fn a_payment_ordered_again_is_made_once(stage: Stage) {
    let payment = stage.payment(1_050, "EUR");
    let mut order = stage.new_order(&payment);
    order.job.idempotency = key("k", 1);
    let first = stage.order(&order).await;
    let described = stage.described(&stage.read(payment.id).await, "changed since");
    stage.advance(&described).await;
    assert_eq!(stage.order(&order).await, first);
    assert_eq!(stage.read(payment.id).await.version, 2, "what has become of the payment stays");
}

pub async fn the_same_request_under_a_key_is_answered_with_its_job(stage: Stage) {
    let (first, second) = (stage.payment(1_050, "EUR"), stage.payment(1_050, "EUR"));
    let keyed = |payment: &Payment| {
        let mut order = stage.new_order(payment);
        order.job.idempotency = key("k", 1);
        order
    };
    stage.order(&keyed(&first)).await;
    assert_eq!(stage.order(&keyed(&second)).await, Ordered::Replayed(first.operations[0].job));
    assert_eq!(stage.find(second.id).await, None);
    assert!(!stage.has_job(&second.tenant, second.operations[0].job).await);
}

pub async fn another_request_under_a_key_is_refused(stage: Stage) {
    let (first, second) = (stage.payment(1_050, "EUR"), stage.payment(2_000, "EUR"));
    let mut order = stage.new_order(&first);
    order.job.idempotency = key("k", 1);
    stage.order(&order).await;
    let mut order = stage.new_order(&second);
    order.job.idempotency = key("k", 2);
    assert_eq!(stage.order(&order).await, Ordered::KeyReused);
    assert_eq!(stage.find(second.id).await, None);
}

fn with_refund(payment: &Payment, job: JobId) -> Payment {
    let mut payment = payment.clone();
    payment.operations.push(Operation::new(2, OperationKind::Refund, 50, job));
    payment
}

fn refund(stage: &Stage, payment: &Payment, job: JobId) -> Order {
    let refunded = with_refund(payment, job);
    let change = stage.described(&refunded, "refunded");
    stage.order_of(Entry::Changed(Box::new(change)), payment, 2, job)
}

pub async fn an_order_that_changes_a_payment_makes_both(stage: Stage) {
    let payment = stage.some().await;
    let job = JobId(stage.id());
    assert_eq!(stage.order(&refund(&stage, &payment, job)).await, Ordered::New(ReceiptId(job)));
    let stored = stage.read(payment.id).await;
    assert_eq!((stored.version, stored.operations.len()), (2, 2));
    assert!(stage.has_job(&payment.tenant, job).await);
}

pub async fn a_key_is_measured_before_the_payment_is_looked_at(stage: Stage) {
    let payment = stage.some().await;
    let (first, again) = (JobId(stage.id()), JobId(stage.id()));
    let mut order = refund(&stage, &payment, first);
    order.job.idempotency = key("k", 1);
    assert!(matches!(stage.order(&order).await, Ordered::New(_)));
    // Decided on the version of before: stale, were it not the same request.
    let mut order = refund(&stage, &payment, again);
    order.job.idempotency = key("k", 1);
    assert_eq!(stage.order(&order).await, Ordered::Replayed(first));
    order.job.idempotency = key("k", 2);
    assert_eq!(stage.order(&order).await, Ordered::KeyReused);
    assert_eq!(stage.read(payment.id).await.operations.len(), 2);
}

pub async fn a_key_is_remembered_with_its_job(stage: Stage) {
    let payment = stage.payment(1_050, "EUR");
    let mut order = stage.new_order(&payment);
    order.job.idempotency = key("k", 7);
    stage.order(&order).await;
    let remembered = async |tenant: &Tenant, key| stage.books.remembered(tenant, key).await.expect("a key is read");
    let expected = Remembered { fingerprint: [7; 32], job: payment.operations[0].job };
    assert_eq!(remembered(&payment.tenant, "k").await, Some(expected));
    assert_eq!(remembered(&payment.tenant, "K").await, None);
    assert_eq!(remembered(&Tenant::new("theirs").expect("a tenant"), "k").await, None);
}

pub async fn an_order_of_another_version_makes_nothing(stage: Stage) {
    let payment = stage.some().await;
    stage.advance(&stage.described(&payment, "changed since")).await;
    let job = JobId(stage.id());
    let mut order = refund(&stage, &payment, job);
    order.job.idempotency = key("k", 1);
    assert_eq!(stage.order(&order).await, Ordered::Stale);
    assert_eq!(stage.read(payment.id).await.operations.len(), 1);
    assert!(!stage.has_job(&payment.tenant, job).await);
    assert_eq!(stage.books.remembered(&payment.tenant, "k").await.expect("a key is read"), None, "the key is free");
}

pub async fn an_order_for_what_does_not_exist_makes_nothing(stage: Stage) {
    let payment = stage.some().await;
    let same = Entry::Same(payment.id);
    let job = JobId(stage.id());
    assert_eq!(stage.order(&stage.order_of(same.clone(), &payment, 2, job)).await, Ordered::Unknown, "no operation 2");
    let theirs = Payment { tenant: Tenant::new("theirs").expect("a tenant"), ..payment.clone() };
    assert_eq!(stage.order(&stage.order_of(same, &theirs, 1, job)).await, Ordered::Unknown, "another's payment");
    let nowhere = Entry::Same(PaymentId(stage.id()));
    assert_eq!(stage.order(&stage.order_of(nowhere, &payment, 1, job)).await, Ordered::Unknown, "no payment");
    for tenant in [&payment.tenant, &theirs.tenant] {
        assert!(!stage.has_job(tenant, job).await);
    }
}

pub async fn another_job_leaves_the_payment_as_it_is(stage: Stage) {
    let payment = stage.some().await;
    let rerun = JobId(stage.id());
    let order = stage.order_of(Entry::Same(payment.id), &payment, 1, rerun);
    assert_eq!(stage.order(&order).await, Ordered::New(ReceiptId(rerun)));
    assert_eq!(stage.order(&order).await, Ordered::New(ReceiptId(rerun)));
    assert_eq!(stage.read(payment.id).await, payment);
    let NewJob { job, .. } = order.job;
    assert!(stage.has_job(&job.tenant, rerun).await);
}
