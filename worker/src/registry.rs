//! Which handler runs which kind.
//!
//! A handler is an async function of a [`JobContext`] and a typed payload. Here it loses its types: the rest of the
//! worker only sees bytes going in and bytes coming out. Decoding happens inside of the attempt, so that a payload that
//! does not decode fails its own job and nothing else.

use crate::{context::JobContext, error::HandlerError, pulse::Pulse};
use bytes::Bytes;
use futures::future::BoxFuture;
use haul_core::{
    IdMint, Kind, ProcessId,
    ledger::{BatchRecorded, Transactions},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What a handler did, when it did it.
pub(crate) enum Done {
    /// It succeeded, with this result; to be recorded.
    Result(Option<Bytes>),
    /// It succeeded, and its own transaction has recorded that.
    Recorded(BatchRecorded),
}

/// A handler without its types.
pub(crate) trait ErasedHandler: Send + Sync + 'static {
    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Done, HandlerError>>;
}

/// A kind, its handler, and how many of its attempts may run and do.
pub(crate) struct Registered {
    pub(crate) kind: Kind,
    pub(crate) handler: Box<dyn ErasedHandler>,
    pub(crate) limit: Option<usize>,
    pub(crate) is_transactional: bool,
    /// Whether it runs here also when it is a suspect.
    pub(crate) is_resident: bool,
    in_use: AtomicUsize,
}

impl Registered {
    pub(crate) fn new(
        kind: Kind,
        handler: Box<dyn ErasedHandler>,
        limit: Option<usize>,
        is_transactional: bool,
    ) -> Self {
        Self { kind, handler, limit, is_transactional, is_resident: false, in_use: AtomicUsize::new(0) }
    }

    /// With its suspects here, too.
    pub(crate) fn resident(self, is_resident: bool) -> Self {
        Self { is_resident, ..self }
    }

    /// How many more attempts of this kind may be taken on; `None` for any number.
    pub(crate) fn room(&self) -> Option<usize> {
        self.limit.map(|limit| limit.saturating_sub(self.in_use.load(Ordering::Relaxed)))
    }
    /// Counts an attempt that was taken on.
    pub(crate) fn enter(&self) {
        self.in_use.fetch_add(1, Ordering::Relaxed);
    }
    /// Counts one that has ended or was given back.
    pub(crate) fn leave(&self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every kind of this worker.
#[derive(Default)]
pub(crate) struct Registry {
    by_kind: HashMap<Kind, Arc<Registered>>,
    in_order: Vec<Kind>,
}

impl Registry {
    /// `false` when the kind has a handler already.
    pub(crate) fn add(&mut self, registered: Registered) -> bool {
        let kind = registered.kind.clone();
        if self.by_kind.insert(kind.clone(), Arc::new(registered)).is_some() {
            return false;
        }
        self.in_order.push(kind);
        true
    }
    pub(crate) fn get(&self, kind: &Kind) -> Option<&Arc<Registered>> {
        self.by_kind.get(kind)
    }
    /// All kinds, in the order in which they were added.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.in_order.clone()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }
}

/// Shared data by type.
#[derive(Default)]
pub(crate) struct DataMap(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl DataMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }
    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

/// What every attempt of a worker shares.
pub(crate) struct House {
    pub(crate) data: Arc<DataMap>,
    pub(crate) mint: Arc<IdMint>,
    pub(crate) process: ProcessId,
    pub(crate) transactions: Option<Arc<dyn Transactions>>,
    pub(crate) lease: Duration,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) result_bytes_max: usize,
}

/// A plain handler: `async fn(JobContext, P) -> Result<R, HandlerError>`.
struct Typed<F, P>(F, std::marker::PhantomData<fn(P)>);

pub(crate) fn erase<F, Fut, P, R>(handler: F) -> Box<dyn ErasedHandler>
where
    F: Fn(JobContext, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + 'static,
{
    Box::new(Typed(handler, std::marker::PhantomData))
}

impl<F, Fut, P, R> ErasedHandler for Typed<F, P>
where
    F: Fn(JobContext, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + 'static,
{
    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Done, HandlerError>> {
        let payload = match decode(&context) {
            Ok(payload) => payload,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let result_bytes_max = context.result_bytes_max();
        let running = (self.0)(context, payload);
        Box::pin(async move { encode(&running.await?, result_bytes_max).map(Done::Result) })
    }
}

/// The payload as the handler's type. One that does not fit never will: the job is dead.
pub(crate) fn decode<P: DeserializeOwned>(context: &JobContext) -> Result<P, HandlerError> {
    serde_json::from_slice(&context.job().payload)
        .map_err(|error| HandlerError::do_not_retry(format!("its payload is not what the handler takes: {error}")))
}

/// The result as it is stored; `()` and other nulls take no room.
pub(crate) fn encode<R: Serialize>(result: &R, bytes_max: usize) -> Result<Option<Bytes>, HandlerError> {
    let bytes = serde_json::to_vec(result)
        .map_err(|error| HandlerError::do_not_retry(format!("its result cannot be written as JSON: {error}")))?;
    if bytes.len() > bytes_max {
        let size = bytes.len();
        return Err(HandlerError::do_not_retry(format!("its result has {size} bytes, at most {bytes_max} are kept")));
    }
    Ok((bytes != b"null").then(|| Bytes::from(bytes)))
}
