//! `haul endpoints` and `haul events`: from the creation of an endpoint to what it was sent, against a real receiver, which
//! needs a thread beside the one that waits for commands.

use haul_testkit::{
    process::{Finished, Haul, haul},
    receiver::{Behaviour, Mood, Receiver},
};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn run(up: &Haul, arguments: &[&str]) -> Finished {
    haul(arguments).env("HAUL_URL", up.url()).run().expect("it runs")
}

fn done(up: &Haul, arguments: &[&str]) -> String {
    let finished = run(up, arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout.trim_end().to_owned()
}

fn json(up: &Haul, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(up, &[arguments, &["--json"]].concat())).expect("JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_printed_once_and_on_standard_output_only() {
    let up = haul(&["up"]).start().await.expect("up");
    let created = run(&up, &["endpoints", "create", "https://example.com/hooks", "--description", "a shop"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    assert_eq!(created.stdout.matches("whsec_").count(), 1, "{created:?}");
    assert!(!created.stderr.contains("whsec_") && created.stderr.contains("not shown again"), "{created:?}");
    let id = text(&json(&up, &["endpoints"]), "id").to_owned();
    let rotated = run(&up, &["endpoints", "rotate", &id, "--overlap", "1h"]);
    assert_eq!(rotated.stdout.matches("whsec_").count(), 1, "{rotated:?}");
    assert!(rotated.stdout.contains("old secret until") && !rotated.stderr.contains("whsec_"), "{rotated:?}");
    for arguments in [
        &["endpoints"][..],
        &["endpoints", "ls", "--json"],
        &["endpoints", "get", &id],
        &["endpoints", "get", &id, "--json"],
        &["endpoints", "edit", &id, "--description", "another shop"],
        &["endpoints", "disable", &id],
        &["endpoints", "enable", &id, "--json"],
        &["endpoints", "deliveries", &id],
        &["endpoints", "rm", &id],
    ] {
        let finished = run(&up, arguments);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(!finished.stdout.contains("whsec_") && !finished.stderr.contains("whsec_"), "{arguments:?}");
    }
    assert!(up.output().iter().all(|line| !line.contains("whsec_")), "the server writes it nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_created_changed_tested_switched_and_removed() {
    let (up, receiver) = (haul(&["up"]).start().await.expect("up"), Receiver::start().await.expect("a receiver"));
    let hook = receiver.hook("/hook");
    assert_eq!(done(&up, &["endpoints"]), "");
    let created = json(&up, &["endpoints", "create", hook.url(), "--event", "a.b", "--event", "invoice.*"]);
    hook.trust([text(&created, "secret")]).expect("a secret");
    let id = text(&created, "id");

    let tested = done(&up, &["endpoints", "test", id, "--wait"]);
    assert!(tested.contains("haul.test") && tested.contains("succeeded"), "{tested}");
    let rotated = json(&up, &["endpoints", "rotate", id, "--overlap", "0s"]);
    let refused = run(&up, &["endpoints", "test", id]);
    assert_eq!(refused.code, Some(0), "{refused:?}");
    hook.wait(LIMIT, |books| books.refused() == 1).await.expect("the old secret is no longer good");
    hook.trust([text(&rotated, "secret")]).expect("a secret");

    // What was refused comes again, signed with the new one, and ends the time of failing.
    hook.wait(LIMIT, |books| books.accepted() == 2).await.expect("the new secret is good");
    let listed = haul_testkit::wait::until("it is no longer failing", LIMIT, async || {
        let listed = done(&up, &["endpoints", "ls"]);
        listed.contains("enabled").then_some(listed)
    });
    let listed = listed.await;
    assert!(listed.contains("a.b invoice.*"), "{listed}");
    assert!(done(&up, &["endpoints", "disable", id]).contains("disabled (owner)"));
    done(&up, &["events", "send", "a.b", "1", "--wait"]);
    assert!(done(&up, &["endpoints", "enable", id]).contains("enabled"));
    let edited = done(&up, &["endpoints", "edit", id, "--all-events", "--description", "a shop"]);
    assert!(edited.contains("  all\n") && edited.contains("a shop"), "{edited}");
    let nothing = run(&up, &["endpoints", "edit", id]);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("--all-events"), "{nothing:?}");
    let forbidden = run(&up, &["endpoints", "edit", id, "--to", "http://169.254.169.254/"]);
    assert!(forbidden.code == Some(3) && forbidden.stderr.contains("/url"), "{forbidden:?}");

    assert_eq!(done(&up, &["endpoints", "rm", id]), format!("{id} is deleted"));
    let gone = run(&up, &["endpoints", "get", id]);
    assert!(gone.code == Some(3) && gone.stderr.contains("(404)"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_once_per_key_and_their_deliveries_listed_and_made_again() {
    let (up, receiver) = (haul(&["up"]).start().await.expect("up"), Receiver::start().await.expect("a receiver"));
    let hook = receiver.hook("/hook");
    let created = json(&up, &["endpoints", "create", hook.url()]);
    hook.trust([text(&created, "secret")]).expect("a secret");
    let id = text(&created, "id");
    let send = ["events", "send", "invoice.paid", r#"{"invoice": 7}"#, "--idempotency-key", "invoice-7"];
    let first = done(&up, &send);
    assert_eq!(done(&up, &send), first, "the same event under the same key");
    hook.wait(LIMIT, |books| books.accepted() == 1).await.expect("one delivery");
    let sent = done(&up, &["events", "send", "invoice.void", "null", "--wait"]);
    assert!(sent.contains(r#"{"deliveries":1}"#), "{sent}");
    let books = hook.wait(LIMIT, |books| books.accepted() == 2).await.expect("two deliveries");
    let body: Value = serde_json::from_slice(&books.arrivals[0].body).expect("JSON");
    assert_eq!((text(&body, "type"), &body["data"]["invoice"]), ("invoice.paid", &7.into()));

    let replay = ["endpoints", "replay", id, "--since", "2026-01-01T00:00:00Z", "--state", "succeeded", "--wait"];
    let delivered = haul_testkit::wait::until("both have ended", LIMIT, async || {
        let listed = done(&up, &["endpoints", "deliveries", id]);
        (listed.matches("succeeded").count() == 2).then_some(listed)
    });
    let listed = delivered.await;
    assert!(listed.contains("invoice.paid") && listed.contains("204") && listed.contains(" ms"), "{listed}");
    let replayed = done(&up, &replay);
    assert!(replayed.contains(r#""deliveries":2"#), "{replayed}");
    hook.wait(LIMIT, |books| books.duplicates() == 2).await.expect("known by their ids");

    hook.mood(Mood::always(Behaviour::Gone));
    done(&up, &["events", "send", "invoice.paid", "1"]);
    let gone = haul_testkit::wait::until("it is gone", LIMIT, async || {
        let shown = done(&up, &["endpoints", "get", id]);
        shown.contains("disabled (gone)").then_some(())
    });
    gone.await;
    let last = done(&up, &["endpoints", "deliveries", id, "-n", "1"]);
    assert!(last.contains("410 Gone") && last.lines().count() == 2, "{last}");
    let refused = run(&up, &["events", "send", "no type", "1"]);
    assert!(refused.code == Some(3) && refused.stderr.contains("/type"), "{refused:?}");
    let broken = run(&up, &["events", "send", "a.b", "{"]);
    assert!(broken.code == Some(2) && broken.stderr.contains("the data is not JSON"), "{broken:?}");
}
