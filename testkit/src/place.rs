//! A place for a server: a free port, a directory, a program.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A port of 127.0.0.1 that nobody listens on right now.
pub(crate) fn port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// A new directory for a server's files, which its supervisor removes.
pub(crate) fn directory(name: &str) -> Result<PathBuf> {
    let directory =
        tempfile::Builder::new().prefix(&format!("haul-{name}-")).tempdir().context("no temporary directory")?;
    Ok(directory.keep())
}

/// The file that `program` names on the search path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the search path is no setting of Haul")]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}
