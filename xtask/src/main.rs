//! What developers and the build machine run: `cargo xtask test`, `cargo xtask ci`, `cargo xtask sqlx`.
//!
//! Promise: each command says what it does before it does it, needs nothing but a Rust toolchain and a
//! Debian-like system beneath it, and fails when something that it ran failed.
//! It will not leave services running, and it writes nothing outside the checkout but packages it was asked to install.

mod run;
mod sqlx;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Haul's own tools.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Regenerate what the SQL macros remember of the databases (`.sqlx`), from the migrations
    Sqlx {
        /// Change nothing, and fail when what is committed is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Sqlx { check } => sqlx::run_sqlx(check),
    }
}
