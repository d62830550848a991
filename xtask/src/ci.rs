//! `cargo xtask ci`: everything that must hold before a change is kept.

use anyhow::{Result, ensure};

use crate::run::{cargo, run};
use crate::tools::cargo_deny;
use crate::{dashboards, deployment, faults, guide, sqlx, test};

/// Runs every check, also after one failed, and tells at the end which did. The tests come last, and then the faults.
pub(crate) fn ci() -> Result<()> {
    let mut failed = Vec::new();
    let mut step = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            println!("xtask: failed: {what}: {error:#}");
            failed.push(what.to_owned());
        }
    };

    println!("xtask: is everything formatted?");
    step("format", run(cargo().args(["fmt", "--all", "--check"])));
    println!("xtask: does clippy find nothing, in the tests too?");
    step("clippy", run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])));
    println!("xtask: does every crate depend only on what it may depend on?");
    step("dependencies", dependencies());
    println!("xtask: do the SQL statements fit the migrations, and is that what is committed?");
    step("sqlx", sqlx::regenerate(None, true));
    println!("xtask: are the files that it is deployed by accepted?");
    step("deployment", deployment::check());
    println!("xtask: is there something to see in every panel, and can every alert fire?");
    step("dashboards", dashboards::check());
    println!("xtask: do the production guide's commands work, as they stand there?");
    step("guide", guide::guide());
    println!("xtask: do the tests pass?");
    step("tests", test::test(&[]));

    println!("xtask: is nothing lost, whatever is broken?");
    step("faults", faults::short());

    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    println!("xtask: everything holds");
    Ok(())
}

/// Holds the dependencies to `deny.toml`.
fn dependencies() -> Result<()> {
    let mut deny = cargo_deny()?;
    // Without advisories: their database has to be fetched from elsewhere.
    run(deny.args(["check", "bans", "licenses", "sources"]))
}
