//! `cargo xtask faults`: builds what the harness of `proof/faults` needs, and runs it.
//!
//! The binaries under test are copied aside first, so that a build that somebody starts meanwhile cannot exchange them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run::{cargo, output, root, run};
use crate::tools::{self, Tool};

/// What is broken on purpose, and what has to hold all the same.
#[derive(clap::Args)]
pub(crate) struct Faults {
    /// Test a release build
    #[arg(long, conflicts_with = "broken")]
    release: bool,
    /// Build Haul with defects, and show that each is caught
    #[arg(long)]
    broken: bool,
    /// For the harness: `--list`, `--only NAME`, `--without NAME`, `--short`, `--seed N`, `--minutes N`, `--json FILE`,
    /// `--report FILE`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The selection that every change has to pass, and after it the broken builds.
pub(crate) fn short() -> Result<()> {
    faults(&Faults { release: false, broken: false, arguments: vec!["--short".to_owned()] })?;
    faults(&Faults { release: false, broken: true, arguments: Vec::new() })
}

/// Builds and runs.
pub(crate) fn faults(what: &Faults) -> Result<()> {
    let is_list = what.arguments.iter().any(|argument| argument == "--list");
    if !is_list {
        tools::ensure(&[Tool::Postgres, Tool::Redis, Tool::Faketime])?;
    }
    let programs = build(what)?;
    let mut harness = std::process::Command::new(programs.join("faults"));
    harness.current_dir(root()).arg("--programs").arg(&programs).args(&what.arguments);
    if what.broken {
        harness.arg("--broken");
    }
    let commit = output(std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()));
    let date = output(std::process::Command::new("date").args(["--utc", "+%Y-%m-%d"]));
    run(harness.args(["--commit", &commit.unwrap_or_default(), "--date", &date.unwrap_or_default()]))
}

/// Builds the binaries and returns the directory that they were copied to.
fn build(what: &Faults) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "haul-cli", "--package", "haul-faults"]);
    let (profile, name) = match (what.release, what.broken) {
        (true, _) => ("release", "release"),
        (false, true) => ("debug", "broken"),
        (false, false) => ("debug", "debug"),
    };
    if what.release {
        build.arg("--release");
    }
    if what.broken {
        build.args(["--features", "haul-cli/broken,haul-faults/broken"]);
    }
    println!("xtask: building haul, and the harness with its worker");
    run(&mut build)?;
    let copies = root().join("target/faults").join(name);
    fs::create_dir_all(&copies)?;
    for program in ["haul", "faults", "faults-worker"] {
        let built = root().join("target").join(profile).join(program);
        let copy = copies.join(program);
        // A file that runs cannot be written to, and one that is gone can run on.
        if copy.exists() {
            fs::remove_file(&copy)?;
        }
        fs::copy(&built, &copy).with_context(|| format!("{} was not built", built.display()))?;
        if what.broken {
            // Nobody is to come upon it by accident: the next build makes a sound one.
            fs::remove_file(&built)?;
        }
    }
    Ok(copies)
}
