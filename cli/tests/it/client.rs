//! The commands that talk to a running Haul.

use haul_testkit::{
    process::{Finished, Haul, haul},
    secret::MARK,
};
use serde_json::Value;

fn run(up: &Haul, arguments: &[&str]) -> Finished {
    haul(arguments).env("HAUL_URL", up.url()).run().expect("it runs")
}

fn done(up: &Haul, arguments: &[&str]) -> String {
    let finished = run(up, arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout.trim_end().to_owned()
}

#[tokio::test]
async fn a_job_is_submitted_shown_listed_and_run_again() {
    let up = haul(&["up"]).start().await.expect("up");
    let submit = ["submit", "echo", r#"{"n": 1.0}"#, "--queue", "mail", "--tag", "customer=42", "--wait", "--json"];
    let job: Value = serde_json::from_str(&done(&up, &submit)).expect("JSON");
    assert_eq!((&job["state"], &job["queue"]), (&"succeeded".into(), &"mail".into()));
    let id = job["id"].as_str().expect("an id");

    let shown = done(&up, &["get", id]);
    // The payload is kept as it was written, 1.0 and all.
    assert!(shown.contains(id) && shown.contains("customer=42") && shown.contains(r#"{"n": 1.0}"#), "{shown}");

    let again = done(&up, &["rerun", id]);
    assert!(done(&up, &["get", &again, "--wait"]).contains(id), "the new job names its origin");

    let listed = done(&up, &["ls", "--queue", "mail", "--tag", "customer=42"]);
    assert!(listed.starts_with("ID ") && listed.contains(id) && listed.contains(&again), "{listed}");
    let lines = done(&up, &["ls", "--state", "succeeded", "--limit", "1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&lines).expect("one line of JSON")["id"], again.as_str());
    assert_eq!(done(&up, &["ls", "--queue", "none"]), "");
}

#[tokio::test]
async fn a_queue_is_paused_and_what_waits_is_cancelled() {
    let up = haul(&["up"]).start().await.expect("up");
    done(&up, &["submit", "echo", "1", "--queue", "mail", "--wait"]);
    assert_eq!(done(&up, &["queues", "pause", "mail"]), "mail is paused");
    let first = done(&up, &["submit", "echo", "2", "--queue", "mail"]);
    done(&up, &["submit", "echo", "3", "--queue", "mail", "--delay", "1h"]);
    let queues = done(&up, &["queues"]);
    let row: Vec<_> = queues.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((row[0], row[2], row.last().copied()), ("mail", "1", Some("yes")), "{queues}");

    assert_eq!(done(&up, &["cancel", &first]), format!("{first} is cancelled"));
    assert_eq!(done(&up, &["cancel", "--queue", "mail"]), "1 cancelled");
    assert_eq!(done(&up, &["queues", "resume", "mail"]), "mail is resumed");
    assert_eq!(done(&up, &["queues", "set", "mail", "--slots", "4"]), "mail has 4 slots");
    let queue: Value = serde_json::from_str(&done(&up, &["queues", "--json"])).expect("one line of JSON");
    assert_eq!((&queue["paused"], &queue["slots"]), (&Value::from(false), &Value::from(4)));
    let refused = run(&up, &["queues", "set", "mail", "--slots", "65"]);
    assert!(refused.code == Some(3) && refused.stderr.contains("/slots must be"), "{refused:?}");
    assert_eq!(run(&up, &["cancel"]).code, Some(2));
}

#[tokio::test]
async fn what_the_api_refuses_is_said_in_its_words() {
    let up = haul(&["up"]).start().await.expect("up");
    let refused = run(&up, &["submit", "echo", "1", "--priority", "12"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("(422)") && refused.stderr.contains("/priority"), "{}", refused.stderr);
    let unknown = run(&up, &["get", "01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b67"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(unknown.stderr.contains("(404)"), "{}", unknown.stderr);
    let broken = run(&up, &["submit", "echo", "{broken"]);
    assert_eq!(broken.code, Some(2), "{broken:?}");
    assert!(broken.stderr.contains("not JSON") && broken.stderr.contains("hint:"), "{}", broken.stderr);
}

#[tokio::test]
async fn a_job_that_does_not_succeed_shows_in_the_exit_code() {
    let up = haul(&["up"]).start().await.expect("up");
    let dead = run(&up, &["submit", "echo", r#"{"fail": true}"#, "--max-attempts", "1", "--wait"]);
    assert_eq!(dead.code, Some(4), "{dead:?}");
    assert!(dead.stdout.contains("dead"), "{}", dead.stdout);
    let late = run(&up, &["submit", "echo", r#"{"sleep": "30s"}"#, "--wait", "200ms"]);
    assert_eq!(late.code, Some(4), "{late:?}");
}

#[tokio::test]
async fn with_a_key_every_command_needs_it() {
    let up = haul(&["up"]).env("HAUL_ADMIN_KEY", MARK).start().await.expect("up");
    let without = run(&up, &["ls"]);
    assert_eq!(without.code, Some(3), "{without:?}");
    assert!(without.stderr.contains("HAUL_API_KEY"), "{}", without.stderr);
    let with = haul(&["ls"]).env("HAUL_URL", up.url()).env("HAUL_API_KEY", MARK).run().expect("ls");
    assert_eq!(with.code, Some(0), "{with:?}");
    assert!(up.output().iter().all(|line| !line.contains(MARK)), "the key is never shown");
}

#[test]
fn nobody_at_the_url_is_said_with_a_hint() {
    let finished = haul(&["ls", "--url", "http://127.0.0.1:9"]).run().expect("ls");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("http://127.0.0.1:9") && finished.stderr.contains("haul up"),
        "{}",
        finished.stderr
    );
}
