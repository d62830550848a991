//! `cargo xtask bench schedules`: two schedulers on one Postgres. All times are the ledger's own: when the transaction
//! that accepted a job was committed (`track_commit_timestamp`), against when its tick was due.

use super::{
    report::Report,
    stage::{Stage, commit, cpu_seconds},
};
use anyhow::{Context, Result, ensure};
use haul_testkit::process::Haul;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Schedules that are filled in are due this long afterwards: by then they are committed and looked over.
const LEAD_SECONDS: u64 = 6;
/// From the first tick of a round to its second.
const AGAIN_SECONDS: u64 = 15;
const FIRED_MAX: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(20);
/// How long things may calm down before what is measured next.
const SETTLE: Duration = Duration::from_secs(3);
const TICKS_PER_SECOND: usize = 100;

/// Measures everything, in the order of the report.
pub(crate) async fn measure(schedules: usize, rounds: usize, seconds: u64, binary: Option<&Path>) -> Result<Report> {
    let stage = Stage::set_up_with(binary, &["track_commit_timestamp = on"])?;
    let mut report = Report::new("schedules", commit());
    report.add("bare Postgres", stage.bare_rows_per_second()?, "rows/s in commits of 1,000", "");
    let schedulers = [stage.start(&["scheduler"]).await?, stage.start(&["scheduler"]).await?];

    fill(&stage, "idle", schedules, "'0 0 0 1 1 *'", "clock_timestamp() + interval '1 day'")?;
    stage.sql("VACUUM ANALYZE haul.schedule")?;
    sleep(SETTLE).await;
    report.add("idle scheduler", idle(&schedulers).await?, "% of a core, the busier of two", "< 1");

    // As many as fire in a minute, an even share of them in every second of it.
    fill(&stage, "steady", TICKS_PER_SECOND * 60, "(n % 60) || ' * * * * *'", NEXT_SECOND)?;
    sleep(Duration::from_secs(2 * LEAD_SECONDS)).await;
    let lags = steady(&stage, seconds).await?;
    report.add("ticks", lags.count / seconds as f64, "per second, each with one job", "100");
    report.add("lag p50", lags.p50, "ms from a tick to the commit of its job", "");
    report.add("lag p99", lags.p99, "ms", "< 100");
    report.add("lag max", lags.max, "ms", "");
    stage.sql("DELETE FROM haul.schedule WHERE name LIKE 'steady-%'")?;

    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (cold, warm) = herd(&stage, round, schedules).await?;
        println!("xtask: round {round}: {cold:.0} ms, and again {warm:.0} ms");
        first.push(cold);
        again.push(warm);
    }
    let (mut first, mut again) = (sorted(first), sorted(again));
    for (name, worst, times) in [
        ("herd, first time", "herd, first time, worst round", &mut first),
        ("herd, again", "herd, again, worst round", &mut again),
    ] {
        report.add(
            name,
            times[times.len() / 2],
            "ms from the tick to the commit of the last job, median round",
            "< 5000",
        );
        report.add(worst, times[times.len() - 1], "ms", "< 5000");
    }
    Ok(report)
}

/// When the second of the minute comes that a schedule is for, and not within the lead.
const NEXT_SECOND: &str = "date_trunc('minute', clock_timestamp() + interval '6 seconds')
    + (n % 60) * interval '1 second' + CASE WHEN n % 60 < extract(second FROM clock_timestamp() + interval '6 seconds') THEN interval '1 minute'
        ELSE interval '0' END";

/// Creates schedules. `cron` (six fields) and `next_at` are SQL, with `n` from 1.
fn fill(stage: &Stage, prefix: &str, count: usize, cron: &str, next_at: &str) -> Result<()> {
    stage.sql(&format!(
        r#"INSERT INTO haul.schedule (id, tenant, name, paused, spec, template, fired_through, next_at)
        SELECT gen_random_uuid(), 'default', '{prefix}-' || n, false,
            jsonb_build_object('cron', {cron}, 'seconds', true)::text,
            '{{"kind":"report","queue":"bench","payload":{{"report":"' || n || '","pad":"' || repeat('x', 150) || '"}}}}',
            to_char((due - interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), due
        FROM generate_series(1, {count}) AS n, LATERAL (SELECT {next_at} AS due) AS due"#
    ))?;
    Ok(())
}

/// What the busier of the schedulers uses while nothing is due.
async fn idle(schedulers: &[Haul; 2]) -> Result<f64> {
    let used = || -> Result<Vec<f64>> { schedulers.iter().map(cpu_seconds).collect() };
    let before = used()?;
    sleep(IDLE).await;
    let shares = used()?.into_iter().zip(before).map(|(now, before)| (now - before) / IDLE.as_secs_f64() * 100.0);
    Ok(shares.fold(0.0, f64::max))
}

struct Lags {
    count: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

/// The lags of all ticks of so many seconds.
async fn steady(stage: &Stage, seconds: u64) -> Result<Lags> {
    let from = stage.sql("SELECT date_trunc('second', clock_timestamp())")?;
    sleep(Duration::from_secs(seconds) + SETTLE).await;
    let lags = stage.sql(&format!(
        "SELECT count(*) || ' ' || percentile_disc(0.5) WITHIN GROUP (ORDER BY lag) || ' '
            || percentile_disc(0.99) WITHIN GROUP (ORDER BY lag) || ' ' || max(lag) FROM ({LAGS}
            WHERE run_at > '{from}' AND run_at <= '{from}'::timestamptz + interval '{seconds} seconds') AS lags"
    ))?;
    let figures: Vec<f64> = lags.split(' ').map(str::parse).collect::<Result<_, _>>().context(lags)?;
    let [count, p50, p99, max] = figures[..] else { anyhow::bail!("no lags") };
    Ok(Lags { count, p50, p99, max })
}

/// How long after its tick each job was committed, in milliseconds.
const LAGS: &str = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - run_at) * 1000 AS lag FROM haul.job";

/// Schedules that are all due at once, twice. Returns when the last job of either time was committed, in milliseconds
/// after the tick: of schedules that nobody has read before, and of the same ones again.
async fn herd(stage: &Stage, round: usize, schedules: usize) -> Result<(f64, f64)> {
    let second = |ahead: u64| -> Result<String> {
        stage.sql(&format!("SELECT date_trunc('second', clock_timestamp() + interval '{ahead} seconds')"))
    };
    let (first, again) = (second(LEAD_SECONDS)?, second(LEAD_SECONDS + AGAIN_SECONDS)?);
    let field = |part: &str| {
        let of = |tick: &str| format!("extract({part} FROM '{tick}'::timestamptz AT TIME ZONE 'UTC')::integer");
        format!("{} || ',' || {}", of(&first), of(&again))
    };
    // Where the two lie in different minutes this fires more often than twice, and never between them.
    let cron = format!("{} || ' ' || {} || ' * * * *'", field("second"), field("minute"));
    fill(stage, &format!("herd-{round}"), schedules, &cron, &format!("'{first}'::timestamptz"))?;
    let fired = async |tick: &str| -> Result<f64> {
        let ours = format!("WHERE run_at = '{tick}' AND queue = 'bench'");
        let end = Instant::now() + FIRED_MAX;
        loop {
            sleep(Duration::from_millis(500)).await;
            let jobs: usize = stage.sql(&format!("SELECT count(*) FROM haul.job {ours}"))?.parse()?;
            ensure!(jobs <= schedules, "{schedules} ticks have {jobs} jobs");
            if jobs == schedules {
                return Ok(stage.sql(&format!("SELECT max(lag) FROM ({LAGS} {ours}) AS lags"))?.parse()?);
            }
            ensure!(Instant::now() < end, "{jobs} of {schedules} ticks have a job after {FIRED_MAX:?}");
        }
    };
    let times = (fired(&first).await?, fired(&again).await?);
    stage.sql(&format!("DELETE FROM haul.schedule WHERE name LIKE 'herd-{round}-%'"))?;
    Ok(times)
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}
