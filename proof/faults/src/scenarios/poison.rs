//! Jobs that end whoever runs them.

use crate::{
    load::{Mix, Part, plain},
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Result, ensure};
use std::time::Duration;

/// A job is given up after so many crashes.
const CRASHES_MAX: usize = 3;

pub(super) fn all() -> Vec<Scenario> {
    let supervised = || Setup { supervised: true, ..Setup::default() };
    vec![
        Scenario::new(
            "poison-abort",
            "Jobs that call abort() are dead after 3 crashes, and every other job of their queue succeeds.",
            |stage| Box::pin(poison(stage, "abort")),
        )
        .on(supervised())
        .shows(80, 3),
        Scenario::new(
            "poison-overflow",
            "Jobs that overflow the stack are dead after 3 crashes, and every other job of their queue succeeds.",
            |stage| Box::pin(poison(stage, "overflow")),
        )
        .on(supervised())
        .shows(80, 3),
    ]
}

async fn poison(stage: &mut Stage, kind: &'static str) -> Result<()> {
    const JOBS: usize = 3;
    stage.load(&Mix::of(plain()));
    stage.acknowledged(40).await?;
    let mut poisonous = Vec::new();
    for _ in 0..JOBS {
        let part = Part::of(1, kind, 0);
        let door = stage.door().clone();
        poisonous.extend(door.submit(&part, &mut stage.rng).await?);
        stage.strike("a poisonous job is submitted");
        stage.pass(Duration::from_secs(2)).await;
        stage.lift()?;
    }
    stage.acknowledged(40).await?;
    stage.conclude_load().await?;
    for job in poisonous {
        let sends = stage.party.sends();
        let begun = sends.iter().filter(|send| send.is_beginning && send.idempotency_key == job).count();
        // The first attempt, with which it became a suspect, counts as a crash of nobody.
        ensure!(
            (CRASHES_MAX..=2 * CRASHES_MAX).contains(&begun),
            "{job} was begun {begun} times, {CRASHES_MAX} crashes are allowed"
        );
    }
    Ok(())
}
