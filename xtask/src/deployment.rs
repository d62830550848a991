//! The files by which Haul is run elsewhere: does the program that reads each of them accept it?
//!
//! What the containers run is run by the tests, as plain processes; nothing here starts one.

use anyhow::Result;
use std::process::Command;

use crate::{
    alerts, kubernetes,
    run::{root, run},
    tools::{self, Tool},
};

/// Checks `docker-compose.yml`, `deploy/kubernetes` and what `dashboards/prometheus` holds.
pub(crate) fn check() -> Result<()> {
    tools::ensure(&[Tool::Compose, Tool::Prometheus, Tool::Yaml])?;
    kubernetes::check()?;
    // The key is required, and any text will do.
    run(here("docker-compose").args(["config", "--quiet"]).env("HAUL_ADMIN_KEY", "any"))?;
    run(here("promtool").args(["check", "config", "dashboards/prometheus/prometheus.yml"]))?;
    alerts::check()?;
    run(here("promtool").args(["test", "rules"]).args(alerts::files("tests")?))
}

fn here(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}
