//! Every expression that somebody looks at, or is woken by: read from the files, with what they name.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{declared, fitness};
use crate::{alerts, run::root, yaml};

const DASHBOARDS: &str = "dashboards/grafana/dashboards";

/// An expression, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    /// `queues.json: Ready`, `rules/jobs.yml: HaulQueueOld`.
    pub(super) place: String,
    /// As Prometheus is to be asked: without Grafana's variables.
    pub(super) text: String,
    /// The labels that its legend shows.
    pub(super) legend: Vec<String>,
    /// An alert's is empty as long as all is well.
    pub(super) is_alert: bool,
}

/// All of them. Fails for those that name what nothing declares, and for a metric that none of them names.
pub(super) fn read() -> Result<Vec<Expression>> {
    let mut all = Vec::new();
    let mut records = BTreeSet::new();
    for file in alerts::files("rules")? {
        for group in yaml::read(&file)?[0]["groups"].as_array().into_iter().flatten() {
            for rule in group["rules"].as_array().into_iter().flatten() {
                let name = rule["alert"].as_str().or(rule["record"].as_str()).context("a rule without a name")?;
                let text = rule["expr"].as_str().with_context(|| format!("{name} has no expression"))?.to_owned();
                let is_alert = rule["record"].is_null();
                if !is_alert {
                    records.insert(name.to_owned());
                }
                all.push(Expression { place: format!("{file}: {name}"), text, legend: Vec::new(), is_alert });
            }
        }
    }
    let scaling = yaml::read("deploy/kubernetes/scaling.yaml")?;
    let query = scaling[0]["spec"]["triggers"][0]["metadata"]["query"].as_str().context("scaling.yaml asks nothing")?;
    all.push(Expression {
        place: "scaling.yaml".to_owned(),
        text: query.to_owned(),
        legend: Vec::new(),
        is_alert: false,
    });
    all.extend(dashboards()?);
    declared::hold(&all, &records)?;
    Ok(all)
}

/// The expressions of all panels, variables and annotations, and whether the dashboards are fit to be provisioned.
fn dashboards() -> Result<Vec<Expression>> {
    let runbook = fs::read_to_string(root().join("docs/runbook.md"))?.to_lowercase();
    let (mut all, mut uids) = (Vec::new(), BTreeSet::new());
    let mut files: Vec<_> = fs::read_dir(root().join(DASHBOARDS))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(file.path())?;
        let dashboard: Value = serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?;
        let uid = dashboard["uid"].as_str().with_context(|| format!("{name} has no uid"))?;
        ensure!(uids.insert(uid.to_owned()), "{name}: its uid is another's, too");
        for link in text.split("/runbook.md#").skip(1) {
            let anchor = link.split('"').next().unwrap_or_default();
            ensure!(runbook.contains(&format!("\n## {anchor}\n")), "{name} links to no section: {anchor}");
        }
        let mut add = |what: &str, expression: &str, legend: &Value| {
            let legend = legend.as_str().unwrap_or_default().split("{{").skip(1);
            let legend =
                legend.filter_map(|part| part.split("}}").next()).map(|label| label.trim().to_owned()).collect();
            let place = format!("{name}: {what}");
            all.push(Expression { place, text: filled(expression), legend, is_alert: false });
        };
        fitness::of(&name, &dashboard)?;
        for panel in dashboard["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap_or_default();
            let targets = panel["targets"].as_array().with_context(|| format!("{name}: {title} asks nothing"))?;
            for target in targets {
                let expression = target["expr"].as_str().with_context(|| format!("{name}: {title} asks nothing"))?;
                add(title, expression, &target["legendFormat"]);
            }
        }
        for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
            let expression =
                annotation["expr"].as_str().with_context(|| format!("{name}: an annotation of nothing"))?;
            add("annotation", expression, &annotation["titleFormat"]);
        }
        for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
            if let Some(query) = variable["query"]["query"].as_str() {
                let values = query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(','));
                let (metric, label) = values.with_context(|| format!("{name}: {query} gives no values"))?;
                let label = label.trim_end_matches(')').trim();
                add("variable", &format!("count by ({label}) ({metric})"), &format!("{{{{{label}}}}}").into());
            }
        }
    }
    ensure!(uids.len() == 6, "there are six dashboards, not {}", uids.len());
    Ok(all)
}

/// With the values that Grafana gives its variables when somebody looks at the last minutes of everything.
fn filled(expression: &str) -> String {
    expression.replace("$__rate_interval", "10s").replace("$queue", ".*").replace("$instance", ".*")
}
