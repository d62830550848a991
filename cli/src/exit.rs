//! How a command ends: the exit codes, and what is written when it fails. 5 is [`haul::EXIT_FORCED`].

use crate::client::ClientError;
use haul::{plan::PlanError, process::ProcessError, settings::SettingsError, telemetry::TelemetryError};
use haul_api::Exposed;
use std::{error::Error, io, process::ExitCode};

/// The end of `haul --help`: how to begin, what the environment says, and the codes.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  haul up                                           everything in one process, jobs in ./haul-data
  haul submit echo '{\"hello\": \"world\"}' --wait    a first job, in a second terminal
  haul ls --state dead                              what went wrong

Environment:
  DATABASE_URL, REDIS_URL    the ledger in Postgres, the dispatch in Redis: redis://host, redis://node1,redis://node2 for a
                             Cluster, redis+sentinel://host1,host2/master-name behind Sentinels; rediss for TLS
  HAUL_URL, HAUL_API_KEY     where the API is, and the key that it wants; for the commands that talk to it
  HAUL_CONFIG                a configuration file
  HAUL_...                   every setting of `haul config`: worker.lease is HAUL_WORKER_LEASE

Exit codes:
  0  done
  1  failed: the reason is on standard error
  2  the command line or a setting is refused
  3  the API refused the request
  4  with --wait: the job did not succeed, or not in time
  5  ended by a second signal, without waiting for what was under way
  6  audit: something was found";

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// The job that it waited for did not succeed, or not in time.
    NotSucceeded,
    /// Ledger and dispatch disagreed about something.
    Found,
}

/// The command line, or something that it names, is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// An error of the command line's making.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    UsageError(text.into()).into()
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::NotSucceeded => Self::from(4),
            Exit::Found => Self::from(6),
        }
    }
}

/// Writes the reason to standard error and tells the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // `haul ls | head` is no failure.
    let is_closed_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(is_closed_pipe) {
        return ExitCode::SUCCESS;
    }
    let error: &(dyn Error + 'static) = error.as_ref();
    eprintln!("haul: {}", haul::chain(error));
    ExitCode::from(code(error))
}

fn code(error: &(dyn Error + 'static)) -> u8 {
    let is_setting = error.is::<UsageError>() || error.is::<SettingsError>() || error.is::<PlanError>();
    let is_filter =
        matches!(error.downcast_ref::<ProcessError>(), Some(ProcessError::Telemetry(TelemetryError::Filter(_))));
    if is_setting || is_filter || error.is::<Exposed>() {
        2
    } else if matches!(error.downcast_ref::<ClientError>(), Some(ClientError::Refused(_))) {
        3
    } else {
        1
    }
}
