//! `haul schedules`: by hand and from a file.

use haul_testkit::process::{Finished, Haul, haul};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

fn run(up: &Haul, arguments: &[&str]) -> Finished {
    haul(arguments).env("HAUL_URL", up.url()).run().expect("it runs")
}

fn done(up: &Haul, arguments: &[&str]) -> String {
    let finished = run(up, arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout.trim_end().to_owned()
}

/// A file of this name beside the process's data.
fn write(up: &Haul, name: &str, text: &str) -> PathBuf {
    let path = up.directory().join(name);
    std::fs::File::create(&path).expect("a file").write_all(text.as_bytes()).expect("it is written");
    path
}

fn apply(up: &Haul, file: &Path, flags: &[&str]) -> Finished {
    let arguments = [["schedules", "apply", file.to_str().expect("UTF-8")].as_slice(), flags].concat();
    run(up, &arguments)
}

fn names(up: &Haul) -> Vec<String> {
    let lines = done(up, &["schedules", "ls", "--json"]);
    let name =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["name"].as_str().expect("a name").to_owned();
    lines.lines().map(name).collect()
}

const BILLING: &str = r#"
source = "billing"

[schedules.nightly-report]
cron = "0 2 * * mon-fri"
timezone = "Europe/London"
missed = { policy = "all", max = 10, max_age = "6h" }
job = { kind = "report", payload = { format = "pdf", secret = "hush" }, queue = "reports" }

[schedules.sweep]
every = "15m"
overlap = "skip"
job = { kind = "echo", payload_json = "null", retry = { base = "10s" } }
"#;

#[tokio::test]
async fn a_file_applied_twice_changes_nothing_the_second_time() {
    let up = haul(&["up"]).start().await.expect("up");
    let file = write(&up, "billing.toml", BILLING);
    let dry = apply(&up, &file, &["--dry-run"]);
    assert!(
        dry.code == Some(0) && dry.stdout.contains("2 to create") && dry.stdout.contains("nothing was done"),
        "{dry:?}"
    );
    assert_eq!(names(&up), [""; 0]);
    let first = apply(&up, &file, &[]);
    assert!(first.code == Some(0) && first.stdout.contains("+ nightly-report is new"), "{first:?}");
    assert_eq!(names(&up), ["nightly-report", "sweep"]);
    let before = done(&up, &["schedules", "get", "sweep", "--json"]);
    let second = apply(&up, &file, &["--prune"]);
    assert_eq!((second.code, second.stdout.trim()), (Some(0), "nothing to do: 2 unchanged"), "{second:?}");
    let version = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["version"].clone();
    assert_eq!(version(&done(&up, &["schedules", "get", "sweep", "--json"])), version(&before));

    let changed = BILLING.replace("15m", "30m").replace("hush", "hash-hash");
    let file = write(&up, "billing.toml", &changed);
    let dry = apply(&up, &file, &["--dry-run"]);
    assert!(dry.stdout.contains("every: \"15m\" -> \"30m\"") && dry.stdout.contains("job.payload differs"), "{dry:?}");
    assert!(!dry.stdout.contains("hash-hash"), "a payload is not shown: {dry:?}");
    assert!(done(&up, &["schedules", "get", "sweep"]).contains("every 15m"));
    assert!(apply(&up, &file, &[]).stdout.contains("0 to create, 2 to change, 0 to delete, 0 unchanged"));
    assert!(done(&up, &["schedules", "get", "sweep"]).contains("every 30m"));
    assert!(apply(&up, &file, &[]).stdout.contains("nothing to do"));
}

#[tokio::test]
async fn pruning_deletes_what_the_file_made_and_nothing_else() {
    let up = haul(&["up"]).start().await.expect("up");
    let billing = write(&up, "billing.toml", BILLING);
    let other = write(
        &up,
        "other.toml",
        "source = \"other\"\n[schedules.theirs]\nevery = \"1h\"\njob = { kind = \"echo\", payload = 1 }\n",
    );
    assert_eq!(apply(&up, &billing, &[]).code, Some(0));
    assert_eq!(apply(&up, &other, &[]).code, Some(0));
    let by_hand = serde_json::json!({"name": "by-hand", "every": "1h", "job": {"kind": "echo", "payload": 1}});
    assert_eq!(up.client().post("/v1/schedules", &by_hand).await.expect("an answer").status, 201);

    let empty = write(&up, "billing.toml", "source = \"billing\"\n");
    let kept = apply(&up, &empty, &[]);
    assert!(kept.stdout.contains("sweep is no longer in the file and stays; --prune deletes it"), "{kept:?}");
    let dry = apply(&up, &empty, &["--prune", "--dry-run"]);
    assert!(dry.stdout.contains("- sweep is no longer in the file"), "{dry:?}");
    assert_eq!(names(&up).len(), 4, "nothing is deleted without --prune, or in a dry run");
    assert_eq!(apply(&up, &empty, &["--prune"]).code, Some(0));
    assert_eq!(names(&up), ["by-hand", "theirs"]);

    // What somebody else keeps is not taken over by accident.
    let greedy = "source = \"billing\"\n[schedules.by-hand]\nevery = \"2h\"\njob = { kind = \"echo\", payload = 1 }\n";
    let greedy = write(&up, "billing.toml", greedy);
    let refused = apply(&up, &greedy, &[]);
    assert!(refused.code == Some(2) && refused.stderr.contains("--adopt"), "{refused:?}");
    assert!(done(&up, &["schedules", "get", "by-hand"]).contains("every 1h"));
    assert_eq!(apply(&up, &greedy, &["--adopt"]).code, Some(0));
    assert!(done(&up, &["schedules", "get", "by-hand"]).contains("every 2h"));
}

#[tokio::test]
async fn everything_in_a_file_is_judged_before_anything_is_changed() {
    let up = haul(&["up"]).start().await.expect("up");
    let wrong =
        format!("{BILLING}\n[schedules.wrong]\ncron = \"60 * * * *\"\njob = {{ kind = \"echo\", payload = 1 }}\n");
    let wrong = apply(&up, &write(&up, "wrong.toml", &wrong), &[]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    for said in ["wrong.toml:15: wrong", "/cron", "minute", "nothing was changed"] {
        assert!(wrong.stderr.contains(said), "{said} is not said: {}", wrong.stderr);
    }
    let unknown = apply(&up, &write(&up, "unknown.toml", &BILLING.replace("overlap", "overlp")), &[]);
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("line 12") && unknown.stderr.contains("overlp"),
        "{unknown:?}"
    );
    assert_eq!(names(&up), [""; 0]);
    assert_eq!(apply(&up, Path::new("no-such-file.toml"), &[]).code, Some(2));
}

#[tokio::test]
async fn a_schedule_is_listed_paused_run_and_removed() {
    let up = haul(&["up"]).start().await.expect("up");
    assert_eq!(done(&up, &["schedules"]), "");
    assert_eq!(apply(&up, &write(&up, "billing.toml", BILLING), &[]).code, Some(0));
    assert_eq!(done(&up, &["schedules", "pause", "sweep"]), "sweep is paused");
    let listed = done(&up, &["schedules"]);
    let row = listed.lines().find(|line| line.starts_with("sweep")).expect("a row");
    assert!(row.contains("every 15m") && row.contains("paused"), "{listed}");
    assert!(listed.contains("0 2 * * mon-fri (Europe/London)") && listed.contains("active"), "{listed}");
    // A deploy does not undo what an operator did.
    assert!(apply(&up, &up.directory().join("billing.toml"), &[]).stdout.contains("nothing to do: 2 unchanged"));
    let ran = done(&up, &["schedules", "run", "sweep", "--wait"]);
    assert!(ran.contains("haul.tick=manual") && ran.contains("succeeded"), "{ran}");
    assert_eq!(done(&up, &["schedules", "resume", "sweep"]), "sweep is resumed");
    let shown = done(&up, &["schedules", "get", "nightly-report", "--next", "2"]);
    assert!(shown.contains("report in reports") && shown.matches("T02:00:00[Europe/London]").count() == 2, "{shown}");
    assert_eq!(
        done(&up, &["schedules", "rm", "sweep", "nightly-report"]),
        "sweep is deleted\nnightly-report is deleted"
    );
    let gone = run(&up, &["schedules", "get", "sweep"]);
    assert!(gone.code == Some(3) && gone.stderr.contains("(404)"), "{gone:?}");
}

#[tokio::test]
async fn a_preview_shows_what_becomes_of_times_that_come_twice() {
    let up = haul(&["up"]).start().await.expect("up");
    let preview =
        ["schedules", "preview", "30 1 * * *", "--timezone", "America/New_York", "--from", "2026-10-31T12:00:00Z"];
    let shown = done(&up, &[preview.as_slice(), &["-n", "2"]].concat());
    let expected = "in America/New_York:\n\
        LOCAL                        UTC                       NOTE\n\
        2026-11-01T01:30:00          2026-11-01T05:30:00.000Z  comes twice: runs the first time\n\
        2026-11-01T01:30:00 (again)  2026-11-01T06:30:00.000Z  comes twice: left out the second time\n\
        2026-11-02T01:30:00          2026-11-02T06:30:00.000Z";
    assert_eq!(shown, expected);
    let refused = run(&up, &["schedules", "preview", "0 0 2 * * *"]);
    assert!(refused.code == Some(3) && refused.stderr.contains("\"seconds\": true"), "{refused:?}");
}

/// Every example of docs/schedules.md does what the page says.
#[tokio::test]
async fn the_examples_of_the_documentation_hold() {
    let up = haul(&["up"]).start().await.expect("up");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schedules.md");
    let page = std::fs::read_to_string(page).expect("docs/schedules.md");
    let blocks = |kind: &str| -> Vec<String> {
        let begin = format!("```{kind}\n");
        page.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
    };
    let (files, previews) = (blocks("toml"), blocks("console"));
    assert!(!files.is_empty() && previews.len() >= 4, "{} files, {} previews", files.len(), previews.len());
    for (n, file) in files.iter().enumerate() {
        let path = write(&up, &format!("example-{n}.toml"), file);
        for said in ["to create", "nothing to do"] {
            let applied = apply(&up, &path, &[]);
            assert!(applied.code == Some(0) && applied.stdout.contains(said), "{file}: {applied:?}");
        }
    }
    for block in previews {
        let (command, expected) = block.split_once('\n').expect("a command and what it prints");
        let arguments = command.strip_prefix("$ haul ").expect("a command of haul");
        // Quoted words, and nothing else that a shell would do.
        let mut words = Vec::new();
        for (n, part) in arguments.split('\'').enumerate() {
            if n % 2 == 1 { words.push(part) } else { words.extend(part.split_whitespace()) }
        }
        assert_eq!(done(&up, &words), expected.trim_end(), "{command}");
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let expressions: Vec<&str> = rows.filter_map(|row| row.split_once("` |").map(|(cron, _)| cron)).collect();
    assert!(expressions.len() >= 8, "{expressions:?}");
    for expression in expressions {
        done(&up, &["schedules", "preview", expression, "--timezone", "Europe/London"]);
    }
}
