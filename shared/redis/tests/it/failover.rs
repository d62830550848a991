//! Failover: the dispatch goes on by itself on the new master, and repair brings back what the old one took with it.
//!
//! The fleet of these tests accepts, claims, records and settles throughout, over the reference ledger and by the real
//! reconciler; each ends when every accepted job has an outcome.

use crate::world::{LONG, Worker, connect, eventually, is_woken, kind, queue_on, ticket};
use bytes::Bytes;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Clock, Dispatch, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, QueueRef, QueueSettings,
    Tenant,
    config::Config,
    dispatch::{DispatchError, Next, Settlement},
    ledger::{Entry, NewJob, ProcessInfo, Record},
};
use haul_redis::{RedisDispatch, Timeouts};
use haul_repair::Repairer;
use haul_testkit::redis::{Cluster, Sentinel, Server};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

const QUEUES: usize = 6;
/// How long a leased job is worked on; now and then much longer.
const WORK: Duration = Duration::from_millis(5);
/// From the last submit until everything has ended, failover included.
const LIMIT: Duration = Duration::from_secs(30);

/// Submitters, workers and repairers, each with a connection of its own.
struct Fleet {
    ledger: Arc<ReferenceLedger>,
    queues: Vec<QueueRef>,
    accepted: Arc<Mutex<Vec<JobId>>>,
    runs: Arc<Mutex<HashMap<JobId, u32>>>,
    submitting: CancellationToken,
    running: CancellationToken,
    members: JoinSet<()>,
}

fn work() -> Kind {
    kind("work")
}

impl Fleet {
    async fn start(url: &str) -> Self {
        let clock = Arc::new(Clock::new());
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        let queue = |n| QueueRef { tenant: Tenant::default(), queue: Queue::new(format!("failover{n}")).unwrap() };
        let mut fleet = Self {
            ledger,
            queues: (0..QUEUES).map(queue).collect(),
            accepted: Arc::default(),
            runs: Arc::default(),
            submitting: CancellationToken::new(),
            running: CancellationToken::new(),
            members: JoinSet::new(),
        };
        let mut config = Config::defaults().repair;
        config.interval = "200ms".parse().unwrap();
        config.grace = "300ms".parse().unwrap();
        for _ in 0..2 {
            let (ledger, dispatch) = (fleet.ledger.clone(), Arc::new(connect(url).await));
            let repairer = Repairer::new(ProcessId::random(), ledger, dispatch, &config, Arc::new(Notify::new()));
            fleet.members.spawn(repairer.run(fleet.running.clone()));
        }
        let mint = Arc::new(IdMint::new(clock));
        fleet.members.spawn(submit(
            fleet.ledger.clone(),
            connect(url).await,
            fleet.queues.clone(),
            mint,
            fleet.accepted.clone(),
            fleet.submitting.clone(),
        ));
        for _ in 0..2 {
            let (ledger, queues, runs) = (fleet.ledger.clone(), fleet.queues.clone(), fleet.runs.clone());
            let work = work_on(ledger, connect(url).await, queues, runs);
            let running = fleet.running.clone();
            fleet.members.spawn(async move {
                running.run_until_cancelled_owned(work).await;
            });
        }
        fleet
    }

    /// Lets so many more jobs be accepted.
    async fn accept(&self, more: usize) {
        let target = self.accepted.lock().len() + more;
        eventually(async || (self.accepted.lock().len() >= target).then_some(())).await;
    }

    /// Ends the load and waits until every job has an outcome. Returns how many there were, and how many runs.
    async fn end(mut self) -> (usize, usize) {
        self.submitting.cancel();
        // The submitter answers for what it has under way.
        sleep(Duration::from_millis(100)).await;
        let accepted = self.accepted.lock().clone();
        let until = Instant::now() + LIMIT;
        loop {
            let settled = self.ledger.settled(&accepted).await.unwrap().len();
            if settled == accepted.len() {
                break;
            }
            assert!(Instant::now() < until, "{settled} of {} jobs have ended", accepted.len());
            sleep(Duration::from_millis(50)).await;
        }
        // The submitter is done; nobody else may be.
        assert!(self.members.try_join_next().is_some_and(|ended| ended.is_ok()));
        assert!(self.members.try_join_next().is_none(), "a member of the fleet gave up");
        self.running.cancel();
        self.members.shutdown().await;
        let runs = self.runs.lock().values().map(|runs| *runs as usize).sum();
        println!("{} jobs, {runs} runs", accepted.len());
        (accepted.len(), runs)
    }
}

/// Accepts five jobs every few milliseconds. A receipt whose tickets did not surely arrive is left to repair.
async fn submit(
    ledger: Arc<ReferenceLedger>,
    dispatch: RedisDispatch,
    queues: Vec<QueueRef>,
    mint: Arc<IdMint>,
    accepted: Arc<Mutex<Vec<JobId>>>,
    end: CancellationToken,
) {
    let me = ProcessId::random();
    let mut turn = 0;
    while !end.is_cancelled() {
        let queue = &queues[turn % queues.len()];
        turn += 1;
        let jobs: Vec<_> = (0..5).map(|_| job(&mint, queue)).collect();
        let new: Vec<_> = jobs.iter().map(|job| NewJob { job: job.clone(), idempotency: None }).collect();
        ledger.heartbeat(&ProcessInfo { id: me, role: "api".to_owned() }).await.unwrap();
        let receipt = ledger.accept(&new, me, &[]).await.unwrap().receipt.unwrap();
        accepted.lock().extend(jobs.iter().map(|job| job.id));
        let tickets: Vec<_> =
            jobs.iter().map(|job| haul_core::dispatch::Ticket { id: job.id, ..ticket(&work()) }).collect();
        match dispatch.enqueue(queue, &tickets).await {
            Ok(()) => ledger.drop_receipts(&[receipt]).await.unwrap(),
            Err(_) => ledger.release_receipts(&[receipt]).await.unwrap(),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn job(mint: &IdMint, queue: &QueueRef) -> Job {
    let id = mint.next();
    Job {
        id,
        tenant: queue.tenant.clone(),
        queue: queue.queue.clone(),
        kind: work(),
        priority: Priority::default(),
        run_at: id.created_at(),
        payload: Bytes::from_static(b"{}"),
        options: JobOptions::shared_default(),
    }
}

/// Claims, works, records and settles, for ever. What fails is tried again or left to the lease.
async fn work_on(
    ledger: Arc<ReferenceLedger>,
    dispatch: RedisDispatch,
    queues: Vec<QueueRef>,
    runs: Arc<Mutex<HashMap<JobId, u32>>>,
) {
    let me = ProcessId::random();
    let mut worker = Worker::new(&[work()]);
    worker.lease = Duration::from_secs(4);
    let clock = Clock::new();
    let mut turn = 0_usize;
    loop {
        turn += 1;
        let queue = &queues[turn % queues.len()];
        let Ok(leases) = worker.try_take(&dispatch, queue, 20).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if leases.is_empty() {
            sleep(Duration::from_millis(10)).await;
            continue;
        }
        sleep(if turn.is_multiple_of(40) { WORK * 100 } else { WORK }).await;
        // A lost queue takes leases up again.
        drop(dispatch.extend(queue, &leases, worker.lease).await);
        let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
        let settled = ledger.settled(&ids).await.unwrap();
        let mut records = Vec::new();
        for id in ids.into_iter().filter(|id| settled.iter().all(|(settled, _)| settled != id)) {
            *runs.lock().entry(id).or_default() += 1;
            let entry = Entry::Succeeded(None);
            let tenant = Tenant::default();
            records.push(Record { job: id, tenant, attempt: 1, at: clock.now(), entry, follow_ups: Vec::new() });
        }
        ledger.record(&records, me).await.unwrap();
        let done: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
        drop(dispatch.settle(queue, &done).await);
    }
}

/// Whether every queue's marker is that server's, or another's of these.
fn rebuilt_on(servers: &[&Server], queue: &QueueRef) -> bool {
    servers.iter().any(|server| {
        let marker = server.cli(&["HGET", &format!("haul:{{{queue}}}:state"), "marker"]).unwrap_or_default();
        !marker.is_empty() && server.cli(&["INFO", "server"]).unwrap().contains(&marker)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_failover_under_load_loses_no_job() {
    let mut sentinel = Sentinel::start(2, 3).unwrap();
    let fleet = Fleet::start(&sentinel.url()).await;
    fleet.accept(500).await;
    let killed = sentinel.kill_master().unwrap();
    let master = sentinel.wait_failed_over(killed).unwrap();
    for queue in fleet.queues.clone() {
        eventually(async || rebuilt_on(&[&sentinel.servers[master]], &queue).then_some(())).await;
    }
    fleet.accept(500).await;
    // The old master is back, takes itself for one until it is told, and everybody stays where they are.
    sentinel.servers[killed].restart().unwrap();
    fleet.accept(1_000).await;
    let (accepted, runs) = fleet.end().await;
    assert!(accepted >= 2_000 && runs >= accepted, "{accepted} jobs, {runs} runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_failover_while_queues_are_rebuilt_loses_no_job() {
    let mut sentinel = Sentinel::start(2, 3).unwrap();
    let fleet = Fleet::start(&sentinel.url()).await;
    fleet.accept(500).await;
    let first = sentinel.kill_master().unwrap();
    sentinel.wait_failed_over(first).unwrap();
    // Right now the queues are lost, or half filled. Sentinels wait a while before they do it again.
    sentinel.servers[first].restart().unwrap();
    let second = sentinel.kill_master().unwrap();
    fleet.accept(200).await;
    sentinel.wait_failed_over(second).unwrap();
    fleet.accept(500).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_failover_under_load_loses_no_job() {
    let mut cluster = Cluster::start(3, 1).unwrap();
    let fleet = Fleet::start(&cluster.urls()).await;
    fleet.accept(500).await;
    cluster.kill_master(0).unwrap();
    cluster.wait_failed_over(0).unwrap();
    fleet.accept(500).await;
    cluster.servers[0].restart().unwrap();
    cluster.wait_whole().unwrap();
    fleet.accept(500).await;
    let queues = fleet.queues.clone();
    fleet.end().await;
    let servers: Vec<_> = cluster.servers.iter().collect();
    for queue in &queues {
        eventually(async || rebuilt_on(&servers, queue).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_replaced_is_left_although_it_still_answers() {
    let sentinel = Sentinel::start(1, 3).unwrap();
    let dispatch = connect(&sentinel.url()).await;
    let a = kind("a");
    let worker = Worker::new(std::slice::from_ref(&a));
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    worker.claim(&dispatch, &queue, 1).await;
    // Cut off: the Sentinels cannot tell the old master that it is none any more; its clients stay where they are.
    let old = &sentinel.servers[0];
    let ask = |words: &[&str]| old.cli(&[["--no-auth-warning", "-a", "cut-off"].as_slice(), words].concat());
    old.cli(&["CONFIG", "SET", "requirepass", "cut-off"]).unwrap();
    for client in ask(&["CLIENT", "LIST"]).unwrap().lines().filter(|client| client.contains("name=sentinel-")) {
        let id = client.trim_start_matches("id=").split(' ').next().unwrap();
        ask(&["CLIENT", "KILL", "ID", id]).unwrap();
    }
    sentinel.wait_failed_over(0).unwrap();
    let lost = eventually(async || {
        let lost = dispatch.lost(std::slice::from_ref(&queue)).await.ok()?;
        (!lost.is_empty()).then_some(lost)
    });
    assert_eq!(lost.await, std::slice::from_ref(&queue), "it was never rebuilt on the new master");
    assert!(ask(&["INFO", "replication"]).unwrap().contains("role:master"), "the old one does not know");
    // And wake-ups are heard from where they are sent now.
    crate::world::rebuild(&dispatch, &queue, std::slice::from_ref(&a), &[]).await;
    eventually(async || {
        worker.claim(&dispatch, &queue, 1).await;
        dispatch.enqueue(&queue, &[ticket(&a)]).await.unwrap();
        let woken = is_woken(&dispatch, &worker, &queue, Duration::from_millis(500)).await;
        worker.take(&dispatch, &queue, 100).await;
        woken.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_that_would_drop_tickets_is_refused_until_that_is_mended() {
    let mut sentinel = Sentinel::start(1, 3).unwrap();
    let dispatch = connect(&sentinel.url()).await;
    let queue = queue_on(&dispatch, &[]).await;
    sentinel.servers[1].cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    let killed = sentinel.kill_master().unwrap();
    let master = sentinel.wait_failed_over(killed).unwrap();
    let refused = eventually(async || match dispatch.lost(std::slice::from_ref(&queue)).await {
        Err(DispatchError::Misconfigured(text)) => Some(text),
        _ => None,
    });
    assert!(refused.await.contains("noeviction"));
    sentinel.servers[master].cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
    eventually(async || dispatch.lost(std::slice::from_ref(&queue)).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sentinels_cannot_answer_is_said_clearly() {
    let sentinel = Sentinel::start(1, 1).unwrap();
    let refusal = async |url: String| match RedisDispatch::connect(&url.as_str().into(), Timeouts::default()).await {
        Err(DispatchError::Misconfigured(text)) => text,
        other => panic!("{other:?}"),
    };
    let unknown = refusal(sentinel.url().replace("/haul", "/other")).await;
    assert!(unknown.contains("no master named \"other\""), "{unknown}");
    let server = format!("redis+sentinel://127.0.0.1:{}/haul", sentinel.servers[0].port());
    let server = refusal(server).await;
    assert!(server.contains("no Sentinel"), "{server}");
    let plain = refusal(format!("redis://127.0.0.1:{}", sentinel.sentinels[0].port())).await;
    assert!(plain.contains("redis+sentinel://"), "{plain}");

    sentinel.sentinels[0].cli(&["ACL", "SETUSER", "default", "on", "resetpass", ">watch"]).unwrap();
    let closed = refusal(sentinel.url()).await;
    assert!(closed.contains("sentinel_password"), "{closed}");
    let dispatch = connect(&format!("{}?sentinel_password=watch", sentinel.url())).await;
    assert!(
        dispatch
            .begin_rebuild(&crate::world::new_queue(), &[], &QueueSettings::default(), LONG)
            .await
            .unwrap()
            .is_some()
    );
}
