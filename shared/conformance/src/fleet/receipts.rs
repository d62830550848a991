use super::Stage;
use haul_core::{ProcessId, fleet::Receipts};
use std::time::Duration;

async fn count(stage: &Stage) -> Receipts {
    stage.fleet.receipts().await.expect("receipts are counted")
}

pub async fn an_empty_ledger_has_no_receipts(stage: Stage) {
    assert_eq!(count(&stage).await, Receipts { count: 0, oldest: None });
}

pub async fn receipts_are_counted_whoever_owns_them_until_they_are_dropped(stage: Stage) {
    let (first, _) = stage.accept(ProcessId::random()).await;
    let (second, _) = stage.accept(ProcessId::random()).await;
    stage.accept(ProcessId::NOBODY).await;
    assert_eq!(count(&stage).await.count, 3);
    stage.ledger.drop_receipts(&[first, second]).await.expect("receipts are dropped");
    assert_eq!(count(&stage).await.count, 1);
}

pub async fn the_oldest_receipt_is_as_old_as_its_jobs(stage: Stage) {
    let (first, oldest) = stage.accept(ProcessId::random()).await;
    // Long enough for any clock to move.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (_, younger) = stage.accept(ProcessId::NOBODY).await;
    assert_eq!(count(&stage).await.oldest, Some(oldest.created_at()));
    stage.ledger.drop_receipts(&[first]).await.expect("a receipt is dropped");
    assert_eq!(count(&stage).await.oldest, Some(younger.created_at()));
}
