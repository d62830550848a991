//! What `deploy/kubernetes` holds: are the files whole, and do they fit Haul's settings?
//!
//! Promise: every container is confined, bounded and probed, every pod has time to drain what Haul's own settings give it, and whatever
//! names something names what is there. It will not ask a cluster: there is none.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{run::root, yaml};

const PLACE: &str = "deploy/kubernetes";
const DEFAULTS: &str = "shared/core/src/default.toml";

/// Checks every file.
pub(crate) fn check() -> Result<()> {
    let listed = yaml::read(&format!("{PLACE}/kustomization.yaml"))?;
    let listed = listed[0]["resources"].as_array().context("the kustomization has no resources")?;
    let mut deployments = Vec::new();
    for file in listed {
        let path = format!("{PLACE}/{}", file.as_str().context("no name")?);
        for document in yaml::read(&path)? {
            if document["kind"] == "Deployment" {
                deployment(&document).with_context(|| path.clone())?;
                deployments.push(document["metadata"]["name"].clone());
            }
        }
    }
    ensure!(deployments.len() == 3, "the roles are three: {deployments:?}");
    // Debian's promtool is built without Kubernetes, and takes the file for wrong.
    ensure!(yaml::read(&format!("{PLACE}/prometheus.yml"))?[0]["scrape_configs"].is_array(), "prometheus.yml is empty");
    let scaling = yaml::read(&format!("{PLACE}/scaling.yaml"))?;
    ensure!(deployments.contains(&scaling[0]["spec"]["scaleTargetRef"]["name"]), "scaling.yaml scales nothing");
    Ok(())
}

fn deployment(document: &Value) -> Result<()> {
    let labels = &document["spec"]["selector"]["matchLabels"];
    ensure!(!labels.is_null() && *labels == document["spec"]["template"]["metadata"]["labels"], "it selects others");
    let pod = &document["spec"]["template"]["spec"];
    ensure!(pod["securityContext"]["runAsNonRoot"] == true, "it may run as root");
    let containers = |which: &str| pod[which].as_array().cloned().unwrap_or_default();
    for container in containers("initContainers").iter().chain(&containers("containers")) {
        let rights = &container["securityContext"];
        ensure!(rights["readOnlyRootFilesystem"] == true, "its root can be written to");
        ensure!(rights["allowPrivilegeEscalation"] == false, "it can get more rights");
        ensure!(rights["capabilities"]["drop"][0] == "ALL", "it keeps capabilities");
        ensure!(container["resources"]["limits"]["memory"].is_string(), "its memory is not bounded");
    }
    let haul = &pod["containers"][0];
    let port_names: Vec<&Value> = haul["ports"].as_array().into_iter().flatten().map(|port| &port["name"]).collect();
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let asks = &haul[probe]["httpGet"];
        ensure!(asks["path"] == path && port_names.contains(&&asks["port"]), "{probe}: {asks}");
    }
    drains(pod, haul)
}

/// The pod's grace against what Haul takes by default.
fn drains(pod: &Value, haul: &Value) -> Result<()> {
    let role = haul["args"][0].as_str().context("no role")?;
    let section = if role == "api" { "api" } else { "worker" };
    let grace = pod["terminationGracePeriodSeconds"].as_u64().context("no terminationGracePeriodSeconds")?;
    let pause = haul["lifecycle"]["preStop"]["exec"]["command"][1].as_str().map_or(Ok(0), str::parse::<u64>)?;
    let needs = pause + drain_seconds(section)? + 10;
    ensure!(grace >= needs, "{role} is killed after {grace} s, and may need {needs} s");
    ensure!(role != "api" || pause > 0, "requests still arrive when the API has begun to end");
    Ok(())
}

/// The default of `drain` in a section.
fn drain_seconds(section: &str) -> Result<u64> {
    let defaults = std::fs::read_to_string(root().join(DEFAULTS))?;
    let (_, section) = defaults.split_once(&format!("\n[{section}]\n")).context("no such section")?;
    let value = section.lines().find_map(|line| line.strip_prefix("drain = \"")).context("no drain")?;
    value.trim_end_matches("s\"").parse().with_context(|| format!("drain = \"{value} is not in seconds"))
}
