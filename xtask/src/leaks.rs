//! No secret shows in what a test run has written.
//!
//! Searched are the logs of every process that the tests started, and the tests' own output. Results, errors and ledgers are
//! looked at by tests (`cli/tests/it/secrets.rs`, `worker/handlers/tests/it/secrets.rs`); this finds what nobody thought of.
//! Promise: it fails when a mark is found, and, after a run of everything, also when it would not have found one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use haul_testkit::logs::CANARY;
use haul_testkit::secret::{MARK, SIGNING_KEY_PREFIX};

/// Places that are named.
const SHOWN_MAX: usize = 20;

/// Whether a line holds a secret.
pub(crate) fn is_leak(line: &str) -> bool {
    line.contains(MARK) || line.contains(SIGNING_KEY_PREFIX)
}

/// What a search has come to.
#[derive(Debug, Default)]
struct Searched {
    files: usize,
    lines: usize,
    has_canary: bool,
    /// Files and lines, not what stands there.
    leaks: Vec<String>,
}

/// Searches the logs in a directory. `of_all`: the run was of all tests, the one that lets the canary out too.
pub(crate) fn check(directory: &Path, of_all: bool) -> Result<()> {
    let searched = search(directory)?;
    let Searched { files, lines, has_canary, leaks } = &searched;
    println!("xtask: {lines} lines of {files} logs were searched for secrets");
    for leak in leaks.iter().take(SHOWN_MAX) {
        println!("xtask: a secret shows in {leak}");
    }
    ensure!(leaks.is_empty(), "{} lines of logs show a secret", leaks.len());
    ensure!(*has_canary || !of_all, "the logs lack the line that a test has written to be found: nothing is proven");
    Ok(())
}

fn search(directory: &Path) -> Result<Searched> {
    let mut searched = Searched::default();
    let entries = fs::read_dir(directory).with_context(|| format!("{} cannot be read", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        searched.files += 1;
        for (n, line) in BufReader::new(fs::File::open(&path)?).split(b'\n').enumerate() {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            searched.lines += 1;
            searched.has_canary |= line.contains(CANARY);
            if is_leak(&line) {
                searched.leaks.push(format!("{}:{}", path.display(), n + 1));
            }
        }
    }
    Ok(searched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_where_it_stands_and_silence_proves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &[u8]| fs::write(directory.path().join(name), text).expect("it is written");
        write("1.log", b"all is well\nno secret\n");
        assert!(check(directory.path(), false).is_ok());
        assert!(check(directory.path(), true).is_err(), "nobody has let the canary out");
        write("2.log", format!("{CANARY}\n").as_bytes());
        assert!(check(directory.path(), true).is_ok());
        write("3.log", [b"fine\n\xff key=", MARK.as_bytes(), b"-stripe\n"].concat().as_slice());
        write("4.log", b"secret: whsec_MfKQ9r8GKYqrTwjU\n");
        let mut found = search(directory.path()).expect("a search").leaks;
        found.sort();
        assert!(found.len() == 2 && found[0].ends_with("3.log:2") && found[1].ends_with("4.log:1"), "{found:?}");
        assert!(check(directory.path(), false).is_err());
    }
}
