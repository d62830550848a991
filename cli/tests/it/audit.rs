//! `haul audit`.

use crate::world::until;
use haul_testkit::{
    http::{Reply, Sink},
    process::{Finished, haul},
};
use serde_json::{Value, json};
use std::time::Duration;

fn audit(url: &str, arguments: &[&str]) -> Finished {
    haul(&[&["audit"], arguments].concat()).env("HAUL_URL", url).run().expect("it runs")
}

#[tokio::test]
async fn a_haul_that_runs_well_has_no_findings() {
    let up = haul(&["up"]).start().await.expect("up");
    for (n, queue) in ["mail", "reports"].iter().enumerate() {
        let delay = ["0s", "1h"][n];
        let submit = ["submit", "echo", "1", "--queue", queue, "--delay", delay];
        assert_eq!(haul(&submit).env("HAUL_URL", up.url()).run().expect("it runs").code, Some(0));
    }
    // New queues are rebuilt within a moment; until then an audit says that it did not compare them.
    let finished = until("an audit without findings", Duration::from_secs(20), async || {
        let finished = audit(up.url(), &[]);
        assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
        (finished.code == Some(0)).then_some(finished)
    })
    .await;
    assert!(finished.stdout.starts_with("QUEUE ") && finished.stdout.contains("nothing found in "), "{finished:?}");
    let json: Value = serde_json::from_str(&audit(up.url(), &["--json"]).stdout).expect("JSON");
    assert_eq!((&json["complete"], &json["findings"]), (&json!(true), &json!(0)));
    assert_eq!(json["queues"].as_array().expect("queues").len(), 2);
}

// Its API is in this process, and must answer while the command is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_finding_shows_in_the_exit_code_and_is_named() {
    let none = json!({"count": 0, "examples": []});
    let ids: Vec<String> = (0..7).map(|n| format!("01938f5e-7c2a-7d3e-9b1f-5a0c8e4d2b6{n}")).collect();
    let queue = |compared: bool, unreachable: &Value| {
        json!({"name": "mail", "compared": compared, "jobs": 9, "tickets": 2, "leftover": 0,
            "unreachable": unreachable, "abandoned": none, "settled": none})
    };
    let report = |complete: bool, findings: u64, queue: Value| {
        let report = json!({"begun_at": "2026-11-22T09:00:00.000Z", "took_seconds": 8.25, "complete": complete,
            "findings": findings, "queues": [queue]});
        Reply::status(200).header("content-type", "application/json").body(report.to_string())
    };
    let api = Sink::start().await.expect("a sink");
    let found = json!({"count": 7, "examples": ids});
    api.respond(
        "/v1/audit",
        [
            report(true, 7, queue(true, &found)),
            report(false, 0, queue(true, &none)),
            report(true, 0, queue(false, &none)),
        ],
    );
    let url = api.url("/");
    let finished = audit(&url, &[]);
    assert_eq!(finished.code, Some(6), "{finished:?}");
    let line = format!("7 unreachable in mail: {}, ...", ids[..5].join(", "));
    assert!(finished.stdout.contains(&line) && finished.stdout.contains("7 found in 8.2 s"), "{}", finished.stdout);
    for reason in ["time ran out", "being rebuilt"] {
        let finished = audit(&url, &["--json"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(reason) && finished.stdout.starts_with('{'), "{finished:?}");
    }
}
