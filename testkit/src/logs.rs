//! What the processes of a test run write, kept for whoever searches it for secrets.
//!
//! `cargo xtask test` names a directory, and each process that a test starts writes its lines there, too: servers all of them,
//! commands their errors (what a command answers may hold a secret, once). Without that name nothing is kept.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The variable that names the directory.
pub const DIRECTORY: &str = "HAUL_TEST_LOGS";
/// A line that some process of a whole run has written: where it is not found, the others would not be either.
pub const CANARY: &str = "what a process writes is searched for secrets";

/// A new file for what a process writes; none unless the run keeps it.
pub(crate) fn file(name: &str) -> Result<Option<File>> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    #[expect(clippy::disallowed_methods, reason = "says where the test run keeps logs; no setting of Haul")]
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return Ok(None) };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let path = directory.join(format!("{}-{count}-{word}.log", std::process::id()));
    File::create(&path).map(Some).with_context(|| format!("{} cannot be made", path.display()))
}

/// Keeps what a command wrote.
pub(crate) fn keep(name: &str, text: &[u8]) -> Result<()> {
    if !text.is_empty()
        && let Some(mut file) = file(name)?
    {
        file.write_all(text).context("what a command wrote cannot be kept")?;
    }
    Ok(())
}
