//! Many at once: of those that exclude each other, one.

use super::stage::{Stage, key};
use crate::at_once;
use haul_core::{
    ProcessId, Tenant,
    books::{Advanced, Ordered},
    ledger::Cancelled,
};

pub async fn one_of_many_changes_at_once_is_made(stage: Stage) {
    for _ in 0..5 {
        let payment = stage.some().await;
        let tasks = (0..8).map(|_| {
            let (books, change) = (stage.world.books(), stage.settling(&payment));
            async move { books.advance(&change).await.expect("a change is answered") }
        });
        let answers = at_once(tasks).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Advanced::Done).count(), 1, "{answers:?}");
        assert_eq!(stage.read(payment.id).await.version, 2);
        assert_eq!(stage.books.postings(payment.id).await.expect("postings are read").len(), 1);
    }
}

pub async fn of_a_cancel_and_a_send_at_once_one_is_refused(stage: Stage) {
    for _ in 0..40 {
        let payment = stage.some().await;
        let (books, ledger) = (stage.world.books(), stage.world.ledger());
        let (sending, job, at) = (stage.sending(&payment), payment.operations[0].job, stage.begun);
        let send = tokio::spawn(async move { books.advance(&sending).await.expect("a change is answered") });
        let cancel = tokio::spawn(async move {
            ledger.cancel(&Tenant::default(), &[job], at).await.expect("a cancel is answered")[0]
        });
        let (sent, cancelled) = (send.await.expect("no panic"), cancel.await.expect("no panic"));
        match (sent, cancelled) {
            (Advanced::Done, Cancelled::TooLate) | (Advanced::Ended, Cancelled::Now) => {}
            both => panic!("sent and cancelled do not fit: {both:?}"),
        }
    }
}

pub async fn a_payment_and_its_postings_are_of_one_moment(stage: Stage) {
    let mut changes = Vec::new();
    for _ in 0..30 {
        changes.push(stage.settling(&stage.some().await));
    }
    let books = stage.world.books();
    let settling = tokio::spawn(async move {
        for change in changes {
            assert_eq!(books.advance(&change).await.expect("a change is answered"), Advanced::Done);
            tokio::task::yield_now().await;
        }
    });
    loop {
        let was_over = settling.is_finished();
        let sheets = stage.books.sheets(None, 100).await.expect("sheets are read");
        let torn: Vec<_> = sheets.iter().filter(|sheet| !sheet.agrees()).collect();
        assert!(torn.is_empty(), "seen without their postings, or the other way round: {torn:?}");
        if was_over {
            assert!(sheets.len() == 30 && sheets.iter().all(|sheet| sheet.postings.len() == 1), "{sheets:?}");
            break;
        }
    }
    settling.await.expect("no panic");
}

pub async fn orders_under_one_key_at_once_make_one_payment(stage: Stage) {
    let tasks = (0..8).map(|_| {
        let (books, mut order) = (stage.world.books(), stage.new_order(&stage.payment(1_050, "EUR")));
        order.job.idempotency = key("k", 1);
        async move {
            for _ in 0..50 {
                match books.order(&order, ProcessId::NOBODY, &[]).await {
                    Ok(ordered) => return ordered,
                    // The key is held by another transaction.
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
            panic!("the key is held for ever");
        }
    });
    let answers = at_once(tasks).await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Ordered::New(_))).count(), 1, "{answers:?}");
    let made = stage.books.payments(&Tenant::default(), None, None, 10).await.expect("payments are listed");
    assert_eq!(made.len(), 1);
    let job = made[0].operations[0].job;
    let replayed = answers.iter().filter(|answer| !matches!(answer, Ordered::New(_)));
    assert!(replayed.into_iter().all(|answer| *answer == Ordered::Replayed(job)), "{answers:?}");
}
