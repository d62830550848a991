//! Links that are cut, silent, slow and lossy.

use crate::{
    load::Mix,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Result, ensure};
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    let linked = || Setup { links: true, ..Setup::default() };
    vec![
        Scenario::new(
            "worker-without-postgres",
            "One of two workers is cut off from Postgres only: first its connections are refused, then they are silent.",
            |stage| Box::pin(worker_without_postgres(stage)),
        )
        .on(linked())
        .shows(120, 2),
        Scenario::new(
            "worker-without-redis",
            "One of two workers is cut off from Redis only: first its connections are refused, then they are silent.",
            |stage| Box::pin(worker_without_redis(stage)),
        )
        .on(linked())
        .shows(120, 2),
        Scenario::new(
            "api-without-redis",
            "The API is cut off from Redis only, and goes on acknowledging submits.",
            |stage| Box::pin(api_without_redis(stage)),
        )
        .short()
        .on(linked())
        .shows(150, 2),
        Scenario::new("slow-links", "Every byte to and from Postgres and Redis takes 40 ms.", |stage| {
            Box::pin(slow_links(stage))
        })
        .on(linked())
        .shows(100, 1),
        Scenario::new("lossy-links", "Connections to Postgres and Redis are closed at random, in the middle.", |stage| {
            Box::pin(lossy_links(stage))
        })
        .on(linked())
        .shows(50, 10),
    ]
}

/// Two leases and more: jobs that this worker holds are given to the other.
const CUT: Duration = Duration::from_secs(6);

async fn worker_without_postgres(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(40).await?;
    stage.begin("worker 0 cannot connect to Postgres");
    stage.workers[0].links()?.postgres.cut();
    stage.pass(CUT).await;
    stage.workers[0].links()?.postgres.restore();
    stage.end();
    stage.acknowledged(40).await?;
    stage.begin("worker 0 hears nothing from Postgres");
    stage.workers[0].links()?.postgres.stall();
    stage.pass(CUT).await;
    stage.workers[0].links()?.postgres.restore();
    stage.end();
    stage.acknowledged(40).await
}

async fn worker_without_redis(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(40).await?;
    stage.begin("worker 0 cannot connect to Redis");
    stage.workers[0].links()?.redis.cut();
    stage.pass(CUT).await;
    stage.workers[0].links()?.redis.restore();
    stage.end();
    stage.acknowledged(40).await?;
    stage.begin("worker 0 hears nothing from Redis");
    stage.workers[0].links()?.redis.stall();
    stage.pass(CUT).await;
    stage.workers[0].links()?.redis.restore();
    stage.end();
    stage.acknowledged(40).await
}

async fn api_without_redis(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(30).await?;
    stage.begin("the API cannot connect to Redis");
    stage.api.links()?.redis.cut();
    // This is the promise: submits go on, as if nothing had been.
    let unknowns = stage.unknowns();
    stage.acknowledged(60).await?;
    stage.api.links()?.redis.restore();
    stage.end();
    stage.acknowledged(30).await?;
    stage.begin("the API hears nothing from Redis");
    stage.api.links()?.redis.stall();
    stage.acknowledged(60).await?;
    ensure!(stage.unknowns() == unknowns, "submits were not answered while the API had no Redis");
    stage.api.links()?.redis.restore();
    stage.end();
    stage.acknowledged(30).await
}

async fn slow_links(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix { clients: 8, pause_ms: 20, ..Mix::default() });
    stage.acknowledged(20).await?;
    stage.begin("links are slow");
    for process in stage.workers.iter().chain([&stage.api]) {
        process.links()?.postgres.delay(Duration::from_millis(40));
        process.links()?.redis.delay(Duration::from_millis(40));
    }
    stage.acknowledged(150).await?;
    stage.pass(CUT).await;
    for process in stage.workers.iter().chain([&stage.api]) {
        process.links()?.postgres.restore();
        process.links()?.redis.restore();
    }
    stage.end();
    stage.acknowledged(20).await
}

async fn lossy_links(stage: &mut Stage) -> Result<()> {
    const ONE_IN: u32 = 60;
    stage.load(&Mix::default());
    stage.acknowledged(20).await?;
    for process in stage.workers.iter().chain([&stage.api]) {
        process.links()?.postgres.lose(ONE_IN);
        process.links()?.redis.lose(ONE_IN);
    }
    let mut seen = 0;
    for _ in 0..100 {
        stage.pass(Duration::from_millis(100)).await;
        let mut lost = 0;
        for process in stage.workers.iter().chain([&stage.api]) {
            lost += process.links()?.postgres.lost() + process.links()?.redis.lost();
        }
        for _ in seen..lost {
            stage.strike("a connection is lost");
        }
        seen = lost;
    }
    for process in stage.workers.iter().chain([&stage.api]) {
        process.links()?.postgres.restore();
        process.links()?.redis.restore();
    }
    stage.acknowledged(20).await
}
