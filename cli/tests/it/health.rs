//! `haul health`.

use haul_testkit::{
    http::{Reply, Sink},
    process::{Finished, haul},
};
use serde_json::json;

fn health(url: &str, arguments: &[&str]) -> Finished {
    haul(&[&["health"], arguments].concat()).env("HAUL_URL", url).run().expect("it runs")
}

#[tokio::test]
async fn a_ready_process_shows_its_checks_and_ends_with_0() {
    let up = haul(&["up"]).start().await.expect("up");
    let finished = health(up.url(), &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("api") && finished.stdout.contains("ledger"), "{finished:?}");
    let finished = health(up.url(), &["--json"]);
    assert!(finished.stdout.contains(r#""status":"ready""#), "{finished:?}");
}

// Its API is in this process, and must answer while the command is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_not_ready_says_which_check_fails() {
    let problem = json!({"type": "/problems/not-ready", "title": "Not ready", "status": 503, "detail": "a check fails",
        "checks": {"api": "ok", "ledger": "does not answer"}});
    let ops = Sink::start().await.expect("a sink");
    let reply = Reply::status(503).header("content-type", "application/problem+json").body(problem.to_string());
    ops.respond("/readyz", [reply]);
    let finished = health(&ops.url("/"), &[]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("ledger: does not answer"), "{finished:?}");
    assert!(!finished.stderr.contains("api: ok"), "what is well is not named: {finished:?}");
}

#[test]
fn nobody_there_is_an_error() {
    let finished = health("http://127.0.0.1:1", &[]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("no answer from http://127.0.0.1:1"), "{finished:?}");
}
