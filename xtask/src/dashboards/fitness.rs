//! Whether a dashboard is fit to be looked at: what Grafana would leave raw, guess, or colour for a reason of its own.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What Grafana fills in itself.
const OF_GRAFANA: [&str; 1] = ["__rate_interval"];

/// Fails for a panel without a unit, a description, or a name for each of its lines; for a figure whose colours nobody
/// chose (Grafana's own turn red at 80, of whatever it is); for a variable that nothing declares or uses; and where
/// deploys are not shown.
pub(super) fn of(name: &str, dashboard: &Value) -> Result<()> {
    let mut ids = BTreeSet::new();
    for panel in members(&dashboard["panels"]) {
        let title = panel["title"].as_str().with_context(|| format!("{name}: a panel without a title"))?;
        ensure!(ids.insert(panel["id"].to_string()), "{name}: {title}: its id is another's, too");
        if panel["type"] != "row" {
            of_panel(panel).with_context(|| format!("{name}: {title}"))?;
        }
    }
    let declared = members(&dashboard["templating"]["list"]).filter_map(|variable| variable["name"].as_str());
    let declared: BTreeSet<_> = declared.map(str::to_owned).collect();
    let shown: Value = ["panels", "links", "annotations"].iter().map(|part| dashboard[part].clone()).collect();
    let mut used = used(&shown.to_string());
    used.retain(|variable| !OF_GRAFANA.contains(&&**variable));
    ensure!(declared == used, "{name}: the variables {used:?} are used, and {declared:?} declared");
    let annotations: Vec<_> = members(&dashboard["annotations"]["list"]).collect();
    let is_of_builds = |one: &&Value| one["expr"].as_str().is_some_and(|asked| asked.contains("haul_build_info"));
    ensure!(annotations.iter().any(is_of_builds), "{name} does not show deploys");
    Ok(())
}

fn of_panel(panel: &Value) -> Result<()> {
    ensure!(panel["datasource"]["uid"] == "prometheus", "what is asked?");
    let defaults = &panel["fieldConfig"]["defaults"];
    ensure!(defaults["unit"].is_string(), "no unit");
    ensure!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "no sentence that describes it");
    let steps: Vec<_> = members(&defaults["thresholds"]["steps"]).collect();
    ensure!(panel["type"] != "stat" || !steps.is_empty(), "a figure without thresholds");
    ensure!(steps.first().is_none_or(|step| step["value"].is_null()), "its first threshold has to hold for everything");
    let values: Vec<_> = steps.iter().skip(1).map(|step| step["value"].as_f64()).collect();
    ensure!(values.iter().all(Option::is_some) && values.is_sorted(), "its thresholds are in no order");
    let is_drawn = defaults["custom"]["thresholdsStyle"]["mode"].as_str().is_some_and(|mode| mode != "off");
    ensure!(panel["type"] != "timeseries" || steps.is_empty() || is_drawn, "thresholds that are not drawn");
    let targets: Vec<_> = members(&panel["targets"]).collect();
    ensure!(!targets.is_empty(), "it asks nothing");
    for target in &targets {
        let asked = target["expr"].as_str().context("it asks nothing")?;
        let has_many = panel["type"] != "stat" || targets.len() > 1 || asked.replace("by (le)", "").contains("by (");
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        ensure!(!has_many || !legend.is_empty(), "its lines are named by raw labels: {asked}");
    }
    Ok(())
}

fn members(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The variables in a text: `$queue`, `${docs}`.
fn used(text: &str) -> BTreeSet<String> {
    let names = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    let end = |name: &str| name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    names.map(|name| name[..end(name)].to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "links": [{"url": "${docs}/runbook.md"}],
            "annotations": {"list": [{"expr": "count by (version) (haul_build_info)"}]},
            "templating": {"list": [{"name": "docs"}, {"name": "queue"}]},
            "panels": [
                {"id": 1, "type": "row", "title": "Row"},
                {
                    "id": 2, "type": "stat", "title": "Figure", "description": "It says.",
                    "datasource": {"uid": "prometheus"},
                    "targets": [{"expr": "sum(a{queue=~\"$queue\"})"}],
                    "fieldConfig": {"defaults": {
                        "unit": "short", "thresholds": {"steps": [{"value": null}, {"value": 1}]}
                    }}
                },
                {
                    "id": 3, "type": "timeseries", "title": "Lines", "description": "They say.",
                    "datasource": {"uid": "prometheus"},
                    "targets": [{"expr": "sum by (queue) (rate(a[$__rate_interval]))", "legendFormat": "{{queue}}"}],
                    "fieldConfig": {"defaults": {"unit": "s"}}
                },
            ],
        })
    }

    #[test]
    fn a_good_one_passes_and_each_defect_is_found() {
        of("good", &good()).expect("it is fit");
        for (pointer, broken) in [
            ("/panels/1/fieldConfig/defaults/unit", Value::Null),
            ("/panels/1/description", json!("")),
            ("/panels/1/fieldConfig/defaults/thresholds", Value::Null),
            ("/panels/1/fieldConfig/defaults/thresholds/steps/0/value", json!(5)),
            ("/panels/1/fieldConfig/defaults/thresholds/steps/1/value", json!("1")),
            ("/panels/1/targets/0/expr", json!("sum by (queue) (a{queue=~\"$queue\"})")),
            ("/panels/1/targets/0/expr", json!("sum(a{queue=~\"$instance\"})")),
            ("/panels/1/targets/0/expr", json!("sum(a)")),
            ("/panels/1/targets", json!([])),
            ("/panels/2/targets/0/legendFormat", Value::Null),
            ("/panels/2/id", json!(2)),
            ("/panels/2/datasource/uid", json!("another")),
            ("/panels/2/fieldConfig/defaults", json!({"unit": "s", "thresholds": {"steps": [{"value": null}]}})),
            ("/annotations/list/0/expr", json!("up")),
            ("/links/0/url", json!("${elsewhere}/runbook.md")),
        ] {
            let mut dashboard = good();
            *dashboard.pointer_mut(pointer).expect("it is there") = broken.clone();
            assert!(of("broken", &dashboard).is_err(), "{pointer} = {broken}");
        }
    }
}
