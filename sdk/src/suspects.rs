//! This program again, for suspects: jobs whose worker may have died of them.
//!
//! A worker starts its own program a second time, with the same arguments and environment and one variable more, and the
//! `main` of that process runs as always, until it comes to its worker: there it becomes the other end of a socket and
//! runs one suspect at a time, without stores, listeners or repair. It ends when its worker does, whatever happens.
//!
//! What `main` does before that happens there, too: binding a port of its own would fail. Such a program asks
//! [`is_their_process`] first. Where no process comes up, suspects run in the worker itself, and the log says so. A program
//! has one worker: with several, a process would not know whose suspects it is for.
//!
//! Standard output and error are the worker's. Metrics that handlers count there are lost, and so are, with a process that
//! dies, spans of calls that it made within its last second.

use crate::{
    plan::Plan,
    process::{ProcessError, VERSION, host_name},
    settings::{Settings, variable},
    stores::{OpenError, connect_for_transactions},
    telemetry::{changed_filter, spans, start_logging},
    tls,
};
use haul_core::ProcessId;
use haul_worker::{Isolation, WorkerBuilder};
use std::{
    convert::Infallible,
    io,
    os::{
        fd::AsFd,
        unix::{
            net::UnixStream,
            process::{CommandExt, parent_id},
        },
    },
    path::PathBuf,
    process::Command,
};
use tokio_util::sync::CancellationToken;

/// Set to the worker's process id in the processes that it starts for suspects.
const MARKER: &str = "HAUL_SUSPECTS_OF";

/// Whether this process was started by a worker to run suspects. Programs that do more than work, such as listening on a
/// port, leave that to the other process then.
pub fn is_their_process() -> bool {
    let Some(worker) = variable(MARKER) else { return false };
    // What a handler starts inherits the variable, but neither the worker as its parent nor its socket. A worker that is
    // gone already is nobody's parent; then the socket shows it, and this process ends soon.
    worker == parent_id().to_string() || is_socket(&io::stdin())
}

fn is_socket(file: &impl AsFd) -> bool {
    file.as_fd().try_clone_to_owned().is_ok_and(|file| UnixStream::from(file).local_addr().is_ok())
}

/// The file that runs, where the system can tell: the one of that name may be another version by now.
fn this_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

/// How a worker starts this program again.
pub(crate) fn isolation() -> Isolation {
    Isolation::by(|| {
        let mut arguments = std::env::args_os();
        let mut command = Command::new(this_program());
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(MARKER, std::process::id().to_string());
        // It has no listener where it could be told later.
        if let Some(filter) = changed_filter() {
            command.env("HAUL_LOG_FILTER", filter);
        }
        command
    })
}

/// Runs suspects for the worker that started this process, with that worker's handlers. Returns only with an error.
pub async fn serve(settings: &Settings, plan: &Plan, builder: WorkerBuilder) -> Result<Infallible, ProcessError> {
    start_logging(&settings.config.log)?;
    tls::install();
    let origin = spans::Origin { process: ProcessId::random(), role: "suspects", host: &host_name(), version: VERSION };
    if let Some(courier) = spans::start(&settings.config, &settings.secrets, &origin)? {
        // This process is never told to end: it is ended.
        tokio::spawn(courier.run(CancellationToken::new()));
    }
    let open_ledger = async || match plan {
        Plan::PostgresAlone(database) | Plan::Production { database, .. } => connect_for_transactions(database).await,
        Plan::Embedded(_) => Err(OpenError::NoTransactions),
    };
    Ok(builder.config(settings.config.worker.clone()).serve_suspects(open_ledger).await?)
}
