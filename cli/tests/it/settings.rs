//! What is refused before anything starts, and with which words.

use haul_testkit::{
    process::{Command, Finished, haul},
    secret::MARK,
};
use std::time::Duration;

fn refused(command: Command, words: &[&str]) -> Finished {
    let finished = command.run().expect("it runs");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is missing: {}", finished.stderr);
    }
    finished
}

#[test]
fn redis_alone_is_refused() {
    refused(haul(&["up"]).env("REDIS_URL", "redis://127.0.0.1:1"), &["REDIS_URL is set, but DATABASE_URL is not"]);
}

#[test]
fn a_role_of_its_own_needs_both_stores() {
    for role in ["api", "worker", "scheduler"] {
        refused(haul(&[role]), &["DATABASE_URL and REDIS_URL are not set", "haul up"]);
        refused(haul(&[role]).env("DATABASE_URL", "postgres://user:hush@127.0.0.1:1/x"), &["REDIS_URL is not set"]);
    }
    refused(haul(&["migrate"]), &["DATABASE_URL is not set"]);
}

#[test]
fn an_unknown_key_or_a_bad_value_is_refused_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("haul.toml");
    let up = || haul(&["up"]).env("HAUL_CONFIG", &file.display().to_string());
    std::fs::write(&file, "[worker]\nconcurency = 3\n").expect("a file");
    refused(up(), &["`worker.concurency`", "haul config"]);
    std::fs::write(&file, "[worker]\nlease = \"soon\"\n").expect("a file");
    refused(up(), &["`worker.lease`", "\"30s\""]);
    refused(haul(&["up", "--config", "/nowhere/haul.toml"]), &["/nowhere/haul.toml"]);
    refused(haul(&["up", "--concurrency", "many"]), &["worker.concurrency", "whole number"]);
    refused(haul(&["up"]).env("HAUL_WORKER_CONCURRENCY", "0"), &["worker.concurrency"]);
    refused(haul(&["up"]).env("HAUL_LOG_FILTER", "haul=loud"), &["log.filter"]);
}

#[test]
fn without_a_key_other_machines_are_refused() {
    refused(haul(&["up", "--listen", "0.0.0.0:0"]), &["0.0.0.0:0", "HAUL_ADMIN_KEY"]);
}

#[tokio::test]
async fn an_unknown_variable_is_a_warning() {
    let up = haul(&["up"]).env("HAUL_LISTN", "127.0.0.1:1").start().await.expect("up");
    up.wait_output("HAUL_LISTN is no setting", Duration::from_secs(5)).expect("a warning");
}

#[test]
fn the_printed_settings_are_a_file_that_is_accepted_and_hold_no_secret() {
    let printed = haul(&["config"]).env("HAUL_ADMIN_KEY", MARK).env("HAUL_WORKER_LEASE", "10s").run().expect("config");
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.stdout.contains("\nlease = \"10s\"\n"), "{}", printed.stdout);
    assert!(!printed.stdout.contains(MARK));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("haul.toml").display().to_string();
    std::fs::write(&file, &printed.stdout).expect("a file");
    let again = haul(&["config", "--config", &file]).run().expect("config");
    assert_eq!(again.stdout, printed.stdout);
    let defaults = haul(&["config", "--defaults"]).run().expect("config");
    assert!(defaults.stdout.contains("# Where the API listens."));
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["up", "--help"], &["submit", "--help"]] {
        let finished = haul(arguments).run().expect("it runs");
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    assert!(haul(&["--help"]).run().expect("help").stdout.contains("Exit codes:"));
    assert_eq!(haul(&["submit"]).run().expect("usage").code, Some(2));
}
