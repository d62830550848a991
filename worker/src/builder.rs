//! How a worker is put together.

use crate::{
    context::JobContext,
    error::HandlerError,
    pulse::Pulse,
    registry::{self, DataMap, ErasedHandler, House, Registered, Registry},
    suspects::{Handlers, Isolation},
    transactional::{self, TransactionalHandler},
    worker::Worker,
};
use haul_core::{Config, Dispatch, IdMint, Kind, Ledger, ProcessId, config::WorkerConfig, name::NameError};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, sync::Arc};
use tokio::sync::Notify;

/// Why a worker cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A part that every worker needs was not given.
    #[error("the worker has no {0}; give it one with `Worker::builder().{0}(..)`")]
    Missing(&'static str),
    /// No handler at all.
    #[error("the worker has no handlers")]
    NoHandlers,
    /// The name of a kind is not one.
    #[error("the kind {kind:?} {reason}")]
    Kind {
        /// The text given.
        kind: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// A kind has two handlers.
    #[error("the kind {0:?} has two handlers")]
    Twice(Kind),
    /// A transactional handler, and a ledger that has no transactions for it.
    #[error("the kind {0:?} has a transactional handler, which this ledger does not offer; use the ledger in Postgres")]
    NoTransactions(Kind),
}

/// Puts a worker together: see [the crate's example](crate).
#[derive(Default)]
pub struct WorkerBuilder {
    ledger: Option<Arc<dyn Ledger>>,
    dispatch: Option<Arc<dyn Dispatch>>,
    mint: Option<Arc<IdMint>>,
    process: Option<ProcessId>,
    config: Option<WorkerConfig>,
    repair_signal: Option<Arc<Notify>>,
    isolation: Option<Isolation>,
    data: DataMap,
    handlers: Vec<Handler>,
    residents: Vec<Kind>,
    refused: Option<BuildError>,
}

struct Handler {
    kind: Kind,
    run: Box<dyn ErasedHandler>,
    is_transactional: bool,
}

impl WorkerBuilder {
    /// The truth about every job.
    #[must_use]
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Where tickets are claimed.
    #[must_use]
    pub fn dispatch(mut self, dispatch: Arc<dyn Dispatch>) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Makes the ids of follow-ups; its clock, the ledger's, times everything.
    #[must_use]
    pub fn mint(mut self, mint: Arc<IdMint>) -> Self {
        self.mint = Some(mint);
        self
    }

    /// Who this process is: the owner of its leases and receipts. A new id if not given.
    #[must_use]
    pub fn process(mut self, process: ProcessId) -> Self {
        self.process = Some(process);
        self
    }

    /// Slots, queues, lease and the rest. The defaults if not given.
    #[must_use]
    pub fn config(mut self, config: WorkerConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Notified when the dispatch says that it has lost a queue's tickets.
    #[must_use]
    pub fn repair_signal(mut self, signal: Arc<Notify>) -> Self {
        self.repair_signal = Some(signal);
        self
    }

    /// Runs suspects, which may crash their process, in processes of their own. Without it they run like other jobs.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Gives all handlers a value to share, such as a connection pool. One value per type: see [`JobContext::data`].
    #[must_use]
    pub fn data<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.data.insert(value);
        self
    }

    /// Lets a function run the jobs of a kind: an `async fn(JobContext, P) -> Result<R, HandlerError>`, or a closure of
    /// that shape. The payload is read as `P`, the result is kept as JSON.
    #[must_use]
    pub fn handler<F, Fut, P, R>(self, kind: impl AsRef<str>, handler: F) -> Self
    where
        F: Fn(JobContext, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
    {
        self.add(kind.as_ref(), registry::erase(handler), false)
    }

    /// Lets a function run the jobs of a kind within the job's own database transaction: what it writes through it and
    /// the job's outcome commit together, or not at all. An `async fn(JobContext, P, &mut Tx) -> Result<R, HandlerError>`
    /// or an `async |context, payload, tx| {..}`, with `Tx` the transaction type of the ledger.
    #[must_use]
    pub fn transactional<Tx, P, R, F>(self, kind: impl AsRef<str>, handler: F) -> Self
    where
        F: for<'t> TransactionalHandler<'t, Tx, P, R>,
        Tx: Send + 'static,
        P: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        self.add(kind.as_ref(), transactional::erase(handler), true)
    }

    /// Keeps the jobs of a kind in this process also when they are suspects: for handlers that need what only this process
    /// has, such as its stores. Nothing counts their crashes, so it is for handlers that no payload can make crash.
    #[must_use]
    pub fn resident(mut self, kind: impl AsRef<str>) -> Self {
        match Kind::new(kind.as_ref()) {
            Ok(kind) => {
                self.residents.push(kind);
                self
            }
            Err(reason) => self.refuse(BuildError::Kind { kind: kind.as_ref().to_owned(), reason }),
        }
    }

    /// The worker, or what is wrong with it.
    pub fn build(self) -> Result<Worker, BuildError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let ledger = self.ledger.ok_or(BuildError::Missing("ledger"))?;
        let dispatch = self.dispatch.ok_or(BuildError::Missing("dispatch"))?;
        let mint = self.mint.ok_or(BuildError::Missing("mint"))?;
        let config = self.config.unwrap_or_else(|| Config::defaults().worker);
        let transactions = ledger.transactions();
        let impossible = |handler: &&Handler| handler.is_transactional && transactions.is_none();
        if let Some(handler) = self.handlers.iter().find(impossible) {
            return Err(BuildError::NoTransactions(handler.kind.clone()));
        }
        let registry = registry_of(self.handlers, &self.residents, &config)?;
        let house = House {
            data: Arc::new(self.data),
            mint,
            process: self.process.unwrap_or_else(ProcessId::random),
            transactions,
            lease: config.lease.as_duration(),
            pulse: Arc::new(Pulse::new(config.lease.as_duration())),
            result_bytes_max: config.result_bytes_max,
        };
        Ok(Worker {
            ledger,
            dispatch,
            isolation: self.isolation.filter(|_| config.suspects > 0),
            config,
            repair_signal: self.repair_signal.unwrap_or_default(),
            registry: Arc::new(registry),
            house: Arc::new(house),
            busy: Arc::default(),
        })
    }

    /// The handlers alone, for a process that runs suspects.
    pub(crate) fn into_handlers(self) -> Result<Handlers, BuildError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let config = self.config.unwrap_or_else(|| Config::defaults().worker);
        Ok(Handlers {
            registry: registry_of(self.handlers, &self.residents, &config)?,
            data: Arc::new(self.data),
            lease: config.lease.as_duration(),
            result_bytes_max: config.result_bytes_max,
        })
    }

    /// Keeps the first mistake for [`WorkerBuilder::build`], so that calls can be chained.
    fn refuse(mut self, error: BuildError) -> Self {
        self.refused.get_or_insert(error);
        self
    }

    fn add(mut self, kind: &str, run: Box<dyn ErasedHandler>, is_transactional: bool) -> Self {
        match Kind::new(kind) {
            Ok(kind) => {
                self.handlers.push(Handler { kind, run, is_transactional });
                self
            }
            Err(reason) => self.refuse(BuildError::Kind { kind: kind.to_owned(), reason }),
        }
    }
}

fn registry_of(handlers: Vec<Handler>, residents: &[Kind], config: &WorkerConfig) -> Result<Registry, BuildError> {
    let mut registry = Registry::default();
    for Handler { kind, run, is_transactional } in handlers {
        let limit = config.kind_concurrency.get(&kind).copied();
        let registered = Registered::new(kind.clone(), run, limit, is_transactional);
        if !registry.add(registered.resident(residents.contains(&kind))) {
            return Err(BuildError::Twice(kind));
        }
    }
    if registry.is_empty() { Err(BuildError::NoHandlers) } else { Ok(registry) }
}
