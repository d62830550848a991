//! What the ledger in PostgreSQL can do by itself: rows per second of accepting, loading and recording.
//!
//! `cargo run --release -p haul-postgres --example rates -- postgres://...` on a database that may be filled with jobs.
//! Absolute numbers depend on the machine and its load: compare runs of the same minute.

use haul_core::{
    Clock, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, Tenant,
    ledger::{Entry, NewJob, ReceiptId, Record},
};
use haul_postgres::{PostgresLedger, PostgresOptions, migrate};
use secrecy::SecretString;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const ROUND: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = SecretString::from(std::env::args().nth(1).ok_or("give the database's URL")?);
    migrate(&url).await?;
    let ledger = Arc::new(PostgresLedger::connect(PostgresOptions::new(url)).await?);
    let clock = Arc::new(Clock::new());
    clock.sync(ledger.now().await?, Duration::ZERO);
    let mint = Arc::new(IdMint::new(clock));
    println!("{:<28} {:>12} {:>12}", "", "1 connection", "2 connections");
    for batch in [1, 100, 500, 1_000] {
        let mut rates = Vec::new();
        let mut accepted = Vec::new();
        for lanes in [1, 2] {
            let (rate, ids) = measure(lanes, batch, accept(&ledger, &mint, batch)).await?;
            rates.push(rate);
            accepted.push(ids);
        }
        row(&format!("accept, batches of {batch}"), &rates);
        let mut rates = Vec::new();
        for ids in &accepted {
            let begun = Instant::now();
            for chunk in ids.chunks(batch.max(100)) {
                assert_eq!(ledger.load(chunk).await?.len(), chunk.len(), "what was accepted is there");
            }
            rates.push(ids.len() as f64 / begun.elapsed().as_secs_f64());
        }
        row(&format!("load, batches of {}", batch.max(100)), &rates[..1]);
        let mut rates = Vec::new();
        for (lanes, ids) in [1, 2].into_iter().zip(accepted) {
            rates.push(record(&ledger, lanes, batch, ids).await?);
        }
        row(&format!("record, batches of {batch}"), &rates);
    }
    Ok(())
}

fn row(what: &str, rates: &[f64]) {
    let rates: String = rates.iter().map(|rate| format!(" {rate:>11.0}/s")).collect();
    println!("{what:<28}{rates}");
}

type Answer = Result<Vec<JobId>, haul_core::ledger::LedgerError>;

/// Runs a lane's calls for a while; gives jobs per second and their ids.
async fn measure<F>(
    lanes: usize,
    batch: usize,
    call: impl Fn(Vec<ReceiptId>) -> F + Clone + Send + 'static,
) -> Result<(f64, Vec<JobId>), Box<dyn std::error::Error>>
where
    F: Future<Output = Answer> + Send,
{
    let begun = Instant::now();
    let lane = || {
        let call = call.clone();
        tokio::spawn(async move {
            let (mut ids, mut done) = (Vec::new(), Vec::new());
            while begun.elapsed() < ROUND {
                let accepted = call(std::mem::take(&mut done)).await?;
                done.extend(accepted.first().copied().map(ReceiptId));
                ids.extend(accepted);
            }
            Ok::<_, haul_core::ledger::LedgerError>(ids)
        })
    };
    let running: Vec<_> = (0..lanes).map(|_| lane()).collect();
    let mut ids = Vec::with_capacity(batch);
    for lane in running {
        ids.extend(lane.await??);
    }
    Ok((ids.len() as f64 / begun.elapsed().as_secs_f64(), ids))
}

fn accept(
    ledger: &Arc<PostgresLedger>,
    mint: &Arc<IdMint>,
    batch: usize,
) -> impl Fn(Vec<ReceiptId>) -> futures::future::BoxFuture<'static, Answer> + Clone + Send + 'static {
    let (ledger, mint, me) = (ledger.clone(), mint.clone(), ProcessId::random());
    move |done| {
        let (ledger, mint) = (ledger.clone(), mint.clone());
        Box::pin(async move {
            let jobs: Vec<NewJob> = (0..batch).map(|_| NewJob { job: job(mint.next()), idempotency: None }).collect();
            ledger.accept(&jobs, me, &done).await?;
            Ok(jobs.iter().map(|new| new.job.id).collect())
        })
    }
}

async fn record(
    ledger: &Arc<PostgresLedger>,
    lanes: usize,
    batch: usize,
    ids: Vec<JobId>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let (begun, total) = (Instant::now(), ids.len());
    let running: Vec<_> = ids
        .chunks(total.div_ceil(lanes).max(1))
        .map(|share| {
            let (ledger, share) = (ledger.clone(), share.to_vec());
            tokio::spawn(async move {
                for chunk in share.chunks(batch) {
                    let records: Vec<Record> = chunk.iter().map(|id| success(*id)).collect();
                    ledger.record(&records, ProcessId::NOBODY).await?;
                }
                Ok::<_, haul_core::ledger::LedgerError>(())
            })
        })
        .collect();
    for lane in running {
        lane.await??;
    }
    Ok(total as f64 / begun.elapsed().as_secs_f64())
}

fn job(id: JobId) -> Job {
    Job {
        id,
        tenant: Tenant::default(),
        queue: Queue::default(),
        kind: Kind::new("echo").unwrap_or_else(|_| unreachable!("a valid name")),
        priority: Priority::default(),
        run_at: id.created_at(),
        payload: bytes::Bytes::from_static(br#"{"order": 123456, "customer": "somebody"}"#),
        options: JobOptions::shared_default(),
    }
}

fn success(job: JobId) -> Record {
    Record {
        job,
        tenant: Tenant::default(),
        attempt: 1,
        at: job.created_at(),
        entry: Entry::Succeeded(None),
        follow_ups: Vec::new(),
    }
}
