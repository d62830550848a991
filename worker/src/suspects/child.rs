//! A suspect's process, seen from inside.
//!
//! One thread reads what the worker says, and does nothing else: when the worker is gone, it ends this process at once,
//! whatever the handler is doing. The handler runs as in a worker: with a token, with a pulse (the worker's, so that a
//! worker that was stopped stops this one too), with data and follow-ups.

use super::wire::{self, Ending, Order, Report, Task};
use crate::{
    attempt,
    builder::{BuildError, WorkerBuilder},
    context::JobContext,
    pulse::Pulse,
    registry::{DataMap, House, Registered, Registry},
    stop::{Stop, Why},
};
use bytes::Bytes;
use haul_core::{Clock, IdMint, Job, Ledger, Timestamp, ledger::Transactions};
use parking_lot::Mutex;
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, kill_process};
use std::{
    convert::Infallible,
    error::Error,
    fs::File,
    future::Future,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::spawn_blocking,
};

/// Why a process cannot run suspects.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The handlers cannot be put together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Its standard input is not a worker's socket.
    #[error("standard input is not the socket of a worker")]
    Socket(#[source] io::Error),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
    /// The thread that listens to the worker could not be started.
    #[error("the thread that listens to the worker could not be started")]
    Thread(#[source] io::Error),
    /// The worker cannot be told anything.
    #[error("the worker cannot be told anything")]
    Talk(#[source] io::Error),
}

/// What a worker's builder brings along.
pub(crate) struct Handlers {
    pub(crate) registry: Registry,
    pub(crate) data: Arc<DataMap>,
    pub(crate) lease: Duration,
    pub(crate) result_bytes_max: usize,
}

impl WorkerBuilder {
    /// Runs suspects for the worker at the other end of standard input, in place of being a worker: see
    /// [`Isolation`](crate::Isolation). It never returns but with an error: when the worker is gone, this process ends at
    /// once. The signals that end a worker are ignored here, as the worker decides.
    ///
    /// `open_ledger` is called when a transactional handler is to run, until it succeeds once.
    pub async fn serve_suspects<F, E>(self, open_ledger: impl FnMut() -> F) -> Result<Infallible, ServeError>
    where
        F: Future<Output = Result<Arc<dyn Ledger>, E>>,
        E: Error,
    {
        let handlers = self.into_handlers()?;
        let socket = take_stdin().map_err(ServeError::Socket)?;
        for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()] {
            // Listened to once, a signal has lost its default effect for good.
            drop(signal(kind).map_err(ServeError::Signals)?);
        }
        let listening = socket.try_clone().map_err(ServeError::Socket)?;
        let (orders, tasks) = mpsc::channel(1);
        let clock = Arc::new(Clock::new());
        let shared = Arc::new(Shared { pulse: Arc::new(Pulse::new(handlers.lease)), clock, stop: Mutex::default() });
        let for_thread = shared.clone();
        let listen = move || listen(listening, &for_thread, &orders);
        std::thread::Builder::new().name("worker-socket".to_owned()).spawn(listen).map_err(ServeError::Thread)?;
        let serving = Serving { handlers, shared, socket, open_ledger, transactions: None };
        serving.run(tasks).await
    }
}

/// What the listening thread and the handlers share.
struct Shared {
    clock: Arc<Clock>,
    pulse: Arc<Pulse>,
    /// Of the attempt that runs.
    stop: Mutex<Stop>,
}

/// An attempt to run.
struct Ordered {
    task: Task,
    payload: Bytes,
    stop: Stop,
}

/// Moves the socket away from standard input, so that nothing that the handlers start inherits or reads it.
fn take_stdin() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Fails on everything that is no such socket.
    socket.local_addr()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Hears the worker out. Never waits for anything else: its end has to be noticed whatever the handlers do.
fn listen(mut socket: UnixStream, shared: &Shared, orders: &mpsc::Sender<Ordered>) {
    loop {
        let order = match wire::read_blocking(&mut socket) {
            Ok((Order::Run(task), payload)) => {
                shared.beat(task.now_ms);
                let stop = Stop::default();
                *shared.stop.lock() = stop.clone();
                orders.try_send(Ordered { task: *task, payload, stop }).map_err(|_| ())
            }
            Ok((Order::Beat { now_ms }, _)) => {
                shared.beat(now_ms);
                Ok(())
            }
            Ok((Order::Stop, _)) => {
                shared.stop.lock().tell(Why::Draining);
                Ok(())
            }
            Err(_) => Err(()),
        };
        if order.is_err() {
            end_at_once();
        }
    }
}

/// Ends this process and what its handlers have started, without any of the ceremonies of an exit.
fn end_at_once() {
    let killed = if getpgrp() == getpid() {
        kill_current_process_group(Signal::KILL)
    } else {
        kill_process(getpid(), Signal::KILL)
    };
    if killed.is_err() {
        std::process::abort();
    }
}

impl Shared {
    fn beat(&self, now_ms: i64) {
        self.clock.sync(Timestamp::from_ms(now_ms), Duration::ZERO);
        self.pulse.beat();
    }
}

struct Serving<O> {
    handlers: Handlers,
    shared: Arc<Shared>,
    socket: UnixStream,
    open_ledger: O,
    transactions: Option<Arc<dyn Transactions>>,
}

impl<O, F, E> Serving<O>
where
    O: FnMut() -> F,
    F: Future<Output = Result<Arc<dyn Ledger>, E>>,
    E: Error,
{
    async fn run(mut self, mut tasks: mpsc::Receiver<Ordered>) -> Result<Infallible, ServeError> {
        let mint = Arc::new(IdMint::new(self.shared.clock.clone()));
        self.tell(Report::Here, Vec::new()).await?;
        while let Some(ordered) = tasks.recv().await {
            let kept = self.attempt(ordered, &mint).await?;
            let (report, raw) = match kept {
                Ok((ending, raw)) => (Report::Ended(ending), raw),
                Err(refused) => (refused, Vec::new()),
            };
            self.tell(report, raw).await?;
        }
        // The thread that listens ends the process when the worker is gone, and does not end by itself.
        Err(ServeError::Talk(io::ErrorKind::BrokenPipe.into()))
    }

    /// Runs one attempt to its end, or says why not.
    async fn attempt(
        &mut self,
        ordered: Ordered,
        mint: &Arc<IdMint>,
    ) -> Result<Result<(Ending, Vec<Bytes>), Report>, ServeError> {
        let Ordered { task, payload, stop } = ordered;
        let (attempt, process) = (task.attempt, task.process());
        let job: Job = match task.into_job(payload) {
            Ok(job) => job,
            Err(error) => return Ok(Err(refusal(error.to_string(), false))),
        };
        let Some(registered) = self.handlers.registry.get(&job.kind).cloned() else {
            return Ok(Err(refusal(format!("it has no handler for the kind {:?}", job.kind), false)));
        };
        if let Err(refused) = self.reach_ledger(&registered).await {
            return Ok(Err(refused));
        }
        let house = Arc::new(House {
            data: self.handlers.data.clone(),
            mint: mint.clone(),
            process,
            transactions: self.transactions.clone(),
            lease: self.handlers.lease,
            pulse: self.shared.pulse.clone(),
            result_bytes_max: self.handlers.result_bytes_max,
        });
        self.tell(Report::Begun, Vec::new()).await?;
        let context = JobContext::new(job, attempt, stop.token().clone(), house);
        let result = attempt::handle(registered, context.clone()).await;
        Ok(Ok(Ending::of(result, &context.follow_ups())))
    }

    async fn reach_ledger(&mut self, registered: &Registered) -> Result<(), Report> {
        if !registered.is_transactional || self.transactions.is_some() {
            return Ok(());
        }
        let ledger = (self.open_ledger)().await.map_err(|error| refusal(error.to_string(), true))?;
        let transactions = ledger.transactions();
        self.transactions =
            Some(transactions.ok_or_else(|| refusal("its ledger has no transactions".to_owned(), false))?);
        Ok(())
    }

    async fn tell(&self, report: Report, raw: Vec<Bytes>) -> Result<(), ServeError> {
        let mut socket = self.socket.try_clone().map_err(ServeError::Talk)?;
        let telling = spawn_blocking(move || wire::write_blocking(&mut socket, &report, &raw));
        telling.await.map_err(io::Error::from).and_then(|told| told).map_err(ServeError::Talk)
    }
}

fn refusal(reason: String, may_pass: bool) -> Report {
    Report::Refused { reason, may_pass }
}
