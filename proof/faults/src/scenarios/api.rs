//! An API that dies while it is asked, and cancels without Redis.

use crate::{
    load::{Mix, Part},
    scenario::Scenario,
    stage::Stage,
};
use anyhow::{Result, ensure};
use rand::Rng;
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "api-kill",
            "The API is killed with -9 during submits; clients try again under the same keys.",
            |stage| Box::pin(kill(stage)),
        )
        .short()
        .shows(200, 4),
        Scenario::new(
            "cancel-without-redis",
            "Queued, delayed and running jobs are cancelled while Redis is down.",
            |stage| Box::pin(cancel_without_redis(stage)),
        )
        .short()
        .shows(100, 2),
    ]
}

async fn kill(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix { clients: 8, pause_ms: 10, ..Mix::default() });
    for _ in 0..4 {
        stage.acknowledged(50).await?;
        stage.begin("the API is dead");
        stage.api.haul.kill()?;
        stage.pass(Duration::from_millis(300)).await;
        stage.api.haul.restart()?;
        stage.api.haul.wait_ready().await?;
        stage.end();
    }
    stage.acknowledged(50).await
}

/// Cancels a third of what was submitted while Redis is down: jobs that wait, that are delayed, and that run.
async fn cancel_without_redis(stage: &mut Stage) -> Result<()> {
    let long = vec![
        Part::of(2, "nap", 0).lasting(3_000, 6_000),
        Part::of(2, "nap", 20).delayed(4_000, 8_000),
        Part::of(1, "effect", 20),
    ];
    stage.load(&Mix::of(long));
    for _ in 0..2 {
        stage.acknowledged(60).await?;
        stage.begin("Redis is dead");
        stage.redis.alone()?.kill()?;
        let mut cancelled = 0;
        for (key, _, job) in stage.acknowledgements() {
            if stage.rng.random_range(0..3) == 0 {
                cancelled += usize::from(stage.door().cancel(&key, &job).await?);
            }
        }
        ensure!(cancelled >= 10, "only {cancelled} jobs were cancelled while Redis was down");
        stage.redis.alone()?.restart()?;
        stage.end();
    }
    Ok(())
}
