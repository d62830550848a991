//! Changes: guarded by the version, with what belongs to them, or not at all.

use super::stage::{Stage, timeless};
use haul_core::{
    JobId, Payment, ProcessId,
    books::{Advanced, Change, Entry, Ordered},
    ledger::{Cancelled, Entry as End, LedgerError, Record},
    payment::PaymentState,
};
use uuid::Uuid;

pub async fn a_change_is_stored_with_its_request_and_its_posting(stage: Stage) {
    let payment = stage.some().await;
    let sending = stage.sending(&payment);
    assert_eq!(stage.advance(&sending).await, Advanced::Done);
    let stored = stage.read(payment.id).await;
    assert_eq!(timeless(stored.clone()), timeless(Payment { version: 2, ..sending.payment }));
    let settling = stage.settling(&stored);
    assert_eq!(stage.advance(&settling).await, Advanced::Done);
    let stored = stage.read(payment.id).await;
    assert_eq!((stored.version, stored.state(), stored.captured()), (3, PaymentState::Succeeded, 1_050));
    let postings = stage.books.postings(payment.id).await.expect("postings are read");
    assert_eq!(postings, Vec::from_iter(settling.posting));
}

pub async fn a_change_of_another_version_changes_nothing(stage: Stage) {
    let payment = stage.some().await;
    let late = stage.settling(&payment);
    stage.advance(&stage.described(&payment, "changed since")).await;
    assert_eq!(stage.advance(&late).await, Advanced::Stale);
    assert_eq!(stage.advance(&stage.sending(&payment)).await, Advanced::Stale);
    let ahead = Payment { version: 7, ..payment.clone() };
    assert_eq!(stage.advance(&stage.settling(&ahead)).await, Advanced::Stale);
    let never_made = stage.payment(1, "EUR");
    assert_eq!(stage.advance(&stage.described(&never_made, "x")).await, Advanced::Stale);
    let stored = stage.read(payment.id).await;
    assert_eq!((stored.version, stored.state()), (2, PaymentState::Pending));
    assert_eq!(stage.books.postings(payment.id).await.expect("postings are read"), []);
    assert_eq!(stage.books.request(payment.id, 1, 1).await.expect("a request is read"), None);
    assert_eq!(stage.cancel(payment.operations[0].job).await, Cancelled::Now, "a stale change has sent nothing");
}

pub async fn a_change_sent_again_is_made_once(stage: Stage) {
    let payment = stage.some().await;
    let sending = stage.sending(&payment);
    assert_eq!(stage.advance(&sending).await, Advanced::Done);
    assert_eq!(stage.advance(&sending).await, Advanced::Done);
    let settling = stage.settling(&stage.read(payment.id).await);
    assert_eq!(stage.advance(&settling).await, Advanced::Done);
    assert_eq!(stage.advance(&settling).await, Advanced::Done);
    assert_eq!(stage.read(payment.id).await.version, 3);
    assert_eq!(stage.books.postings(payment.id).await.expect("postings are read").len(), 1);
    assert_eq!(stage.advance(&sending).await, Advanced::Stale, "another has followed");
}

pub async fn requests_are_kept_byte_for_byte(stage: Stage) {
    let payment = stage.some().await;
    let mut sending = stage.sending(&payment);
    let body: Vec<u8> = (0..=255).collect();
    let request = sending.request.as_mut().expect("a request");
    request.request.body = body.into();
    stage.advance(&sending).await;
    let stored = stage.books.request(payment.id, 1, 1).await.expect("a request is read");
    assert_eq!(stored, sending.request.map(|new| new.request));
    for (operation, generation) in [(1, 2), (2, 1)] {
        assert_eq!(stage.books.request(payment.id, operation, generation).await.expect("an answer"), None);
    }
}

async fn is_refused(stage: &Stage, change: &Change) {
    let version = stage.read(change.payment.id).await.version;
    let answer = stage.books.advance(change).await;
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
    assert_eq!(stage.read(change.payment.id).await.version, version, "what is refused changes nothing");
}

pub async fn a_request_that_is_stored_is_never_replaced(stage: Stage) {
    let payment = stage.some().await;
    let first = stage.sending(&payment);
    stage.advance(&first).await;
    let mut other = stage.sending(&stage.read(payment.id).await);
    other.request.as_mut().expect("a request").request.body = "amount=9999".into();
    is_refused(&stage, &other).await;
    let stored = stage.books.request(payment.id, 1, 1).await.expect("a request is read");
    assert_eq!(stored, first.request.map(|new| new.request));
}

pub async fn a_step_is_posted_once(stage: Stage) {
    let payment = stage.some().await;
    stage.advance(&stage.settling(&payment)).await;
    is_refused(&stage, &stage.settling(&stage.read(payment.id).await)).await;
    assert_eq!(stage.books.postings(payment.id).await.expect("postings are read").len(), 1);
}

pub async fn a_posting_that_is_none_is_refused(stage: Stage) {
    let payment = stage.some().await;
    for amount in [0, -1_050] {
        let mut change = stage.settling(&payment);
        change.posting.as_mut().expect("a posting").amount = amount;
        is_refused(&stage, &change).await;
    }
    let mut change = stage.settling(&payment);
    let posting = change.posting.as_mut().expect("a posting");
    posting.debit.clone_from(&posting.credit);
    is_refused(&stage, &change).await;
    assert_eq!(stage.books.postings(payment.id).await.expect("postings are read"), []);
}

pub async fn a_job_of_another_operation_sends_nothing(stage: Stage) {
    let (payment, other) = (stage.some().await, stage.some().await);
    let by = |sender| Change { id: Uuid::new_v4(), sender: Some(sender), ..stage.sending(&payment) };
    for sender in [(other.operations[0].job, 1), (payment.operations[0].job, 2), (JobId(stage.id()), 1)] {
        assert_eq!(stage.advance(&by(sender)).await, Advanced::NotOurs, "{sender:?}");
    }
    assert_eq!(stage.read(payment.id).await, payment);
    assert_eq!(stage.books.request(payment.id, 1, 1).await.expect("a request is read"), None);
}

pub async fn a_job_that_has_ended_sends_nothing(stage: Stage) {
    let payment = stage.some().await;
    assert_eq!(stage.cancel(payment.operations[0].job).await, Cancelled::Now);
    assert_eq!(stage.advance(&stage.sending(&payment)).await, Advanced::Ended);
    assert_eq!(stage.read(payment.id).await, payment);
    // Its outcome does not end the payment: another job may be made for it.
    let rerun = JobId(stage.id());
    let order = stage.order_of(Entry::Same(payment.id), &payment, 1, rerun);
    assert!(matches!(stage.order(&order).await, Ordered::New(_)));
    let by_rerun = Change { sender: Some((rerun, 1)), ..stage.sending(&payment) };
    assert_eq!(stage.advance(&by_rerun).await, Advanced::Done);
}

pub async fn a_job_that_sends_can_no_longer_be_cancelled(stage: Stage) {
    let payment = stage.some().await;
    let job = payment.operations[0].job;
    stage.advance(&stage.sending(&payment)).await;
    assert_eq!(stage.cancel(job).await, Cancelled::TooLate);
    let record = stage.ledger.job(&payment.tenant, job).await.expect("a job is looked up").expect("the job is there");
    assert_eq!(record.outcome, None);
    // It ends as any other, and is then answered as any other.
    let (tenant, entry) = (payment.tenant.clone(), End::Succeeded(None));
    let record = Record { job, tenant, attempt: 1, at: stage.begun, entry, follow_ups: Vec::new() };
    stage.ledger.record(&[record], ProcessId::NOBODY).await.expect("it is recorded");
    assert_eq!(stage.cancel(job).await, Cancelled::Already(haul_core::FinalState::Succeeded));
}

pub async fn a_job_that_has_not_sent_can_be_cancelled(stage: Stage) {
    let payment = stage.some().await;
    stage.advance(&stage.described(&payment, "nothing was sent")).await;
    assert_eq!(stage.cancel(payment.operations[0].job).await, Cancelled::Now);
}
