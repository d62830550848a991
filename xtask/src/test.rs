//! `cargo xtask test`: every test of the workspace, against real servers.

use std::cell::Cell;
use std::fs;

use anyhow::{Result, ensure};
use haul_testkit::logs::DIRECTORY;

use crate::leaks;
use crate::run::{cargo, root, run_and_keep};
use crate::tools::{self, Tool};

/// Installs what is missing and runs the tests; then looks whether a secret shows in what they wrote (see [`leaks`]).
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
    let logs = root().join("target/test-logs");
    if logs.exists() {
        fs::remove_dir_all(&logs)?;
    }
    fs::create_dir_all(&logs)?;
    test.env(DIRECTORY, &logs);
    let leaks = Cell::new(0);
    let (results, outcome) = run_and_keep(test.args(arguments), |line| {
        leaks.update(|count| count + usize::from(leaks::is_leak(line)));
        // Which failed stands far above where a build machine's readers look.
        line.starts_with("test result: ") || line.ends_with("FAILED")
    });
    println!("xtask: the results again:");
    results.iter().for_each(|line| println!("{line}"));
    let searched = leaks::check(&logs, arguments.is_empty() && outcome.is_ok());
    outcome?;
    ensure!(leaks.get() == 0, "{} lines of the tests' own output show a secret", leaks.get());
    searched?;
    Ok(fs::remove_dir_all(&logs)?)
}
