//! `cargo xtask test`: every test of the workspace, against real servers.

use anyhow::Result;

use crate::run::{cargo, run_and_keep};
use crate::tools::{self, Tool};

/// Installs what is missing and runs the tests.
///
/// Cargo builds the `haul` binary that some of them start, because haul-cli has such tests. A build of its own
/// would do most of the work twice: the tests' features differ.
///
/// `arguments` go to `cargo test`: a name to filter by, or `-p haul-core` for one package.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    tools::ensure(&[Tool::Postgres, Tool::Redis, Tool::Curl])?;
    println!("xtask: running the tests; each starts the private servers that it needs");
    let mut test = cargo();
    test.args(["test", "--no-fail-fast"]);
    if !arguments.iter().any(|argument| argument == "-p" || argument.starts_with("--package")) {
        test.arg("--workspace");
    }
    let (results, outcome) = run_and_keep(test.args(arguments), |line| line.starts_with("test result: "));
    println!("xtask: the results again:");
    results.iter().for_each(|line| println!("{line}"));
    outcome
}
