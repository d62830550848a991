//! Suspects: alone in a process, which here is this test's own program again.

use crate::world::{LIMIT, Running, World, config, eventually, queue, quick};
use haul_core::{
    Dispatch, FinalState, JobId, JobOptions, Ledger, ProcessId, Span, Tenant,
    dispatch::{ClaimRequest, LeaseToken},
    ledger::{Filter, LedgerError},
};
use haul_worker::{HandlerError, Isolation, JobContext, NewJob, WorkerBuilder};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// What a handler of these tests does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Abort,
    OverflowTheStack,
    Exit,
    KillItself,
    Panic,
    Fail,
    Tell,
    Sleep(u64),
    /// Succeeds, and leaves something behind that ends its process a moment later.
    LeaveABomb,
    /// Leaves a file, and blocks its thread from then on.
    Block(PathBuf),
    /// Leaves a file, and waits until it is told to stop.
    UntilTold(PathBuf),
    Follow,
    TooLarge,
    /// Starts another program that lives on, and sleeps.
    Start,
}

/// Where a handler ran.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    process: u32,
    attempt: u32,
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn overflow(depth: u64) -> u64 {
    let room = [depth; 1_000];
    std::hint::black_box(&room).iter().sum::<u64>() + overflow(std::hint::black_box(depth + 1))
}

async fn handle(job: JobContext, deed: Deed) -> Result<Told, HandlerError> {
    let process = std::process::id();
    match deed {
        Deed::Abort => std::process::abort(),
        Deed::OverflowTheStack => drop(overflow(0)),
        Deed::Exit => std::process::exit(0),
        Deed::KillItself => drop(Command::new("kill").args(["-9", &process.to_string()]).status()?),
        Deed::Panic => panic!("on purpose"),
        Deed::Fail => return Err(HandlerError::do_not_retry("no use").with_detail("none at all")),
        Deed::Tell => {}
        Deed::Sleep(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Deed::LeaveABomb => {
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                std::process::abort();
            });
        }
        Deed::Block(file) => {
            fs::write(file, "")?;
            std::thread::sleep(Duration::from_secs(60));
        }
        Deed::UntilTold(file) => {
            fs::write(file, "")?;
            job.cancelled().await;
        }
        Deed::Follow => {
            job.enqueue(NewJob::new("deed", &Deed::Tell).priority(2).tag("of", "a suspect"))?;
        }
        Deed::TooLarge => return Err(HandlerError::retry("x".repeat(100_000))),
        Deed::Start => {
            Command::new("sleep").arg("1000").spawn()?;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
    Ok(Told { process, attempt: job.attempt() })
}

async fn large(_: JobContext, (): ()) -> Result<String, HandlerError> {
    Ok("x".repeat(100_000))
}

fn handlers(builder: WorkerBuilder) -> WorkerBuilder {
    builder.config(config()).handler("deed", handle).handler("large", large)
}

const CHILD: &str = "suspects::a_process_for_suspects";

/// Not a test: what the others start. Run by hand it sees that it is nobody's child, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the other tests"]
async fn a_process_for_suspects() {
    let no_ledger = || std::future::ready(Err(LedgerError::LimitReached("there is none here".to_owned())));
    let ended = handlers(haul_worker::Worker::builder()).serve_suspects(no_ledger).await;
    eprintln!("{}", ended.unwrap_err());
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, "--exact", "--ignored", "--nocapture"]).stdout(Stdio::null());
    command
}

fn isolated(world: &World) -> WorkerBuilder {
    handlers(world.builder()).isolation(Isolation::by(this_program))
}

/// Submits jobs that come back by the expiry of a lease, as those of a killed worker do.
async fn submit_suspects(world: &World, deeds: &[Deed], options: impl Fn() -> JobOptions) -> Vec<JobId> {
    let jobs: Vec<_> =
        deeds.iter().map(|deed| world.job("deed", &serde_json::to_string(deed).unwrap(), options())).collect();
    let ids = jobs.iter().map(|job| job.id).collect();
    world.accept(jobs).await;
    be_killed(world, "deed", deeds.len()).await;
    ids
}

/// Claims jobs and lets their leases expire.
async fn be_killed(world: &World, kind: &str, count: usize) {
    let request = ClaimRequest {
        queue: &queue("default"),
        kinds: &[(kind.parse().unwrap(), count)],
        limit: count,
        worker: ProcessId::random(),
        token: LeaseToken::random(),
        lease: Duration::from_millis(1),
    };
    let claimed = world.dispatch.inner.claim(&request).await.unwrap().tickets.len();
    assert_eq!(claimed, count, "nobody else has claimed them");
    tokio::time::sleep(Duration::from_millis(2)).await;
}

async fn submit_suspect(world: &World, deed: Deed) -> JobId {
    submit_suspects(world, &[deed], || quick(3)).await[0]
}

async fn told(world: &World, id: JobId) -> Told {
    serde_json::from_value(world.succeeded(id).await).unwrap()
}

/// Whether a process is one of ours for suspects.
fn lives(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(CHILD))
}

async fn end(worker: Running) {
    worker.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_runs_in_another_process_and_the_next_one_in_the_same() {
    let world = World::new();
    let ids = submit_suspects(&world, &[Deed::Tell, Deed::Tell], || quick(3)).await;
    let mut one_at_a_time = config();
    one_at_a_time.suspects = 1;
    let began = Instant::now();
    let worker = world.start(isolated(&world).config(one_at_a_time));
    let first = told(&world, ids[0]).await;
    eprintln!("a process for a suspect took {:?}", began.elapsed());
    let second = told(&world, ids[1]).await;
    assert_ne!(first.process, std::process::id());
    assert_eq!((first.process, first.attempt), (second.process, second.attempt));
    let other = world.submit("deed", "\"tell\"").await;
    assert_eq!(told(&world, other).await.process, std::process::id(), "no suspect");
    end(worker).await;
    eventually("it ends with its worker", async || (!lives(first.process)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_way_to_isolate_them_suspects_run_like_other_jobs() {
    let world = World::new();
    let id = submit_suspect(&world, Deed::Tell).await;
    let worker = world.start(handlers(world.builder()));
    assert_eq!(told(&world, id).await.process, std::process::id());
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resident_kind_stays_here_also_when_it_is_a_suspect() {
    let world = World::new();
    let id = submit_suspect(&world, Deed::Tell).await;
    let worker = world.start(isolated(&world).resident("deed"));
    assert_eq!(told(&world, id).await.process, std::process::id());
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_in_an_orderly_way_there_is_recorded_as_it_would_be_here() {
    let world = World::new();
    let deeds = [Deed::Fail, Deed::Panic, Deed::Follow, Deed::TooLarge];
    let ids = submit_suspects(&world, &deeds, || quick(1)).await;
    let job = world.job("large", "null", quick(3));
    let large = job.id;
    world.accept(vec![job]).await;
    be_killed(&world, "large", 1).await;
    let worker = world.start(isolated(&world));
    assert_eq!(world.died(ids[0]).await, (1, "no use".to_owned()));
    assert_eq!(world.look(ids[0]).await.outcome.unwrap().error.unwrap().detail.as_deref(), Some("none at all"));
    assert_eq!(world.died(ids[1]).await.1, "the handler panicked: on purpose");
    assert!(world.died(ids[3]).await.1.starts_with("xxx"));
    let (attempt, message) = world.died(large).await;
    assert_eq!(attempt, 1);
    assert!(message.starts_with("its result has 100002 bytes"), "{message}");
    world.succeeded(ids[2]).await;
    // The follow-up is no suspect: it runs in a slot here.
    let jobs = world.ledger.list(&Tenant::default(), &Filter::default(), None, 100).await.unwrap().jobs;
    let follow_up = jobs.into_iter().find(|record| record.job.options.tags.contains_key("of")).unwrap();
    assert_eq!(follow_up.job.priority.get(), 2);
    assert_eq!(told(&world, follow_up.id()).await.process, std::process::id());
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_kills_its_process_has_crashed_and_its_neighbours_have_not() {
    let world = World::new();
    let bad = [Deed::Abort, Deed::OverflowTheStack, Deed::Exit, Deed::KillItself];
    let bad = submit_suspects(&world, &bad, || quick(20)).await;
    let good = submit_suspects(&world, &[const { Deed::Sleep(20) }; 30], || quick(1)).await;
    let worker = world.start(isolated(&world));
    for id in good {
        assert_eq!(told(&world, id).await.attempt, 1);
    }
    let words = ["signal 6 (SIGABRT)", "signal 6 (SIGABRT)", "exit code 0", "signal 9 (SIGKILL"];
    for (id, words) in bad.into_iter().zip(words) {
        let (attempt, message) = world.died(id).await;
        assert_eq!(attempt, 3, "{message}");
        assert!(message.starts_with("crashed its worker 3 times") && message.contains(words), "{message}");
        let record = world.look(id).await;
        assert_eq!(record.failure_count, 2);
        assert!(record.failures.iter().all(|failure| failure.crashed && failure.error.message.contains(words)));
    }
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_of_what_an_earlier_suspect_left_behind_costs_the_next_one_nothing() {
    let world = World::new();
    let ids = submit_suspects(&world, &[Deed::LeaveABomb, Deed::Sleep(800)], || quick(1)).await;
    let mut one_at_a_time = config();
    one_at_a_time.suspects = 1;
    let worker = world.start(isolated(&world).config(one_at_a_time));
    let (first, second) = (told(&world, ids[0]).await, told(&world, ids[1]).await);
    assert_ne!(first.process, second.process, "it ran again, in a new one");
    assert_eq!((second.attempt, world.look(ids[1]).await.failure_count), (1, 0));
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_take_no_slots_and_full_slots_do_not_keep_them_waiting() {
    let world = World::new();
    let mut narrow = config();
    (narrow.concurrency, narrow.suspects) = (1, 2);
    let suspects = submit_suspects(&world, &[const { Deed::Sleep(3_000) }; 6], || quick(1)).await;
    let worker = world.start(isolated(&world).config(narrow));
    eventually("the suspects run", async || (world.stats("default", &["deed"]).await.leased >= 2).then_some(())).await;
    let began = Instant::now();
    let other = world.submit("deed", r#"{"sleep": 2000}"#).await;
    assert_eq!(told(&world, other).await.process, std::process::id());
    assert!(began.elapsed() < Duration::from_millis(2_900), "it waited for suspects: {:?}", began.elapsed());
    for id in &suspects[..2] {
        told(&world, *id).await;
    }
    assert!(began.elapsed() < Duration::from_millis(4_500), "suspects waited: {:?}", began.elapsed());
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_that_runs_out_of_time_is_killed_and_has_not_crashed() {
    let (world, files) = (World::new(), tempfile::tempdir().unwrap());
    let soon = || JobOptions { timeout: Span::from_ms(300), ..quick(1) };
    let deeds = [Deed::Block(files.path().join("a")), Deed::Start, Deed::Sleep(60_000)];
    let ids = submit_suspects(&world, &deeds, soon).await;
    let worker = world.start(isolated(&world));
    for id in &ids {
        assert_eq!(world.died(*id).await, (1, "the handler took longer than its 300ms".to_owned()));
    }
    end(worker).await;
}

async fn left(file: &Path) {
    eventually("the handler runs", async || file.exists().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_suspect_is_told_and_killed_when_it_does_not_listen() {
    let (world, files) = (World::new(), tempfile::tempdir().unwrap());
    let (deaf, listening) = (files.path().join("deaf"), files.path().join("listening"));
    let deeds = [Deed::Block(deaf.clone()), Deed::UntilTold(listening.clone())];
    let ids = submit_suspects(&world, &deeds, || quick(1)).await;
    let worker = world.start(isolated(&world));
    left(&deaf).await;
    left(&listening).await;
    let began = Instant::now();
    world.ledger.cancel(&Tenant::default(), &ids, world.clock.now()).await.unwrap();
    eventually("they are settled", async || (world.stats("default", &["deed"]).await.leased == 0).then_some(())).await;
    assert!(began.elapsed() < Duration::from_millis(3_500), "after {:?}", began.elapsed());
    for id in ids {
        assert_eq!(world.outcome(id).await.state, FinalState::Cancelled);
        assert_eq!(world.look(id).await.failure_count, 0);
    }
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_tells_suspects_and_gives_back_those_that_do_not_end() {
    let (world, files) = (World::new(), tempfile::tempdir().unwrap());
    let (deaf, listening) = (files.path().join("deaf"), files.path().join("listening"));
    let mut brief = config();
    brief.drain = Span::from_ms(100);
    let deeds = [Deed::UntilTold(listening.clone()), Deed::Block(deaf.clone())];
    let ids = submit_suspects(&world, &deeds, || quick(1)).await;
    let worker = world.start(isolated(&world).config(brief));
    left(&deaf).await;
    left(&listening).await;
    end(worker).await;
    told(&world, ids[0]).await;
    let record = world.look(ids[1]).await;
    assert_eq!((record.outcome, record.failure_count), (None, 0));
    let stats = world.stats("default", &["deed"]).await;
    assert_eq!((stats.ready, stats.leased), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_come_to_its_worker_costs_no_job_its_life() {
    let world = World::new();
    let ids = submit_suspects(&world, &[Deed::Tell, Deed::Tell, Deed::Tell], || quick(1)).await;
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    let false_one = Isolation::by(move || {
        counted.fetch_add(1, SeqCst);
        Command::new("false")
    });
    let worker = world.start(handlers(world.builder()).isolation(false_one));
    for id in ids {
        assert_eq!(told(&world, id).await.process, std::process::id());
    }
    assert!((3..=5).contains(&starts.load(SeqCst)), "{starts:?}");
    end(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_suspects_of_a_killed_worker_are_through_in_a_moment() {
    let world = World::new();
    let ids = submit_suspects(&world, &[const { Deed::Tell }; 500], || quick(1)).await;
    let worker = world.start(isolated(&world));
    let began = Instant::now();
    for id in ids {
        told(&world, id).await;
    }
    eprintln!("500 suspects took {:?}", began.elapsed());
    assert!(began.elapsed() < LIMIT);
    end(worker).await;
}
