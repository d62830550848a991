//! `cargo xtask bench`: the figures that the README claims, measured on this machine.
//!
//! Promise: real servers with their data on disk (`fsync` on), the release binary, nothing simulated; every figure stands
//! beside what the bare parts reach in the same run, because absolute figures are worth little on another machine. It
//! writes a table for people and JSON for machines. It will not judge: no test depends on a time.

mod core;
mod http;
mod metrics;
mod report;
mod schedules;
mod stage;

use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The main path on Postgres and Redis: bulk submit, drain, single submits, pickup, idling
    Core {
        /// Jobs of the bulk submit
        #[arg(long, default_value_t = 200_000)]
        jobs: usize,
        /// Seconds of single submits
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Measure this `haul` instead of building one
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Where the JSON goes besides standard output
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// What metrics cost: CPU per job with and without them in pairs, and a scrape with 1,000 queues
    Metrics {
        /// Pairs of runs
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..))]
        pairs: u8,
        /// Jobs of each run, rounded up to full batches
        #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u32).range(1..))]
        jobs: u32,
        /// Measure this `haul` instead of building one
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Where the JSON goes besides standard output
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Firing, with two schedulers on Postgres: idling, the lag of single ticks, many ticks at once
    Schedules {
        /// Schedules that idle, and that are due at once
        #[arg(long, default_value_t = 10_000)]
        schedules: usize,
        /// How often so many are due at once
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Seconds of 100 ticks each
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// Measure this `haul` instead of building one
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Where the JSON goes besides standard output
        #[arg(long)]
        json: Option<PathBuf>,
    },
}

/// Runs a benchmark.
pub(crate) fn bench(what: &Bench) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match what {
        Bench::Core { jobs, seconds, binary, json } => {
            let report = runtime.block_on(core::measure(*jobs, *seconds, binary.as_deref()))?;
            report.print(json.as_deref())
        }
        Bench::Metrics { pairs, jobs, binary, json } => {
            let measure = metrics::measure(usize::from(*pairs), usize::try_from(*jobs)?, binary.as_deref());
            runtime.block_on(measure)?.print(json.as_deref())
        }
        Bench::Schedules { schedules, rounds, seconds, binary, json } => {
            let measure = schedules::measure(*schedules, usize::from(*rounds), *seconds, binary.as_deref());
            runtime.block_on(measure)?.print(json.as_deref())
        }
    }
}
