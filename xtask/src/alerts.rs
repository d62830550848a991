//! Alerts: has each a section in the runbook that it links to, a test in which it fires, and one in which it stays quiet?
//!
//! Promise: fails for an alert without any of these, and for a section or a test of an alert that is not there. Whether the tests pass
//! says `promtool`; that one which is told to be quiet could fire at all is shown by its sibling.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{run::root, yaml};

const PLACE: &str = "dashboards/prometheus";
const RUNBOOK: &str = "docs/runbook.md";

/// The files of rules and of tests, as paths in the checkout; `of` is `rules` or `tests`.
pub(crate) fn files(of: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(PLACE).join(of))? {
        let name = entry?.file_name().into_string().ok().context("a name that is no text")?;
        ensure!(name.ends_with(".yml"), "{PLACE}/{of}/{name} is not read by anybody");
        files.push(format!("{PLACE}/{of}/{name}"));
    }
    files.sort();
    Ok(files)
}

/// Checks that alerts, sections and tests belong together.
pub(crate) fn check() -> Result<()> {
    let mut alerts = BTreeSet::new();
    for file in files("rules")? {
        for rule in each(&yaml::read(&file)?[0]["groups"], "rules") {
            if let Some(name) = rule["alert"].as_str() {
                let link = format!("{{{{ $externalLabels.haul_docs }}}}/runbook.md#{}", name.to_lowercase());
                ensure!(rule["annotations"]["runbook_url"] == link, "{name} has to link to {link}");
                ensure!(matches!(rule["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}: how severe?");
                ensure!(rule["annotations"]["summary"].is_string(), "{name} does not say what is the matter");
                ensure!(alerts.insert(name.to_owned()), "{name} is there twice");
            }
        }
    }
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for file in files("tests")? {
        for test in each(&yaml::read(&file)?[0]["tests"], "alert_rule_test") {
            let name = test["alertname"].as_str().with_context(|| format!("{file}: a test of no alert"))?;
            let expected = test["exp_alerts"].as_array().with_context(|| format!("{file}: {name} expects nothing"))?;
            let which = if expected.is_empty() { &mut quiet } else { &mut firing };
            which.insert(name.to_owned());
        }
    }
    let runbook = fs::read_to_string(root().join(RUNBOOK)).with_context(|| format!("no {RUNBOOK}"))?;
    let mut sections = BTreeSet::new();
    for section in runbook.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        for part in ["**What it means.**", "**How to look.**", "**What to do.**"] {
            ensure!(section.contains(part), "{RUNBOOK}: {name} lacks {part}");
        }
        sections.insert(name.to_owned());
    }
    same(&alerts, &sections, "a section in docs/runbook.md")?;
    same(&alerts, &firing, "a test in which it fires")?;
    same(&alerts, &quiet, "a test in which it stays quiet")?;
    println!("xtask: {} alerts, each with a section, and tests in which it fires and does not", alerts.len());
    Ok(())
}

/// What the members of an array hold under a name.
fn each<'a>(members: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let lists = members.as_array().into_iter().flatten().filter_map(move |member| member[name].as_array());
    lists.flatten()
}

fn same(alerts: &BTreeSet<String>, have: &BTreeSet<String>, what: &str) -> Result<()> {
    let lacks: Vec<_> = alerts.difference(have).collect();
    let unknown: Vec<_> = have.difference(alerts).collect();
    ensure!(lacks.is_empty(), "without {what}: {lacks:?}");
    ensure!(unknown.is_empty(), "no such alert, but {what}: {unknown:?}");
    Ok(())
}
