//! What developers and the build machine run: `cargo xtask test`, `ci`, `dashboards`, `faults`, `guide`, `sqlx` and `bench`.
//!
//! Promise: each command says what it does before it does it, needs nothing but a Rust toolchain and a
//! Debian-like system beneath it, and fails when something that it ran failed.
//! It will not leave services running, and it writes nothing outside the checkout but packages it was asked to install.

mod alerts;
mod bench;
mod ci;
mod dashboards;
mod deployment;
mod faults;
mod guide;
mod kubernetes;
mod leaks;
mod run;
mod sqlx;
mod test;
mod tools;
mod yaml;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Haul's own tools.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test, after installing what they need (Postgres and Redis) where it is missing
    Test {
        /// For `cargo test`: a part of a test's name, or `-p PACKAGE`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure what the documents claim
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Break real servers under load, and check that no job is lost
    Faults(faults::Faults),
    /// Ask those who read them whether the files in docker-compose.yml, deploy and dashboards are right
    Deployment,
    /// Put every expression of dashboards and alerts to a Prometheus that watches the platform under load
    Dashboards,
    /// Run the commands of docs/production.md, as they stand there, in a scratch directory
    Guide,
    /// Run every check that a change has to pass: format, clippy, dependencies, SQL, tests
    Ci,
    /// Regenerate what the SQL macros remember of the databases (`.sqlx`), from the migrations
    Sqlx {
        /// Only this one
        database: Option<sqlx::Database>,
        /// Change nothing, and fail when what is committed is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test { arguments } => test::test(&arguments),
        Command::Bench { what } => bench::bench(&what),
        Command::Faults(what) => faults::faults(&what),
        Command::Dashboards => dashboards::check(),
        Command::Deployment => deployment::check(),
        Command::Guide => guide::guide(),
        Command::Ci => ci::ci(),
        Command::Sqlx { database, check } => sqlx::regenerate(database, check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
