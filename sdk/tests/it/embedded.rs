//! Everything in one process: a poison job kills the API too, and yet must end.

use crate::world::{ended, job, kept_up, kill_and_restart, look, processes_of, submit, until};
use haul_testkit::process::program;
use serde_json::json;
use std::{path::Path, slice, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_poison_job_takes_the_process_down_once_and_is_dead_after_three_crashes_beside_it() {
    let mut up = program("examples/poison", &["up"]).start().await.expect("up");
    let client = up.client();
    let mut jobs = vec![job("deed", json!({ "sleep": 200 })); 150];
    jobs.insert(70, job("deed", json!("abort")));
    let ids = submit(&client, jobs).await;
    let (poison, deaths) = kept_up(slice::from_mut(&mut up), ended(&client, &ids[70], LIMIT)).await;
    assert_eq!(deaths, 1, "from then on it is a suspect");
    assert_eq!((&poison["state"], &poison["attempt"]), (&json!("dead"), &json!(3)), "{poison}");
    let message = poison["outcome"]["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("crashed its worker 3 times") && message.contains("SIGABRT"), "{message}");
    for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 70) {
        let job = ended(&client, id, LIMIT).await;
        assert_eq!(job["state"], "succeeded", "{at}: {job}");
    }
    up.signal("TERM").expect("signal");
    assert_eq!(up.wait_exit(LIMIT).expect("exit").code, 0);
    let data = up.directory().join("haul-data");
    assert!(data.is_dir() && !data.join("haul.running").exists(), "a clean end leaves nobody under suspicion");
}

#[tokio::test]
async fn killing_up_kills_its_suspects_and_what_they_have_started() {
    let mut up = program("examples/poison", &["up"]).start().await.expect("up");
    let client = up.client();
    let id = submit(&client, vec![job("deed", json!("spawn"))]).await.remove(0);
    let runs = || async { look(&client, &id).await.filter(|job| job["state"] == "running") };
    until("it runs", LIMIT, runs).await;
    for _ in 0..3 {
        kill_and_restart(&mut up);
        up.wait_ready().await.expect("ready");
        let pid = up.pid().expect("it runs");
        // Itself, and its `sleep`, which has inherited the variable.
        let alone =
            until("it runs alone", LIMIT, || async { Some(processes_of(pid)).filter(|all| all.len() == 2) }).await;
        kill_and_restart(&mut up);
        let lives = |pid: &&u32| Path::new(&format!("/proc/{pid}")).exists();
        until("they are gone", LIMIT, || async { alone.iter().find(lives).is_none().then_some(()) }).await;
        up.wait_ready().await.expect("ready");
    }
    let job = look(&client, &id).await.expect("the job");
    assert_eq!(job["failures"], json!([]), "killing the worker counts nothing: {job}");
}
