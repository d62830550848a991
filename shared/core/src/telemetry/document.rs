//! `docs/metrics.md`, written from the table.

use super::{Form, Label, METRICS, Metric, Role, Values, cap};

/// Where it is.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

const INTRODUCTION: &str = "\
# Metrics

Written from the table in `shared/core/src/telemetry.rs`; do not edit.

Every process shows its metrics at `/metrics`: the API on its own address, and each role on the address that `--ops-listen`
names. `haul up` shows those of all roles. With `metrics.enabled = false` none are gathered.

- Counters and histograms tell what one process did: sum them over processes. Sum gauges of what a process has (slots,
  connections) likewise.
- What is common to all processes is shown by one scheduler at a time, the *lookout* (the one that has been alive the longest; see
  [decision 0170](decisions/0170-one-lookout.md)). Sums of it are right too. Where nothing runs a scheduler, it is absent.
  For some seconds after the lookout was killed nobody shows it.
- Series of counters are there from the beginning where their labels are known then; those of queues and kinds appear with
  the first job.
";

/// The text of docs/metrics.md.
fn documentation() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str(&format!(
        "- Labels are bounded. The first {} queues, {} kinds and {} pairs of them that a process meets have series of their own; all \
         further ones share the\n  value `{}`.\n",
        cap::QUEUES_MAX,
        cap::KINDS_MAX,
        cap::PAIRS_MAX,
        cap::OTHER
    ));
    text.push_str("\n| name | type | unit | labels | shown by |\n| --- | --- | --- | --- | --- |\n");
    for Metric { name, form, unit, labels, roles, .. } in METRICS {
        let labels = labels.iter().map(label).collect::<Vec<_>>().join(", ");
        let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("| `{name}` | {} | {} | {labels} | {roles} |\n", form.as_str(), unit.as_str()));
    }
    for Metric { name, form, help, labels, roles, .. } in METRICS {
        text.push_str(&format!("\n## {name}\n\n{help}\n"));
        for Label { name, values } in *labels {
            if let Values::Closed(values) = values {
                let values = values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
                text.push_str(&format!("\n`{name}` is one of {values}.\n"));
            }
        }
        if let Form::Histogram(bounds) = form {
            let bounds = bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("\nBuckets: {bounds}.\n"));
        }
        if *roles == [Role::Lookout] {
            text.push_str("\nShown by the lookout alone.\n");
        }
    }
    text
}

fn label(label: &Label) -> String {
    format!("`{}`", label.name)
}

#[test]
fn the_documentation_is_up_to_date() {
    let advice = "docs/metrics.md is stale: cargo test -p haul-core -- --ignored write_the_metrics";
    assert_eq!(std::fs::read_to_string(PATH).expect(advice), documentation(), "{advice}");
}

#[test]
#[ignore = "writes docs/metrics.md"]
fn write_the_metrics() {
    std::fs::write(PATH, documentation()).unwrap();
}
