//! Two workers of a user's own on a real Postgres and a real Redis.

use crate::world::{ended, job, kept_up, kill_and_restart, look, processes_of, submit, until};
use haul_testkit::{
    http::Client,
    postgres,
    process::{Command, Haul, haul, program},
    redis,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

struct Fleet {
    api: Haul,
    workers: Vec<Haul>,
    _redis: redis::Server,
}

impl Fleet {
    async fn start(workers: usize) -> Self {
        let database = postgres::shared().database();
        let redis = redis::Server::start(&redis::Options::default()).expect("redis");
        let on = |command: Command| command.env("DATABASE_URL", &database).env("REDIS_URL", &redis.url());
        let migrated = on(haul(&["migrate"])).run().expect("migrate");
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let api = on(haul(&["api"])).start().await.expect("api");
        let worker = on(program("examples/poison", &["worker"])).env("HAUL_WORKER_LEASE", "2s");
        let mut started = Vec::new();
        for _ in 0..workers {
            started.push(worker.start().await.expect("worker"));
        }
        Self { api, workers: started, _redis: redis }
    }

    fn client(&self) -> Client {
        self.api.client()
    }
}

async fn succeed(client: &Client, ids: &[String]) -> Vec<Value> {
    let mut jobs = Vec::new();
    for id in ids {
        let job = ended(client, id, LIMIT).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        jobs.push(job);
    }
    jobs
}

#[tokio::test]
async fn poison_jobs_die_of_three_crashes_and_the_other_jobs_of_their_queue_all_finish() {
    let mut fleet = Fleet::start(2).await;
    let client = fleet.client();
    let deeds = ["abort", "overflow", "exit", "kill"];
    let good = submit(&client, vec![job("deed", json!({ "sleep": 100 })); 300]).await;
    let bad = submit(&client, deeds.iter().map(|deed| job("deed", json!(deed))).collect()).await;
    let more = submit(&client, vec![job("deed", json!({ "sleep": 100 })); 300]).await;
    let all_end = async {
        for (deed, id) in deeds.iter().zip(&bad) {
            let job = ended(&client, id, LIMIT).await;
            let message = job["outcome"]["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with("crashed its worker 3 times"), "{deed}: {job}");
            assert_eq!(job["attempt"], 3, "{deed}: {job}");
        }
        succeed(&client, &good).await;
        succeed(&client, &more).await;
    };
    let ((), deaths) = kept_up(&mut fleet.workers, all_end).await;
    eprintln!("4 poison jobs: {deaths} deaths of workers");
    assert!(deaths <= 2 * deeds.len(), "{deaths} deaths: suspects should have been alone");
}

#[tokio::test]
async fn of_good_jobs_none_is_dead_however_often_a_worker_is_killed() {
    const JOBS: usize = 4_000;
    let mut fleet = Fleet::start(2).await;
    let client = fleet.client();
    let ids = submit(&client, vec![job("deed", json!({ "sleep": 200 })); JOBS]).await;
    let began = Instant::now();
    let done = async || {
        let answer = client.get("/v1/queues").await.ok()?.json().ok()?;
        let queue = &answer["data"][0];
        ["ready", "delayed", "running"].iter().all(|figure| queue[figure] == 0).then_some(())
    };
    let mut kills = 0;
    loop {
        assert!(began.elapsed() < LIMIT, "they take too long");
        tokio::time::sleep(Duration::from_secs(2)).await;
        if done().await.is_some() {
            break;
        }
        kill_and_restart(&mut fleet.workers[0]);
        kills += 1;
    }
    eprintln!("{JOBS} jobs of 200 ms, a worker killed {kills} times: {:?}", began.elapsed());
    let jobs = succeed(&client, &ids).await;
    let alone = jobs.iter().filter(|job| job["outcome"]["result"]["is_alone"] == true).count();
    eprintln!("{alone} of them were suspects");
    assert!(kills > 1 && alone > 0, "{kills} kills, {alone} suspects");
    assert!(jobs.iter().all(|job| job["failures"] == json!([])), "killing a worker counts nothing");
}

#[tokio::test]
async fn a_transactional_suspect_commits_once_from_its_own_process() {
    let mut fleet = Fleet::start(1).await;
    let client = fleet.client();
    let id = submit(&client, vec![job("deed.within", json!({ "sleep": 1500 }))]).await.remove(0);
    until("it runs", LIMIT, || async { look(&client, &id).await.filter(|job| job["state"] == "running") }).await;
    kill_and_restart(&mut fleet.workers[0]);
    let job = succeed(&client, std::slice::from_ref(&id)).await.remove(0);
    assert_eq!(job["outcome"]["result"]["is_alone"], true, "{job}");
    assert_eq!(job["attempt"], 1, "{job}");
    let left = client.get(&format!("/v1/jobs?tag=left-by:{id}")).await.expect("an answer").json().expect("JSON");
    let left = left["data"].as_array().expect("jobs");
    assert_eq!(left.len(), 1, "{left:?}");
    succeed(&client, &[left[0]["id"].as_str().expect("an id").to_owned()]).await;
}

#[tokio::test]
async fn sigterm_waits_for_suspects_and_ctrl_c_does_not_reach_them() {
    let mut fleet = Fleet::start(1).await;
    let client = fleet.client();
    let id = submit(&client, vec![job("deed", json!({ "sleep": 4000 }))]).await.remove(0);
    until("it runs", LIMIT, || async { look(&client, &id).await.filter(|job| job["state"] == "running") }).await;
    let worker = &mut fleet.workers[0];
    kill_and_restart(worker);
    let pid = until("it is back", LIMIT, || async { worker.pid() }).await;
    let alone = until("it runs alone", LIMIT, || async { processes_of(pid).first().copied() }).await;
    until("its handler has begun", LIMIT, || async {
        let metrics = Client::new(worker.ops_url()).get("/metrics").await.ok()?;
        String::from_utf8_lossy(&metrics.body).contains("haul_wait_seconds_count{queue=\"default\"} 1").then_some(())
    })
    .await;
    // What a terminal sends goes to a process group, and the suspect's is its own.
    for signal in ["TERM", "INT"] {
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &alone.to_string()]).status();
        assert!(sent.expect("kill").success());
    }
    worker.signal("TERM").expect("signal");
    assert_eq!(worker.wait_exit(LIMIT).expect("exit").code, 0);
    let job = look(&client, &id).await.expect("the job");
    assert_eq!((&job["state"], &job["outcome"]["result"]["is_alone"]), (&json!("succeeded"), &json!(true)), "{job}");
    assert!(processes_of(pid).is_empty());
}

#[tokio::test]
async fn stopping_a_worker_stops_its_suspects_until_it_goes_on() {
    let mut fleet = Fleet::start(1).await;
    let client = fleet.client();
    let file = fleet.api.directory().join("ticks");
    let ticks = || std::fs::metadata(&file).map_or(0, |file| file.len());
    let id = submit(&client, vec![job("deed", json!({ "tick": [file.display().to_string(), 100] }))]).await.remove(0);
    until("it ticks", LIMIT, || async { (ticks() > 0).then_some(()) }).await;
    let worker = &mut fleet.workers[0];
    kill_and_restart(worker);
    std::fs::remove_file(&file).expect("remove");
    until("it ticks alone", LIMIT, || async { (ticks() > 2).then_some(()) }).await;
    let pid = worker.pid().expect("it runs");
    assert_eq!(processes_of(pid).len(), 1);
    worker.signal("STOP").expect("signal");
    // Half a lease later the suspect has to do without its worker's pulse.
    let mut before = ticks();
    until("it stands still", LIMIT, || {
        let (now, then) = (ticks(), std::mem::replace(&mut before, ticks()));
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            (now == then).then_some(())
        }
    })
    .await;
    let stood = ticks();
    assert!(stood < 100, "it went on to its end: {stood}");
    worker.signal("CONT").expect("signal");
    let done = succeed(&client, std::slice::from_ref(&id)).await.remove(0);
    assert_eq!((&done["failures"], ticks()), (&json!([]), 100), "{done}");
}
