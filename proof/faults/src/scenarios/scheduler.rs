//! Schedulers that freeze, die and disagree about the time, and what is changed behind their backs.

use super::{
    clock::faketime,
    postgres::{self, kill_writer},
};
use crate::{
    evidence::now_ms,
    load::Mix,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::Result;
use rand::Rng;
use std::time::Duration;

/// The statement of a scheduler that fires, by how it begins.
const FIRING: &str = "%Moves schedules on%";

pub(super) fn all() -> Vec<Scenario> {
    let setup = || Setup { workers: 1, schedulers: 2, schedules: 120, ..Setup::default() };
    let own = || Setup { own_postgres: Some(Vec::new()), ..setup() };
    let scenarios = vec![
        Scenario::new(
            "scheduler-freeze",
            "One of two schedulers is stopped with SIGSTOP for 6 s; meanwhile the other is killed with -9 and started again.",
            |stage| Box::pin(freeze(stage, 6)),
        )
        .short()
        .on(setup())
        .shows(60, 2)
        .fires(400),
        Scenario::new(
            "scheduler-freeze-minute",
            "The same for a minute: longer than every timeout of a statement, a connection and a transaction.",
            |stage| Box::pin(freeze(stage, 60)),
        )
        .on(setup())
        .shows(60, 2)
        .fires(3_000),
        Scenario::new(
            "scheduler-kill",
            "One of two schedulers is killed with -9 just when ticks are due, six times, and started again.",
            |stage| Box::pin(kill(stage)),
        )
        .short()
        .on(setup())
        .shows(60, 6)
        .fires(300),
        Scenario::new(
            "scheduler-stale",
            "Schedulers are stopped just when ticks are due, and schedules edited and paused before they go on.",
            |stage| Box::pin(stale(stage)),
        )
        .short()
        .on(setup())
        .shows(60, 4)
        .fires(200),
        Scenario::new(
            "scheduler-clocks-off",
            "One scheduler's clock is 10 minutes early, the other's 10 minutes late; each is killed once.",
            |stage| Box::pin(clocks_off(stage)),
        )
        .short()
        .on(Setup { skews: vec!["+0", "+0", "+10m", "-10m"], ..setup() })
        .needs(faketime)
        .shows(60, 3)
        .fires(300),
        Scenario::new(
            "scheduler-backend-kill",
            "The backend of Postgres that commits what a scheduler fires is killed with -9: the server crashes and recovers.",
            |stage| Box::pin(kill_backend(stage)),
        )
        .on(own())
        .shows(60, 3)
        .fires(300),
        Scenario::new(
            "scheduler-postgres-stop",
            "Postgres is stopped at once (no checkpoint) while ticks are due, and started again 3 s later.",
            |stage| Box::pin(postgres_stop(stage)),
        )
        .short()
        .on(own())
        .shows(60, 2)
        .fires(300),
    ];
    scenarios
}

/// Waits until ticks have been due for some milliseconds: then schedulers are in the middle of firing them.
async fn until_ticks_are_due(stage: &mut Stage) {
    let to_next_ms = 1_000 - now_ms().rem_euclid(1_000).unsigned_abs();
    let later_ms = stage.rng.random_range(0..60);
    stage.pass(Duration::from_millis(to_next_ms + later_ms)).await;
}

async fn freeze(stage: &mut Stage, seconds: u64) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(30).await?;
    until_ticks_are_due(stage).await;
    stage.schedulers[0].haul.signal("STOP")?;
    stage.begin("a scheduler is frozen");
    stage.pass(Duration::from_secs(1)).await;
    kill_scheduler(stage, 1)?;
    // For as long as nobody fires at all.
    stage.pass(Duration::from_secs(1)).await;
    stage.schedulers[1].haul.restart()?;
    stage.pass(Duration::from_secs(seconds - 2)).await;
    stage.schedulers[0].haul.signal("CONT")?;
    stage.end();
    stage.pass(Duration::from_secs(2)).await;
    stage.acknowledged(30).await
}

fn kill_scheduler(stage: &mut Stage, scheduler: usize) -> Result<()> {
    stage.schedulers[scheduler].haul.kill()?;
    stage.strike(&format!("scheduler {scheduler} is killed"));
    Ok(())
}

async fn kill(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(30).await?;
    for round in 0..6 {
        until_ticks_are_due(stage).await;
        kill_scheduler(stage, round % 2)?;
        stage.schedulers[round % 2].haul.restart()?;
    }
    stage.pass(Duration::from_secs(1)).await;
    stage.acknowledged(30).await
}

async fn stale(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(30).await?;
    let names = stage.schedules.names();
    for round in 0..4 {
        until_ticks_are_due(stage).await;
        for scheduler in &mut stage.schedulers {
            scheduler.haul.signal("STOP")?;
        }
        stage.begin("schedules are changed behind the schedulers' backs");
        let of_round = |share: usize| names.iter().skip(share + round).step_by(12).cloned().collect::<Vec<_>>();
        stage.schedules.pause(&stage.books, &of_round(0))?;
        stage.schedules.edit(&stage.books, &of_round(6))?;
        for scheduler in &mut stage.schedulers {
            scheduler.haul.signal("CONT")?;
        }
        stage.end();
        // The paused ones miss a tick or two.
        stage.pass(Duration::from_millis(1_200)).await;
        stage.schedules.resume(&stage.books)?;
    }
    stage.acknowledged(30).await
}

async fn clocks_off(stage: &mut Stage) -> Result<()> {
    stage.strike("the schedulers' clocks are apart");
    stage.load(&Mix::default());
    stage.acknowledged(30).await?;
    for scheduler in 0..2 {
        stage.pass(Duration::from_secs(1)).await;
        until_ticks_are_due(stage).await;
        kill_scheduler(stage, scheduler)?;
        stage.schedulers[scheduler].haul.restart()?;
    }
    stage.pass(Duration::from_secs(2)).await;
    stage.acknowledged(30).await
}

async fn kill_backend(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..3 {
        stage.acknowledged(20).await?;
        kill_writer(stage, FIRING)?;
        stage.strike("a backend is killed while it commits what was fired");
        stage.pass(Duration::from_secs(2)).await;
    }
    stage.acknowledged(20).await
}

async fn postgres_stop(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(20).await?;
        until_ticks_are_due(stage).await;
        postgres::stop_for(stage, Duration::from_secs(3)).await?;
    }
    stage.acknowledged(20).await
}
