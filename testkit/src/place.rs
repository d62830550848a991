//! Where a server finds a place: a free port, a directory, and its program.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

const PORTS_TRIED_MAX: u32 = 5;
const PORT_MIN: u16 = 12_000;
const PORTS_COUNT: u32 = 20_000;

/// Starts something on a free port of 127.0.0.1.
///
/// Between finding a port and listening on it another process may take it: then another port is tried.
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Result<T>) -> Result<T> {
    for tried in 1.. {
        let error = match start(free_port()?) {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        if tried == PORTS_TRIED_MAX || !format!("{error:#}").contains("already in use") {
            return Err(error);
        }
    }
    bail!("no port was tried")
}

/// A port of 127.0.0.1 that nobody listens on right now, and that this process was not given before.
///
/// Below the range from which the kernel takes the ports of outgoing connections: a client of another test could otherwise
/// be on it by the time that the server listens.
///
/// # Errors
/// When none is free.
pub fn free_port() -> Result<u16> {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(RandomState::new().hash_one("port") as u32 / 2));
    for _ in 0..PORTS_COUNT {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS_COUNT;
        let port = PORT_MIN + u16::try_from(next)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 is free")
}

/// A new directory for a server's files, which its supervisor removes.
pub(crate) fn directory(name: &str) -> Result<PathBuf> {
    let directory =
        tempfile::Builder::new().prefix(&format!("haul-{name}-")).tempdir().context("no temporary directory")?;
    Ok(directory.keep())
}

/// The file that `program` names on the search path.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the search path is no setting of Haul")]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// A client program that is killed when its server keeps it waiting for half a minute.
pub(crate) fn client(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "30"]).arg(program);
    command
}

/// Runs a client program and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} did not start"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        bail!("{command:?}: {}: {}{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}
