//! A Redis that forgets beside a long history.

use crate::{
    load::Part,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Context, Result, ensure};
use std::{process::Command, time::Duration};

/// With this much room, in GB, the full history is filled in.
const ROOM_GB_MIN: u64 = 30;
const SETTLED: u64 = 20_000_000;
/// For trying out: another number of settled jobs.
const SETTLED_VARIABLE: &str = "FAULTS_SETTLED";
const SETTLED_PER_STATEMENT: u64 = 200_000;
const UNSETTLED: usize = 100_000;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "redis-flushall-beside-history",
            "FLUSHALL with 100,000 unsettled jobs beside 20 million settled ones: all tickets are back within 10 s.",
            |stage| Box::pin(flushall(stage)),
        )
        .on(Setup {
            own_postgres: Some(vec!["max_wal_size=8GB", "checkpoint_timeout=30min"]),
            workers: 1,
            drain: Duration::from_secs(900),
            ..Setup::default()
        })
        .needs(too_little_room)
        .takes(Duration::from_secs(3_600))
        .shows(UNSETTLED, 1),
    ]
}

/// The promise.
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);

async fn flushall(stage: &mut Stage) -> Result<()> {
    fill(stage).await?;
    // Due in an hour, so that what is counted is how soon they are reachable, and not how soon they are done.
    let hour_ms = 3_600_000;
    let door = stage.door().clone();
    let part = Part::of(1, "nap", 0).delayed(hour_ms, 2 * hour_ms);
    door.submit_many(&part, UNSETTLED, &mut stage.rng).await?;
    let expected = Some(u64::try_from(UNSETTLED)?);
    let whole = async || Ok(stage.tickets().await == expected);
    Stage::until("every job has its ticket", Duration::from_secs(60), whole).await?;

    stage.strike("FLUSHALL");
    stage.redis.alone()?.cli(&["FLUSHALL"])?;
    let begun = std::time::Instant::now();
    let whole = async || Ok(stage.tickets().await == expected);
    Stage::until("every job has its ticket again", Duration::from_secs(120), whole).await?;
    let took = begun.elapsed();
    println!("faults: {UNSETTLED} tickets were back {:.1} s after FLUSHALL", took.as_secs_f64());
    ensure!(took < RECOVERED_WITHIN, "the tickets were back after {took:?}, promised is {RECOVERED_WITHIN:?}");
    Ok(())
}

/// Fills in settled jobs of the hours before, in a queue of their own, and closes their minutes, as time would have.
async fn fill(stage: &mut Stage) -> Result<()> {
    stage.books.sql("ALTER TABLE haul.outcome DISABLE TRIGGER log")?;
    stage.books.sql("SELECT haul.prepare_day((now() AT TIME ZONE 'UTC')::date - 1)")?;
    let settled = settled()?;
    let statements = settled / SETTLED_PER_STATEMENT;
    for n in 0..statements {
        // From a day before up to an hour before now, each statement a stretch of it.
        stage.books.sql(&format!(
            "WITH made AS (
                SELECT haul.id_floor(now() - interval '1 hour'
                    - interval '23 hours' * ({statements} - {n} - i / {SETTLED_PER_STATEMENT}.0) / {statements}) AS floor, i
                FROM generate_series(0, {SETTLED_PER_STATEMENT} - 1) AS i
            ), job AS (
                INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload)
                SELECT (left(floor::text, 14) || '7' || substr(md5(i::text || '-{n}'), 1, 3) || '-8'
                    || substr(md5(i::text || '-{n}'), 4, 3) || '-' || substr(md5(i::text || '-{n}'), 7, 12))::uuid,
                    now() - interval '1 hour', 5, 'default', 'history', 'nap', '{{\"ref\":\"history\"}}'
                FROM made RETURNING id
            )
            INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
            SELECT id, now() - interval '1 hour', 1, 1, 'default' FROM job"
        ))?;
    }
    stage.books.sql("INSERT INTO haul.queue (tenant, name) VALUES ('default', 'history') ON CONFLICT DO NOTHING")?;
    stage.books.sql(
        "INSERT INTO haul.queue_kind (tenant, queue, kind) VALUES ('default', 'history', 'nap') ON CONFLICT DO NOTHING",
    )?;
    stage.books.sql("UPDATE haul.closing SET closed_through = haul.id_floor(now() - interval '10 minutes')")?;
    stage.books.sql("ANALYZE haul.job, haul.outcome")?;
    stage.books.sql("ALTER TABLE haul.outcome ENABLE TRIGGER log")?;
    let filled = stage.books.sql("SELECT count(*) FROM haul.outcome")?;
    ensure!(filled.parse::<u64>()? >= settled, "only {filled} settled jobs were filled in");
    println!("faults: {filled} settled jobs are filled in");
    Ok(())
}

fn settled() -> Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "for trying out; no setting of Haul")]
    match std::env::var(SETTLED_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{SETTLED_VARIABLE} is to be a number")),
        Err(_) => Ok(SETTLED),
    }
}

fn too_little_room() -> Option<String> {
    match room_gb() {
        Ok(room) if room > ROOM_GB_MIN => None,
        Ok(room) => Some(format!("{SETTLED} settled jobs need {ROOM_GB_MIN} GB of disk, {room} are free")),
        Err(error) => Some(format!("the room on the disk is unknown: {error:#}")),
    }
}

/// How much room there is where servers keep their files.
fn room_gb() -> Result<u64> {
    let place = std::env::temp_dir();
    let printed = Command::new("df").args(["--output=avail", "-B", "1G"]).arg(&place).output()?;
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).with_context(|| format!("df says {text:?}"))
}
