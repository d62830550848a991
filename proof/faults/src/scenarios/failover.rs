//! A Redis of several servers, of which the one that counts dies.

use crate::{
    load::Mix,
    redises::{Redis, RedisSetup},
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Result, bail};
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    let on = |redis| Setup { redis, drain: Duration::from_secs(90), ..Setup::default() };
    vec![
        Scenario::new(
            "cluster-failover",
            "In a Redis Cluster of three masters and three replicas each master is killed in turn, and its replica takes over.",
            |stage| Box::pin(cluster(stage)),
        )
        .on(on(RedisSetup::Cluster))
        .takes(Duration::from_secs(240))
        .shows(200, 3),
        Scenario::new(
            "sentinel-failover",
            "A Redis master is killed, and Sentinels make one of its replicas the master.",
            |stage| Box::pin(sentinel(stage)),
        )
        .on(on(RedisSetup::Sentinel))
        .takes(Duration::from_secs(240))
        .shows(150, 1),
    ]
}

async fn cluster(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    // One of them has the queue's slot.
    for master in 0..3 {
        stage.acknowledged(50).await?;
        stage.begin("a master of the cluster is dead");
        let Redis::Cluster(cluster) = &mut stage.redis else { bail!("there is no cluster") };
        cluster.kill_master(master)?;
        cluster.wait_failed_over(master)?;
        stage.end();
        stage.pass(Duration::from_secs(3)).await;
    }
    stage.acknowledged(50).await
}

async fn sentinel(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(60).await?;
    stage.begin("the master is dead");
    let Redis::Sentinel(sentinel) = &mut stage.redis else { bail!("there are no Sentinels") };
    let before = sentinel.kill_master()?;
    sentinel.wait_failed_over(before)?;
    stage.end();
    stage.pass(Duration::from_secs(3)).await;
    stage.acknowledged(60).await
}
