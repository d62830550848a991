//! A suspect's process, seen from the worker that started it.
//!
//! It is in a process group of its own, so that a terminal's Ctrl-C reaches the worker only, and it is killed, with
//! whatever else is in its group, when this value is dropped. What is said goes through a socket in place of its standard
//! input; its standard output and error are the worker's.

use super::wire::{self, Order, Report};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as StdStream, process::ExitStatusExt},
    },
    process::{Command, ExitStatus},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process,
    time::timeout,
};

/// How long a process may take to be gone once its socket is closed.
const GONE_MAX: Duration = Duration::from_secs(1);

/// A process that runs suspects, one at a time.
pub(super) struct Process {
    child: process::Child,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    /// Whether it has run a suspect before.
    pub(super) is_used: bool,
}

/// How a process that was not killed by us went away.
#[derive(Debug)]
pub(super) enum Death {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It closed its socket and lives on.
    CutOff,
}

impl Process {
    /// Starts one. It says [`Report::Here`] when it is ready for orders.
    pub(super) fn start(command: Command) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = process::Command::from(command);
        command.stdin(OwnedFd::from(theirs)).process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        // The command has a handle on the other end: as long as it is open, the end of the process would not show.
        drop(command);
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        Ok(Self { child, read, write, is_used: false })
    }

    /// The next report. Not to be dropped half-way and called again: a part of a frame would be lost.
    pub(super) async fn report(&mut self) -> io::Result<(Report, Bytes)> {
        wire::read(&mut self.read).await
    }

    pub(super) async fn order(&mut self, order: &Order, raw: &[Bytes]) -> io::Result<()> {
        self.write.write_all(&wire::encode(order, raw)?).await
    }

    /// Everything at once: reports and its end are awaited while orders are given.
    pub(super) fn split(&mut self) -> (&mut OwnedReadHalf, &mut OwnedWriteHalf, &mut process::Child) {
        (&mut self.read, &mut self.write, &mut self.child)
    }

    /// What has become of it, after its socket was closed.
    pub(super) async fn death(&mut self) -> io::Result<Death> {
        match timeout(GONE_MAX, self.child.wait()).await {
            Ok(status) => status.map(Death::Ended),
            Err(_) => Ok(Death::CutOff),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // None once it was waited for: the number may be another process's by now.
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid
            && let Err(error) = kill_process_group(pid, Signal::KILL)
        {
            tracing::debug!(%error, "a suspect's process group could not be killed");
        }
    }
}

impl Death {
    /// In words, for the job's record.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::CutOff => "the handler cut its process off from its worker".to_owned(),
            Self::Ended(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("the handler crashed its process: signal {signal}{}", name(signal)),
                (None, Some(code)) => format!("the handler ended its process: exit code {code}"),
                (None, None) => format!("the handler ended its process: {status}"),
            },
        }
    }
}

/// The names of signals that handlers die of.
fn name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL; the system does that when memory runs out)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        31 => " (SIGSYS)",
        _ => "",
    }
}
