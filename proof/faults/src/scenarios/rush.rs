//! Many jobs at once.

use crate::{
    evidence::now_ms,
    load::{Mix, Part},
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::Result;
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    let wide = || Setup { concurrency: 100, drain: Duration::from_secs(240), ..Setup::default() };
    vec![
        Scenario::new("due-at-once", "20,000 jobs are due in the same second, beside the usual load.", |stage| {
            Box::pin(due_at_once(stage))
        })
        .on(wide())
        .takes(Duration::from_secs(400))
        .shows(20_000, 1),
        Scenario::new(
            "good-jobs-among-kills",
            "10,000 good jobs of 200 ms each while one of two workers is killed with -9 every 2 s: none is dead.",
            |stage| Box::pin(good_jobs(stage)),
        )
        .on(wide())
        .takes(Duration::from_secs(400))
        .shows(10_000, 10),
    ]
}

async fn due_at_once(stage: &mut Stage) -> Result<()> {
    let due_ms = now_ms() + 20_000;
    let part = Part::of(1, "nap", 0).due_at(due_ms);
    let door = stage.door().clone();
    door.submit_many(&part, 20_000, &mut stage.rng).await?;
    stage.load(&Mix { clients: 2, ..Mix::default() });
    // Just after, so that all of them are due and count as victims.
    let left_ms = u64::try_from(due_ms - now_ms()).unwrap_or(0) + 20;
    stage.pass(Duration::from_millis(left_ms)).await;
    stage.strike("20,000 jobs are due");
    stage.acknowledged(20).await
}

async fn good_jobs(stage: &mut Stage) -> Result<()> {
    let part = Part::of(1, "nap", 0).lasting(200, 200);
    let door = stage.door().clone();
    door.submit_many(&part, 10_000, &mut stage.rng).await?;
    let mut kills = 0;
    while stage.books.unsettled("1 minute")? > 0 || kills < 10 {
        stage.replace_worker(kills % 2)?;
        kills += 1;
        stage.pass(Duration::from_secs(2)).await;
    }
    Ok(())
}
