//! A Postgres that stops, hangs, crashes and refuses.

use crate::{
    load::Mix,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::task::JoinSet;

pub(super) fn all() -> Vec<Scenario> {
    let own = |settings: &[&'static str]| Setup { own_postgres: Some(settings.to_vec()), ..Setup::default() };
    vec![
        Scenario::new(
            "postgres-stop",
            "Postgres is stopped at once (no checkpoint), and started again 2 s later.",
            |stage| Box::pin(stop(stage)),
        )
        .short()
        .on(own(&[]))
        .shows(120, 2),
        Scenario::new(
            "postgres-backend-kill",
            "A backend of Postgres is killed with -9 in the middle of a write: the server crashes and recovers.",
            |stage| Box::pin(kill_backend(stage)),
        )
        .short()
        .on(own(&[]))
        .shows(120, 3),
        Scenario::new("postgres-freeze", "All processes of Postgres are stopped with SIGSTOP for 6 s.", |stage| {
            Box::pin(freeze(stage))
        })
        .on(own(&[]))
        .shows(120, 2),
        Scenario::new(
            "postgres-few-connections",
            "Other clients take every connection of Postgres for 6 s, and ours are ended.",
            |stage| Box::pin(few_connections(stage)),
        )
        .on(own(&["max_connections=40"]))
        .shows(120, 1),
    ]
}

async fn stop(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(50).await?;
        stop_for(stage, Duration::from_secs(2)).await?;
    }
    stage.acknowledged(50).await
}

/// Stops Postgres, and starts it again so much later.
pub(super) async fn stop_for(stage: &mut Stage, time: Duration) -> Result<()> {
    stage.begin("Postgres is down");
    stage.books.own()?.stop()?;
    stage.pass(time).await;
    stage.books.own()?.restart()?;
    stage.end();
    Ok(())
}

/// The backend of ours that waits for its commit to reach the disk, or writes; found by asking again and again.
const WRITER: &str = "
DO $$
DECLARE
    found integer;
BEGIN
    FOR look IN 1 .. 100000 LOOP
        SELECT pid INTO found FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state = 'active'
            AND wait_event IN ('WALSync', 'WALWrite') AND query LIKE 'THEIRS' LIMIT 1;
        IF found IS NOT NULL THEN
            RAISE EXCEPTION 'writer=%', found;
        END IF;
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
END $$";

async fn kill_backend(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix { clients: 8, pause_ms: 10, ..Mix::default() });
    for _ in 0..3 {
        stage.acknowledged(50).await?;
        kill_writer(stage, "%")?;
        stage.strike("a backend is killed while it commits");
        stage.pass(Duration::from_secs(1)).await;
    }
    stage.acknowledged(50).await
}

/// Kills a backend that is about to commit a statement that looks so.
pub(super) fn kill_writer(stage: &Stage, statement: &str) -> Result<()> {
    // An error is the fastest way to say something in the middle of a statement.
    let said =
        stage.books.sql(&WRITER.replace("THEIRS", statement)).err().context("nobody wrote anything")?.to_string();
    let pid = said.rsplit("writer=").next().and_then(|rest| rest.split_whitespace().next());
    let pid: u32 = pid.and_then(|pid| pid.parse().ok()).with_context(|| said.clone())?;
    stage.books.server().kill_backend(pid)
}

async fn freeze(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(50).await?;
        stage.begin("Postgres is frozen");
        stage.books.own()?.pause()?;
        stage.pass(Duration::from_secs(6)).await;
        stage.books.own()?.resume()?;
        stage.end();
    }
    stage.acknowledged(50).await
}

async fn few_connections(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(50).await?;
    stage.begin("there are no connections left");
    // What ends our connections has its own before there are none.
    let end_ours = "SELECT pg_sleep(1.5); SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND query NOT LIKE '%pg_sleep%'";
    let mut others = JoinSet::new();
    let mut hold = |sql: &'static str| {
        let mut client = stage.books.client(sql);
        others.spawn_blocking(move || client.output().is_ok_and(|output| output.status.success()));
    };
    hold(end_ours);
    for _ in 0..80 {
        hold("SELECT pg_sleep(6)");
    }
    let mut refused = 0;
    while let Some(has_worked) = others.join_next().await {
        refused += usize::from(!has_worked?);
    }
    stage.end();
    ensure!(refused > 10, "only {refused} clients were refused: there were connections left");
    stage.acknowledged(50).await
}
