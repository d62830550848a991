//! How fast the ledger in SQLite is: accepted, loaded and recorded jobs a second, and finding unsettled jobs beside much
//! history. `cargo bench -p haul-embedded --bench ledger [-- JOBS [DIRECTORY]]`

use bytes::Bytes;
use haul_core::{
    Clock, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, Tenant, Timestamp,
    ledger::{Entry, Filter, Idempotency, NewJob, Record, StateFilter},
    outcome::FinalState,
};
use haul_embedded::SqliteLedger;
use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

type Answer<T> = Result<T, Box<dyn Error>>;

const OWNER: ProcessId = ProcessId::NOBODY;
const PAYLOAD: &[u8] = br#"{"to":"someone@example.com","subject":"Your order","number":12345678}"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Answer<()> {
    let mut told = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let jobs: usize = told.next().map_or(Ok(300_000), |jobs| jobs.parse())?;
    let scratch = tempfile::tempdir_in(told.next().unwrap_or_else(|| ".".to_owned()))?;
    println!("{:<60} {:>12} {:>14}", "", "jobs/s", "CPU us per job");
    for batch in [1, 100, 1_000, 5_000] {
        let count = jobs.min(batch * 3_000);
        hot_path(&scratch.path().join(format!("batch-{batch}")), count, batch).await?;
    }
    history(&scratch.path().join("history"), jobs * 10).await
}

fn job(kind: &Kind, id: JobId) -> Job {
    Job {
        id,
        tenant: Tenant::default(),
        queue: Queue::default(),
        kind: kind.clone(),
        priority: Priority::default(),
        run_at: id.created_at(),
        payload: Bytes::from_static(PAYLOAD),
        options: JobOptions::shared_default(),
    }
}

fn success(id: JobId) -> Record {
    let at = id.created_at();
    Record { job: id, tenant: Tenant::default(), attempt: 1, at, entry: Entry::Succeeded(None), follow_ups: Vec::new() }
}

async fn hot_path(directory: &Path, count: usize, batch: usize) -> Answer<()> {
    let ledger = SqliteLedger::open(directory).await?;
    let mint = IdMint::new(Arc::new(Clock::new()));
    let kind = Kind::new("echo")?;
    let mut ids = Vec::with_capacity(count);
    let mut last = Vec::new();
    let gauge = Gauge::start();
    for _ in 0..count / batch {
        let jobs: Vec<NewJob> =
            (0..batch).map(|_| NewJob { job: job(&kind, mint.next()), idempotency: None }).collect();
        ids.extend(jobs.iter().map(|new| new.job.id));
        let accepted = ledger.accept(&jobs, OWNER, &last).await?;
        last = accepted.receipt.into_iter().collect();
    }
    gauge.stop(&format!("accept, batches of {batch}"), count);
    let gauge = Gauge::start();
    for ids in ids.chunks(batch.min(1_000)) {
        assert_eq!(ledger.load(ids).await?.len(), ids.len());
    }
    gauge.stop(&format!("load, batches of {}", batch.min(1_000)), count);
    let gauge = Gauge::start();
    for ids in ids.chunks(batch) {
        let records: Vec<Record> = ids.iter().copied().map(success).collect();
        ledger.record(&records, OWNER).await?;
    }
    gauge.stop(&format!("record, batches of {batch}"), count);
    let gauge = Gauge::start();
    for n in 0..count / batch {
        let keyed = |at| {
            let key = format!("key-{n}-{at}");
            let idempotency = Idempotency { key, fingerprint: [7; 32], lifetime: Duration::from_secs(86_400) };
            NewJob { job: job(&kind, mint.next()), idempotency: Some(idempotency) }
        };
        let jobs: Vec<NewJob> = (0..batch).map(keyed).collect();
        ledger.accept(&jobs, OWNER, &[]).await?;
    }
    gauge.stop(&format!("accept with keys, batches of {batch}"), count);
    Ok(())
}

/// A job in a hundred stays unsettled, the others end.
async fn history(directory: &Path, count: usize) -> Answer<()> {
    const BATCH: usize = 5_000;
    let ledger = SqliteLedger::open(directory).await?;
    let kind = Kind::new("echo")?;
    let now = ledger.now().await?;
    let first = now.minus(Duration::from_secs(3_600)).as_ms();
    // Spread over fifty minutes, the last of them ten minutes ago.
    let per_ms = count.div_ceil(3_000_000).max(1);
    let id = |n: usize| {
        let ms = i64::try_from(n / per_ms).unwrap_or(0);
        JobId(uuid::Uuid::from_u128(JobId::floor(Timestamp::from_ms(first + ms)).0.as_u128() + (n % per_ms) as u128))
    };
    for batch in 0..count / BATCH {
        let ids: Vec<JobId> = (batch * BATCH..(batch + 1) * BATCH).map(id).collect();
        let jobs: Vec<NewJob> = ids.iter().map(|id| NewJob { job: job(&kind, *id), idempotency: None }).collect();
        let receipt = ledger.accept(&jobs, OWNER, &[]).await?.receipt;
        let records: Vec<Record> =
            ids.iter().enumerate().filter(|(n, _)| n % 100 != 0).map(|(_, id)| success(*id)).collect();
        ledger.record(&records, OWNER).await?;
        ledger.drop_receipts(receipt.as_slice()).await?;
    }
    scan(&ledger, "nothing closed", count).await?;
    let gauge = Gauge::start();
    // Each call closes two million jobs at most.
    for _ in 0..=count / 2_000_000 {
        ledger.close_minutes().await?;
    }
    gauge.stop("close", count);
    scan(&ledger, "all closed", count).await?;
    for (name, state) in [
        ("list newest", None),
        ("list unsettled", Some(StateFilter::Unsettled)),
        ("list succeeded", Some(StateFilter::Final(FinalState::Succeeded))),
        ("list dead", Some(StateFilter::Final(FinalState::Dead))),
    ] {
        let start = Instant::now();
        let filter = Filter { state, kind: Some(kind.clone()), ..Filter::default() };
        let page = ledger.list(&Tenant::default(), &filter, None, 100).await?;
        println!("{name:<60} {:>9.2} ms ({} jobs)", start.elapsed().as_secs_f64() * 1e3, page.jobs.len());
    }
    Ok(())
}

async fn scan(ledger: &SqliteLedger, name: &str, beside: usize) -> Answer<()> {
    let gauge = Gauge::start();
    let (mut found, mut pages, mut after) = (0, 0, None);
    loop {
        let page = ledger.unsettled(after, None, 5_000).await?;
        found += page.jobs.len();
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    gauge.stop(&format!("{found} unsettled beside {beside}, {name} ({pages} pages)"), found);
    Ok(())
}

struct Gauge {
    start: Instant,
    cpu: Duration,
}

impl Gauge {
    fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu() }
    }

    fn stop(self, name: &str, jobs: usize) {
        let rate = jobs as f64 / self.start.elapsed().as_secs_f64();
        let each = cpu().saturating_sub(self.cpu).as_secs_f64() * 1e6 / jobs as f64;
        println!("{name:<60} {rate:>12.0} {each:>14.1}");
    }
}

/// What this process has used of the processors: absolute times are noise beside others.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
