//! Workers that die, freeze and come back.

use crate::{
    load::{Mix, Part, plain},
    party::Manner,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Result, ensure};
use rand::Rng;
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("worker-kill", "One of two workers is killed with -9 every 2 s, and started again.", |stage| {
            Box::pin(kill_every_2_s(stage))
        })
        .short()
        .shows(100, 4),
        Scenario::new(
            "worker-kill-after-effect",
            "Workers are killed when the third party has applied their effects and before it answers.",
            |stage| Box::pin(kill_after_effect(stage)),
        )
        .short()
        .on(Setup { workers: 1, ..Setup::default() })
        .shows(100, 3),
        Scenario::new(
            "worker-freeze",
            "A worker is stopped with SIGSTOP for three leases, and then goes on as if nothing had been.",
            |stage| Box::pin(freeze(stage)),
        )
        .short()
        .shows(150, 2),
        Scenario::new(
            "worker-freeze-stubborn",
            "Workers are frozen for three leases while their handlers block, and bring their results when somebody else has.",
            |stage| Box::pin(freeze_stubborn(stage)),
        )
        .shows(60, 2),
        Scenario::new(
            "worker-rolling-term",
            "Workers are drained with SIGTERM and replaced, one after the other, under load.",
            |stage| Box::pin(rolling_term(stage)),
        )
        .short()
        .shows(100, 4),
        Scenario::new(
            "worker-dead-lease-2s",
            "A worker with running jobs is killed and stays away: another has done them within lease + 5 s, the lease being 2 s.",
            |stage| Box::pin(dead(stage, 7)),
        )
        .short()
        .shows(100, 1)
        .recovers_within(Duration::from_secs(7)),
        Scenario::new(
            "worker-dead-lease-30s",
            "The same with the default lease of 30 s.",
            |stage| Box::pin(dead(stage, 35)),
        )
        .on(Setup { lease: "30s", drain: Duration::from_secs(90), ..Setup::default() })
        .shows(100, 1)
        .recovers_within(Duration::from_secs(35)),
    ]
}

async fn kill_every_2_s(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(20).await?;
    for _ in 0..4 {
        let worker = stage.rng.random_range(0..2);
        stage.replace_worker(worker)?;
        stage.pass(Duration::from_secs(2)).await;
    }
    Ok(())
}

async fn kill_after_effect(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..3 {
        stage.acknowledged(20).await?;
        stage.party.behave(Manner::Hold);
        let held = stage.party.misbehaved();
        Stage::until("effects are held", Duration::from_secs(20), async || Ok(stage.party.misbehaved() > held + 2))
            .await?;
        stage.kill_worker(0)?;
        stage.party.behave(Manner::Good);
        stage.workers[0].haul.restart()?;
        stage.acknowledged(20).await?;
    }
    Ok(())
}

async fn freeze(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for worker in 0..2 {
        stage.acknowledged(30).await?;
        stage.workers[worker].haul.signal("STOP")?;
        stage.begin(&format!("worker {worker} is frozen"));
        stage.pass(Duration::from_secs(6)).await;
        stage.workers[worker].haul.signal("CONT")?;
        stage.end();
    }
    stage.acknowledged(30).await
}

async fn freeze_stubborn(stage: &mut Stage) -> Result<()> {
    let parts = vec![Part::of(1, "stubborn", 0).lasting(500, 1_000), Part::of(2, "nap", 50)];
    stage.load(&Mix::of(parts));
    for worker in 0..2 {
        stage.acknowledged(30).await?;
        stage.workers[worker].haul.signal("STOP")?;
        stage.begin(&format!("worker {worker} is frozen"));
        stage.pass(Duration::from_secs(6)).await;
        stage.workers[worker].haul.signal("CONT")?;
        stage.end();
        stage.pass(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn rolling_term(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(20).await?;
    for round in 0..4 {
        let worker = &mut stage.workers[round % 2].haul;
        worker.signal("TERM")?;
        let exit = worker.wait_exit(Duration::from_secs(40))?;
        ensure!(exit.code == 0, "a worker that was told to end exited with {}", exit.code);
        worker.restart()?;
        worker.wait_ready().await?;
        stage.strike("a worker is replaced");
        stage.acknowledged(20).await?;
    }
    Ok(())
}

async fn dead(stage: &mut Stage, seconds: u64) -> Result<()> {
    stage.load(&Mix::of(plain()));
    // Long enough that some of each worker's are under way.
    let (door, naps) = (stage.door().clone(), Part::of(1, "nap", 0).lasting(400, 800));
    stage.acknowledged(60).await?;
    door.submit_many(&naps, 30, &mut stage.rng).await?;
    stage.pass(Duration::from_millis(200)).await;
    stage.kill_worker(0)?;
    stage.pass(Duration::from_secs(seconds)).await;
    stage.workers[0].haul.restart()
}
