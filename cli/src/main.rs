//! The `haul` binary: wires adapters to roles, and talks to a running Haul.
//!
//! `commands/` has a file per command. Roles (`up`, `api`, `worker`) are wired from the facade's parts; the others are
//! clients of the HTTP API and know nothing that a `curl` does not.

mod client;
mod commands;
mod demo;
mod exit;
mod job;
mod roles;
mod table;
mod welcome;

use clap::Parser;
use std::{process::ExitCode, sync::LazyLock};

/// With the commit, where whoever built this binary named it in `HAUL_COMMIT`.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("HAUL_COMMIT") {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// Jobs in the background, done once, and visible
#[derive(Debug, Parser)]
#[command(name = "haul", version = VERSION.as_str(), arg_required_else_help = true, after_help = exit::AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    haul::tls::install();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("the runtime could not be started")),
    };
    match runtime.block_on(arguments.command.run()) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error),
    }
}
