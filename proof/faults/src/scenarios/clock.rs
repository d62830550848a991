//! Clocks that are wrong.

use crate::{
    load::Mix,
    scenario::Scenario,
    stage::{FAKETIME, Setup, Stage},
};
use anyhow::{Context, Result, ensure};
use std::{path::Path, time::Duration};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "clocks-off",
            "The API's clock is 10 minutes late, one worker's 10 minutes early, the other's 10 minutes late.",
            |stage| Box::pin(clocks_off(stage)),
        )
        .on(Setup { skews: vec!["-10m", "+10m", "-10m"], ..Setup::default() })
        .needs(faketime)
        .shows(150, 3),
    ]
}

pub(super) fn faketime() -> Option<String> {
    (!Path::new(FAKETIME).exists()).then(|| format!("{FAKETIME} is not installed (Debian: faketime)"))
}

/// The fault is there from the beginning, a worker's death comes on top.
async fn clocks_off(stage: &mut Stage) -> Result<()> {
    for process in stage.workers.iter().chain([&stage.api]) {
        let maps = format!("/proc/{}/maps", process.haul.pid().context("it does not run")?);
        ensure!(std::fs::read_to_string(maps)?.contains("libfaketime"), "a process sees the right time");
    }
    stage.strike("the API's clock is late");
    stage.strike("the workers' clocks are apart");
    stage.load(&Mix::default());
    stage.acknowledged(100).await?;
    stage.replace_worker(0)?;
    stage.pass(Duration::from_secs(3)).await;
    stage.acknowledged(60).await
}
