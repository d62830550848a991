//! Waking who looks up: a job more for an operation that is open, at most one at a time.
//!
//! The job is one of the operation's kind, as a rerun is, and does what every job of a payment does: it looks the operation up
//! before anything else. An operation that was just sent and whose job is alive needs none: that job waits for the
//! answer, or looks it up in its next attempt.

use super::super::{job, place};
use crate::{app::App, problem::Problem};
use haul_core::{
    JobId,
    books::Entry,
    payment::{Operation, OperationState, Payment, PaymentId},
};

/// Jobs that events may make for one operation within the lifetime of an idempotency key. What is open then is left to
/// `maintenance.reconcile_payments`.
const JOBS_MAX: u32 = 20;

/// Has the operations of a payment that are open looked up: the one of this number, or all of them. Does nothing for a payment
/// that is not the tenant's.
pub(super) async fn wake(app: &App, id: PaymentId, number: Option<u32>) -> Result<(), Problem> {
    let seen = app.books.payment(id).await?.filter(|seen| seen.payment.tenant == app.tenant);
    let Some(payment) = seen.map(|seen| seen.payment) else { return Ok(()) };
    let is_named = |operation: &&Operation| number.is_none_or(|number| number == operation.number);
    for operation in payment.operations.iter().filter(is_named) {
        let is_open = match operation.state {
            OperationState::Unknown => true,
            OperationState::Sent => !is_alive(app, operation.job).await?,
            // For sure nothing was done, or nothing more will be: an event is about something else.
            _ => false,
        };
        if is_open {
            order(app, &payment, operation).await?;
        }
    }
    Ok(())
}

/// Whether a job is still to end by itself.
async fn is_alive(app: &App, job: JobId) -> Result<bool, Problem> {
    let record = app.ledger.job(&app.tenant, job).await?;
    Ok(record.is_some_and(|record| record.outcome.is_none()))
}

/// Makes a job for the operation, unless the last one that an event has made is alive. Each is made under the next of a row of
/// keys, so that of two processes that make it at the same time one gets the other's.
async fn order(app: &App, payment: &Payment, operation: &Operation) -> Result<(), Problem> {
    for n in 0..JOBS_MAX {
        let key = format!("haul:look-up:{}:{}:{n}", payment.id, operation.number);
        match app.books.remembered(&app.tenant, &key).await? {
            Some(last) if is_alive(app, last.job).await? => return Ok(()),
            Some(_ended) => {}
            None => {
                let job = job(app, app.mint.next(), payment.id, operation.number, operation.kind)?;
                let idempotency = app.rules.idempotency(key.clone(), key.as_bytes());
                place(app, Entry::Same(payment.id), operation.number, job, idempotency).await?;
                return Ok(());
            }
        }
    }
    Ok(())
}
