//! Suspects: jobs whose worker may have died of them.
//!
//! A ticket that came back because its lease expired proves nothing: its worker may have been killed, or been stopped for
//! a while, or died of another job. Hence such a job runs alone, in a process of its own; only when *that* process is seen
//! to die by itself has the job crashed. Killing a worker kills its suspects' processes with it and counts nothing.
//!
//! The process is the same program again; its `main` runs as always, until it reaches the worker, which becomes the other
//! end of a socket ([`WorkerBuilder::serve_suspects`](crate::WorkerBuilder::serve_suspects)). Leases, timeouts, records and metrics stay with the parent. `lane` gives suspects their
//! own way beside the slots, `line` is where they wait, `pool` keeps processes, `process` is one of them, `run` brings an attempt through it, `wire`
//! is what they say to each other, `child` is the other end.

mod child;
mod lane;
mod line;
mod pool;
mod process;
mod run;
mod wire;

pub(crate) use child::Handlers;
pub use child::ServeError;
pub(crate) use lane::Lane;
pub(crate) use line::Line;

use std::{process::Command, sync::Arc};

/// How to start a process for suspects. Without it, suspects run like other jobs.
///
/// The command's program has to call [`WorkerBuilder::serve_suspects`](crate::WorkerBuilder::serve_suspects) with the
/// same handlers as the worker's. Its standard input is a socket, and
/// not to be read by anybody else.
#[derive(Clone)]
pub struct Isolation {
    command: Arc<dyn Fn() -> Command + Send + Sync>,
}

impl Isolation {
    /// By this command.
    pub fn by(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self { command: Arc::new(command) }
    }
}

impl std::fmt::Debug for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Isolation").field(&(self.command)().get_program()).finish()
    }
}
