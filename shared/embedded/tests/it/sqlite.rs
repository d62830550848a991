//! The ledger in SQLite where it meets the machine: locks, restarts, crashes, full disks, and much history.

use bytes::Bytes;
use haul_core::{
    Clock, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, QueueChange, QueueSettings,
    Tenant,
    ledger::{Accepted, Entry, LedgerError, NewJob, Record},
    outcome::FinalState,
};
use haul_embedded::{OpenError, SqliteLedger};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

fn mint() -> IdMint {
    IdMint::new(Arc::new(Clock::new()))
}

fn job(id: JobId) -> Job {
    Job {
        id,
        tenant: Tenant::default(),
        queue: Queue::default(),
        kind: Kind::new("echo").unwrap(),
        priority: Priority::default(),
        run_at: id.created_at(),
        payload: Bytes::from(format!("{{\"id\":\"{id}\"}}")),
        options: JobOptions::shared_default(),
    }
}

fn plain(id: JobId) -> NewJob {
    NewJob { job: job(id), idempotency: None }
}

fn success(id: JobId) -> Record {
    let (tenant, at) = (Tenant::default(), id.created_at());
    Record { job: id, tenant, attempt: 1, at, entry: Entry::Succeeded(None), follow_ups: Vec::new() }
}

async fn unsettled(ledger: &SqliteLedger) -> Vec<JobId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.unsettled(after, None, 1_000).await.unwrap();
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => after = Some(next),
            None => return ids,
        }
    }
}

/// Opens a ledger as soon as the process that had it is gone.
async fn reopened(directory: &Path) -> SqliteLedger {
    let start = Instant::now();
    loop {
        match SqliteLedger::open(directory).await {
            Err(OpenError::InUse(_)) if start.elapsed() < Duration::from_secs(10) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_second_process_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("some/where");
    let ledger = SqliteLedger::open(&data).await.unwrap();
    let error = SqliteLedger::open(&data).await.unwrap_err();
    let expected = format!("another Haul is using {}; stop it or give --data another directory", data.display());
    assert_eq!(error.to_string(), expected);
    drop(ledger);
    reopened(&data).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = SqliteLedger::open(&file.join("data")).await.unwrap_err();
    assert!(matches!(&error, OpenError::Directory { directory, .. } if directory.starts_with(&file)), "{error:?}");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    SqliteLedger::open(directory.path()).await.unwrap().close().await.unwrap();
    let mut conn = shell(directory.path()).await;
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, true, x'00', 0)";
    sqlx::query(newer).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let error = SqliteLedger::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { migration: 9999, .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_database_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("haul.db"), "not a database, but long enough to be looked at").unwrap();
    let error = SqliteLedger::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Ledger { source: LedgerError::Corrupt(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_restart_keeps_everything_and_leaves_receipts_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mint = mint();
    let ids: Vec<JobId> = (0..10).map(|_| mint.next()).collect();
    let before = SqliteLedger::open(directory.path()).await.unwrap();
    let (me, info) = (ProcessId::random(), |id| haul_core::ledger::ProcessInfo { id, role: "up".to_owned() });
    before.heartbeat(&info(me)).await.unwrap();
    let jobs: Vec<NewJob> = ids.iter().copied().map(plain).collect();
    let receipt = before.accept(&jobs, me, &[]).await.unwrap().receipt.unwrap();
    before.record(&[success(ids[3])], me).await.unwrap();
    let change = QueueChange { paused: Some(true), slots: Some(4) };
    before.configure_queue(&jobs[0].job.queue_ref(), &change).await.unwrap();
    assert_eq!(before.take_receipts(me, 10).await.unwrap(), [], "its process is alive");
    drop(before);

    let after = reopened(directory.path()).await;
    let open: Vec<JobId> = ids.iter().copied().filter(|id| *id != ids[3]).collect();
    assert_eq!(unsettled(&after).await, open);
    assert_eq!(after.settled(&ids).await.unwrap(), [(ids[3], FinalState::Succeeded)]);
    assert_eq!(after.load(&ids[..1]).await.unwrap()[0].job, jobs[0].job);
    assert_eq!(after.queues().await.unwrap()[0].settings, QueueSettings { paused: true, slots: 4 });
    let taken = after.take_receipts(ProcessId::random(), 10).await.unwrap();
    assert_eq!(
        taken.iter().map(|taken| (taken.id, taken.first, taken.last)).collect::<Vec<_>>(),
        [(receipt, ids[0], ids[9])]
    );
}

#[tokio::test]
async fn one_batch_may_hold_more_than_a_statement() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path()).await.unwrap();
    let mint = mint();
    // More than one statement takes: 64 MiB.
    let payload = Bytes::from(vec![b'x'; 256 * 1024]);
    let jobs: Vec<NewJob> = (0..300)
        .map(|_| NewJob { job: Job { payload: payload.clone(), ..job(mint.next()) }, idempotency: None })
        .collect();
    let accepted = ledger.accept(&jobs, ProcessId::random(), &[]).await.unwrap();
    assert_eq!(accepted.jobs, vec![Accepted::New; jobs.len()]);
    assert_eq!(unsettled(&ledger).await.len(), jobs.len());
    let loaded = ledger.load(&[jobs[299].job.id]).await.unwrap();
    assert_eq!(loaded[0].job, jobs[299].job);
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path()).await.unwrap();
    let mint = mint();
    let mut kept = Vec::new();
    for round in 0..200_u64 {
        let dropped: Vec<NewJob> = (0..20).map(|_| plain(mint.next())).collect();
        let accept = ledger.accept(&dropped, ProcessId::NOBODY, &[]);
        let in_time = tokio::time::timeout(Duration::from_micros(round * 5), accept).await;
        let all: Vec<JobId> = dropped.iter().map(|new| new.job.id).collect();
        let next = plain(mint.next());
        ledger.accept(std::slice::from_ref(&next), ProcessId::NOBODY, &[]).await.unwrap();
        let stored = ledger.load(&all).await.unwrap().len();
        assert!(stored == 0 || stored == all.len(), "{stored} of {} jobs were stored", all.len());
        assert!(in_time.is_err() || stored == all.len());
        kept.push(next.job.id);
    }
    assert_eq!(ledger.load(&kept).await.unwrap().len(), kept.len());
}

#[tokio::test]
async fn a_write_lock_of_somebody_else_is_contention_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path()).await.unwrap();
    let mut conn = shell(directory.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
    let new = plain(mint().next());
    let error = ledger.accept(std::slice::from_ref(&new), ProcessId::NOBODY, &[]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Contended(_)), "{error:?}");
    assert_eq!(unsettled(&ledger).await, [], "readers go on");
    sqlx::query("ROLLBACK").execute(&mut conn).await.unwrap();
    ledger.accept(std::slice::from_ref(&new), ProcessId::NOBODY, &[]).await.unwrap();
    assert_eq!(unsettled(&ledger).await, [new.job.id]);
}

#[tokio::test]
async fn a_few_unsettled_jobs_are_found_beside_much_history_at_once() {
    const MINUTES: u32 = 40;
    const PER_MINUTE: usize = 250;
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path()).await.unwrap();
    let now = ledger.now().await.unwrap();
    let mut open = Vec::new();
    for minute in (2..MINUTES + 2).rev() {
        let first = JobId::floor(now.minus(MINUTE * minute)).0.as_u128();
        let ids: Vec<JobId> = (0..PER_MINUTE as u128).map(|n| JobId(uuid::Uuid::from_u128(first + n))).collect();
        let jobs: Vec<NewJob> = ids.iter().copied().map(plain).collect();
        ledger.accept(&jobs, ProcessId::NOBODY, &[]).await.unwrap();
        let records: Vec<Record> = ids[1..].iter().copied().map(success).collect();
        ledger.record(&records, ProcessId::NOBODY).await.unwrap();
        open.push(ids[0]);
    }
    ledger.close_minutes().await.unwrap();
    // To read them all would take three pages; the stragglers fit into one.
    let page = ledger.unsettled(None, None, 1_000).await.unwrap();
    let found: Vec<JobId> = page.jobs.iter().map(|job| job.id).collect();
    assert_eq!((found, page.next), (open.clone(), None));
    // Each outcome takes its job from the stragglers, so that the minute is closed for good.
    let records: Vec<Record> = open.iter().copied().map(success).collect();
    ledger.record(&records, ProcessId::NOBODY).await.unwrap();
    assert_eq!(ledger.close_minutes().await.unwrap(), u64::from(MINUTES));
    assert_eq!(unsettled(&ledger).await, []);
}

/// A connection behind the ledger's back, as a shell has one.
async fn shell(directory: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.join("haul.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn what_an_older_version_wrote_is_read_after_the_migration() {
    static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(directory.path().join("haul.db")).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    MIGRATOR.run_to(1, &pool).await.unwrap();
    let id = mint().next();
    let before = "INSERT INTO job VALUES (?1, 1, 5, 'default', 'mail', 'echo', x'7b7d', NULL);
        INSERT INTO failure VALUES (?1, 1, 1, 1, 'no', NULL);
        INSERT INTO receipt VALUES (?1, ?1, ?1, ?1, 1, 1, 1);
        INSERT INTO queue VALUES ('default', 'mail', 1, 1);
        INSERT INTO queue_kind VALUES ('default', 'mail', 'echo')";
    for statement in before.split(';') {
        sqlx::query(statement).bind(id.0).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let ledger = SqliteLedger::open(directory.path()).await.unwrap();
    let crash = Entry::Crashed(haul_core::JobError::new("killed"), id.created_at());
    assert_eq!(ledger.load(&[id]).await.unwrap()[0].crashes, 0, "what was written before was no crash");
    ledger.record(&[Record { attempt: 2, entry: crash, ..success(id) }], ProcessId::NOBODY).await.unwrap();
    let loaded = ledger.load(&[id]).await.unwrap();
    assert_eq!((loaded[0].failures, loaded[0].crashes), (2, 1));
    assert_eq!(ledger.queues().await.unwrap()[0].settings, QueueSettings { paused: true, slots: 1 });
    assert_eq!(ledger.take_receipts(ProcessId::random(), 10).await.unwrap().len(), 1, "its taker is gone");
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_there_and_nothing_half_written() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let mut child = writer(directory.path(), "");
        let acknowledged = acknowledged(&mut child, 200 * round);
        child.kill().unwrap();
        child.wait().unwrap();
        check(directory.path(), &acknowledged).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_refuses_the_batch_and_keeps_what_was_answered() {
    let directory = tempfile::tempdir().unwrap();
    // Files may have 4 MiB (in blocks of 512 or 1,024 bytes, by shell), and writing beyond is an error, not a signal.
    let mut child = writer(directory.path(), "trap '' XFSZ; ulimit -f 8192;");
    let acknowledged = acknowledged(&mut child, usize::MAX);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(i32::from(UNAVAILABLE)), "a full disk is to be tried again, later");
    assert!(acknowledged.len() > 100, "only {} batches were taken before the disk was full", acknowledged.len());
    check(directory.path(), &acknowledged).await;
}

/// What the writing process ends with when the ledger is unavailable.
const UNAVAILABLE: u8 = 42;
/// Jobs of one of its batches.
const BATCH: usize = 25;

/// A file that says that the directory is one to write into.
const MARK: &str = "written-by-a-child";

/// Starts a process of this very test binary that writes into the ledger until it fails or is killed.
fn writer(directory: &Path, limits: &str) -> Child {
    std::fs::write(directory.join(MARK), "").unwrap();
    let script = format!("{limits} exec \"$0\" --exact --ignored --nocapture sqlite::writes_until_it_is_stopped");
    Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The first ids of the batches that the process says are committed.
fn acknowledged(child: &mut Child, batches_max: usize) -> Vec<JobId> {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let ids = lines.filter_map(|line| line.unwrap().strip_prefix("committed ")?.parse().ok());
    ids.take(batches_max).collect()
}

/// Every acknowledged batch is there as a whole, and so is or is not every other.
async fn check(directory: &Path, acknowledged: &[JobId]) {
    let ledger = reopened(directory).await;
    let stored = unsettled(&ledger).await;
    assert_eq!(stored.len() % BATCH, 0, "a batch is half-written");
    let stored: HashSet<JobId> = stored.into_iter().collect();
    let lost = acknowledged.iter().filter(|id| !stored.contains(id)).count();
    assert_eq!(lost, 0, "of {} acknowledged batches", acknowledged.len());
    ledger.close().await.unwrap();
}

/// Not a test: what [`writer`] starts. Its directory is the current one.
#[test]
#[ignore = "writes until it is killed"]
fn writes_until_it_is_stopped() {
    if !Path::new(MARK).exists() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let code = runtime.block_on(async {
        let ledger = reopened(Path::new(".")).await;
        let mint = mint();
        loop {
            let jobs: Vec<NewJob> = (0..BATCH).map(|_| plain(mint.next())).collect();
            match ledger.accept(&jobs, ProcessId::NOBODY, &[]).await {
                Ok(_) => writeln!(std::io::stdout(), "committed {}", jobs[0].job.id).unwrap(),
                Err(LedgerError::Unavailable(_)) => return UNAVAILABLE,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    std::process::exit(code.into());
}
