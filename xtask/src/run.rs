//! Other programs, run so that the reader sees which.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The checkout's root.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Cargo, in the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    command
}

/// Runs it, with its output on ours, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = name(command);
    println!("xtask: {name}");
    let status = command.status().with_context(|| format!("{name} did not start"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Runs it as [`run`] does and returns the lines of its standard output that `wanted` accepts, also when it fails.
pub(crate) fn run_and_keep(command: &mut Command, wanted: impl Fn(&str) -> bool) -> (Vec<String>, Result<()>) {
    let name = name(command);
    println!("xtask: {name}");
    let mut kept = Vec::new();
    let result = (|| {
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("{name} did not start"))?;
        let stdout = child.stdout.take().context("no pipe")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if wanted(&line) {
                kept.push(line.into_owned());
            }
        }
        let status = child.wait()?;
        ensure!(status.success(), "{name} failed ({status})");
        Ok(())
    })();
    (kept, result)
}

/// Runs it silently and returns what it printed; none when it failed.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as a reader would type it, without scripts.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
