//! Transactional handlers: their writes and the outcome commit together or not at all.

use crate::echo::echoing;
use crate::{
    faulty::FaultyLedger,
    world::{World, quick},
};
use async_trait::async_trait;
use haul_core::{
    FinalState, Ledger, ProcessId,
    ledger::{self, BatchRecorded, JobTransaction, LedgerError, Record, Recorded, Transactions},
};
use haul_worker::{BuildError, HandlerError, JobContext};
use std::{
    any::Any,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// Rows that are there once their transaction has committed.
#[derive(Default)]
struct Rows {
    committed: Mutex<Vec<String>>,
    begun: AtomicUsize,
    /// So many commits take effect without an answer.
    answers_to_lose: AtomicUsize,
}

/// Transactions over the rows and the ledger of a world.
struct RowTransactions {
    rows: Arc<Rows>,
    ledger: Weak<FaultyLedger>,
}

/// What a handler writes through.
#[derive(Default)]
struct Tx(Vec<String>);

struct RowTransaction {
    tx: Tx,
    rows: Arc<Rows>,
    ledger: Arc<FaultyLedger>,
}

#[async_trait]
impl Transactions for RowTransactions {
    async fn begin(&self, _: Duration) -> ledger::Result<Box<dyn JobTransaction>> {
        self.rows.begun.fetch_add(1, SeqCst);
        let ledger = self.ledger.upgrade().expect("the ledger outlives its transactions");
        Ok(Box::new(RowTransaction { tx: Tx::default(), rows: self.rows.clone(), ledger }))
    }
}

#[async_trait]
impl JobTransaction for RowTransaction {
    fn as_any_mut(&mut self) -> &mut (dyn Any + Send) {
        &mut self.tx
    }
    async fn commit(self: Box<Self>, record: &Record, owner: ProcessId) -> ledger::Result<BatchRecorded> {
        let recorded = self.ledger.record(std::slice::from_ref(record), owner).await?;
        if recorded.records == [Recorded::Committed] {
            self.rows.committed.lock().unwrap().extend(self.tx.0);
        }
        match self.rows.answers_to_lose.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(LedgerError::Unavailable("connection reset by the test".into())),
            Err(_) => Ok(recorded),
        }
    }
}

fn world() -> (World, Arc<Rows>) {
    let rows = Arc::new(Rows::default());
    let world = World::offering(|ledger| Arc::new(RowTransactions { rows: rows.clone(), ledger }));
    (world, rows)
}

async fn ship(job: JobContext, order: String, tx: &mut Tx) -> Result<String, HandlerError> {
    tx.0.push(format!("{order} shipped"));
    match order.as_str() {
        "fragile" if job.attempt() == 1 => Err(HandlerError::retry("it broke")),
        "lost" => Err(HandlerError::do_not_retry("no such order")),
        _ => Ok(order),
    }
}

#[tokio::test]
async fn writes_commit_with_the_success_and_roll_back_with_a_failure() {
    let (world, rows) = world();
    let worker = world.start(world.builder().transactional("ship", ship));
    let good = world.submit("ship", r#""mug""#).await;
    assert_eq!(world.succeeded(good).await, serde_json::json!("mug"));
    let fragile = world.submit("ship", r#""fragile""#).await;
    assert_eq!(world.outcome(fragile).await.attempt, 2);
    let lost = world.submit("ship", r#""lost""#).await;
    assert_eq!(world.died(lost).await, (1, "no such order".to_owned()));
    worker.end().await.unwrap();
    assert_eq!(*rows.committed.lock().unwrap(), ["mug shipped", "fragile shipped"]);
    assert_eq!(rows.begun.load(SeqCst), 4);
    assert_eq!(world.stats("default", &["ship"]).await.leased, 0);
}

#[tokio::test]
async fn a_job_that_ended_elsewhere_meanwhile_keeps_that_outcome_and_writes_nothing() {
    let (world, rows) = world();
    let ledger = world.ledger.clone();
    let clock = world.clock.clone();
    let worker = world.start(world.builder().data((ledger, clock)).transactional(
        "ship",
        async |job: JobContext, (): (), tx: &mut Tx| {
            let (ledger, clock) = job.data::<(Arc<FaultyLedger>, Arc<haul_core::Clock>)>()?;
            tx.0.push("shipped".to_owned());
            ledger.cancel(job.tenant(), &[job.job_id()], clock.now()).await?;
            Ok(())
        },
    ));
    let id = world.submit("ship", "null").await;
    assert_eq!(world.outcome(id).await.state, FinalState::Cancelled);
    crate::world::eventually("settled", async || (world.stats("default", &["ship"]).await.leased == 0).then_some(()))
        .await;
    worker.end().await.unwrap();
    assert!(rows.committed.lock().unwrap().is_empty());
    assert_eq!(world.look(id).await.failure_count, 0);
}

#[tokio::test]
async fn a_commit_without_an_answer_is_looked_up_and_not_repeated() {
    let (world, rows) = world();
    rows.answers_to_lose.store(1, SeqCst);
    let worker = world.start(world.builder().transactional("ship", ship));
    let id = world.submit_with("ship", r#""mug""#, quick(1)).await;
    world.succeeded(id).await;
    crate::world::eventually("its ticket is gone", async || {
        let stats = world.stats("default", &["ship"]).await;
        (stats.leased + stats.delayed + stats.ready == 0).then_some(())
    })
    .await;
    worker.end().await.unwrap();
    assert_eq!(*rows.committed.lock().unwrap(), ["mug shipped"]);
    assert_eq!(rows.begun.load(SeqCst), 1);
}

#[tokio::test]
async fn a_ledger_without_transactions_is_refused_when_the_worker_is_built() {
    let world = World::new();
    let refused = echoing(world.builder().transactional("ship", ship)).build();
    assert!(matches!(&refused, Err(BuildError::NoTransactions(kind)) if kind.as_str() == "ship"));
    let Err(error) = refused else { unreachable!() };
    assert!(error.to_string().contains("Postgres"), "{error}");
}
