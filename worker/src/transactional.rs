//! Transactional handlers: what they write and the job's outcome commit together or not at all.
//!
//! The transaction comes from the ledger ([`haul_core::ledger::Transactions`]), on a connection of its own, so that this
//! crate knows no database. A handler that fails, runs out of time or dies rolls back by being dropped; its failure is
//! then recorded in the usual way.

use crate::{
    context::JobContext,
    error::HandlerError,
    registry::{Done, ErasedHandler, decode, encode},
};
use futures::future::BoxFuture;
use haul_core::ledger::{Entry, JobTransaction, LedgerError, Record, Transactions};
use serde::{Serialize, de::DeserializeOwned};
use std::{any::type_name, future::Future, marker::PhantomData, sync::Arc, time::Duration};

/// How long a job waits whose transaction could not begin, or whose commit was not answered.
const PAUSE: Duration = Duration::from_secs(1);

/// An `async fn(JobContext, P, &mut Tx) -> Result<R, HandlerError>`, or an async closure of that shape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transactional handler",
    label = "expected `async fn(JobContext, {P}, &mut {Tx}) -> Result<{R}, HandlerError>`",
    note = "the transaction comes last, as `&mut {Tx}`; the future that is returned must be `Send`"
)]
pub trait TransactionalHandler<'t, Tx: 't, P, R>:
    Fn(JobContext, P, &'t mut Tx) -> Self::Running + Send + Sync + 'static
{
    /// The running handler.
    type Running: Future<Output = Result<R, HandlerError>> + Send + 't;
}

impl<'t, F, Fut, Tx: 't, P, R> TransactionalHandler<'t, Tx, P, R> for F
where
    F: Fn(JobContext, P, &'t mut Tx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, HandlerError>> + Send + 't,
{
    type Running = Fut;
}

struct Transactional<F, Tx, P, R>(Arc<F>, PhantomData<fn(P) -> (Tx, R)>);

pub(crate) fn erase<F, Tx, P, R>(handler: F) -> Box<dyn ErasedHandler>
where
    F: for<'t> TransactionalHandler<'t, Tx, P, R>,
    Tx: Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    Box::new(Transactional(Arc::new(handler), PhantomData))
}

impl<F, Tx, P, R> ErasedHandler for Transactional<F, Tx, P, R>
where
    F: for<'t> TransactionalHandler<'t, Tx, P, R>,
    Tx: Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Done, HandlerError>> {
        let handler = self.0.clone();
        Box::pin(async move {
            let payload = decode::<P>(&context)?;
            let mut transaction = begin(&context).await?;
            let tx = transaction.as_any_mut().downcast_mut::<Tx>().ok_or_else(|| {
                HandlerError::retry(format!("this ledger's transactions are not of type {}", type_name::<Tx>()))
            })?;
            let result = handler(context.clone(), payload, tx).await?;
            let result = encode(&result, context.result_bytes_max())?;
            commit(&context, transaction, result).await
        })
    }
}

async fn begin(context: &JobContext) -> Result<Box<dyn JobTransaction>, HandlerError> {
    let house = context.house();
    let Some(transactions) = &house.transactions else {
        return Err(HandlerError::retry("this ledger offers no transactions"));
    };
    match Transactions::begin(&**transactions, house.lease).await {
        Ok(transaction) => Ok(transaction),
        Err(error) if error.is_transient() => Err(HandlerError::defer(PAUSE)),
        Err(error) => Err(error.into()),
    }
}

async fn commit(
    context: &JobContext,
    transaction: Box<dyn JobTransaction>,
    result: Option<bytes::Bytes>,
) -> Result<Done, HandlerError> {
    let record = Record {
        job: context.job_id(),
        tenant: context.tenant().clone(),
        attempt: context.attempt(),
        at: context.now(),
        entry: Entry::Succeeded(result),
        follow_ups: context.follow_ups(),
    };
    match transaction.commit(&record, context.house().process).await {
        Ok(recorded) => Ok(Done::Recorded(recorded)),
        // Committed or not, the ledger shows it when the job is loaded again: no attempt is used up by asking.
        Err(LedgerError::Unavailable(_)) => Err(HandlerError::defer(PAUSE)),
        Err(error) => Err(error.into()),
    }
}
