//! The harness: runs scenarios one after the other, and prints a table and JSON. `cargo xtask faults` builds and starts it.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use haul_faults::{
    broken,
    report::{self, About},
    runner::{Report, Runner, Verdict},
    scenario::Scenario,
    scenarios,
    stage::Programs,
};
use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Breaks real servers under load, and checks that no job is lost
#[derive(Parser)]
#[command(name = "faults")]
struct Arguments {
    /// Tell every fault, and do nothing
    #[arg(long)]
    list: bool,
    /// Only the faults of these names, or whose names begin so
    #[arg(long)]
    only: Vec<String>,
    /// All but the faults whose names begin so
    #[arg(long)]
    without: Vec<String>,
    /// Only the selection that every change has to pass
    #[arg(long)]
    short: bool,
    /// Show that the checker catches each defect of a build with the feature `broken`
    #[arg(long)]
    broken: bool,
    /// What chance follows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin anew, with the next seed, until so many minutes are over
    #[arg(long)]
    minutes: Option<u64>,
    /// Write what was found to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the page of the documentation to this file
    #[arg(long)]
    report: Option<PathBuf>,
    /// For the page: what was tested, and when
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// For the page
    #[arg(long, default_value = "unknown")]
    date: String,
    /// The directory with the binaries under test
    #[arg(long, default_value = "target/debug")]
    programs: PathBuf,
    /// Keep the files of runs that pass, too
    #[arg(long)]
    keep: bool,
    /// Where runs that fail keep their files
    #[arg(long, default_value = "target/faults/runs")]
    directory: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || {
        // Some steps wait for a process, and everything else has to go on meanwhile.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
        runtime.block_on(run(&arguments))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let chosen = chosen(arguments)?;
    if arguments.list {
        for scenario in chosen {
            println!("{}{}\n    {}", scenario.name, if scenario.is_short { " (short)" } else { "" }, scenario.about);
        }
        return Ok(());
    }
    let programs = std::path::absolute(&arguments.programs)?;
    let runner = Runner {
        programs: Programs { haul: programs.join("haul"), worker: programs.join("faults-worker") },
        directory: std::path::absolute(&arguments.directory)?,
        keeps_all: arguments.keep,
        env: Vec::new(),
    };
    if arguments.broken {
        return conclude(arguments, &broken::run(&runner, arguments.seed).await);
    }
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let mut reports = Vec::new();
    'all: for seed in arguments.seed.. {
        for scenario in &chosen {
            reports.push(told(runner.run(scenario, seed).await));
            if end.is_some_and(|end| Instant::now() >= end) {
                break 'all;
            }
        }
        if end.is_none() {
            break;
        }
    }
    conclude(arguments, &reports)
}

fn chosen(arguments: &Arguments) -> Result<Vec<Scenario>> {
    let begins = |scenario: &Scenario, names: &[String]| names.iter().any(|name| scenario.name.starts_with(name));
    let is_named = |scenario: &Scenario| {
        (arguments.only.is_empty() || begins(scenario, &arguments.only)) && !begins(scenario, &arguments.without)
    };
    let is_chosen = |scenario: &Scenario| is_named(scenario) && (scenario.is_short || !arguments.short);
    let chosen: Vec<Scenario> = scenarios::all().into_iter().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "there is no such fault: --list tells them all");
    Ok(chosen)
}

/// Tells at once what came of a run.
fn told(report: Report) -> Report {
    let how = match &report.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Skipped(why) => format!("SKIPPED: {why}"),
        Verdict::Failed(wrong) => format!("FAILED\n    {}", wrong.join("\n    ")),
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let seconds = report.took_ms as f64 / 1_000.0;
    println!("faults: {} (seed {}, {seconds:.1} s): {how}", report.name, report.seed);
    report
}

fn conclude(arguments: &Arguments, reports: &[Report]) -> Result<()> {
    println!("\n{}", report::table(reports));
    let json = serde_json::to_string(reports)?;
    match &arguments.json {
        Some(file) => std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))?,
        None => println!("{json}"),
    }
    if let Some(file) = &arguments.report {
        let (date, commit, seed) = (arguments.date.clone(), arguments.commit.clone(), arguments.seed);
        let page = report::page(reports, &About { date, commit, seed });
        std::fs::write(file, page).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let failed = reports.iter().filter(|report| matches!(report.verdict, Verdict::Failed(_))).count();
    ensure!(failed == 0, "{failed} of {} runs failed", reports.len());
    Ok(())
}
