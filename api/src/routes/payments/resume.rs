//! Further jobs for an operation that a payment has: reruns, and jobs of payment kinds that are submitted as such.
//!
//! They go through the books, as every job that may work on a payment does; the payment stays as it is, and the job begins
//! with a look-up.

use super::no_card;
use crate::{
    app::App,
    commit::Row,
    intake::Admitted,
    problem::{FieldError, Problem, ProblemType},
    tickets::Handover,
};
use haul_core::{
    books::{Entry, Order, Ordered},
    dispatch::Ticket,
    ledger::{LedgerError, NewJob},
    payment::{Assignment, OperationKind},
};

/// Whether jobs of this kind work on payments.
pub(crate) fn is_payments(row: &Row) -> bool {
    OperationKind::of_job_kind(row.draft.kind.as_str()).is_some()
}

/// Commits a job of a payment kind, if its payload names an operation of that kind.
pub(crate) async fn submit(app: &App, row: Row) -> Result<Admitted, Problem> {
    let Row { draft, idempotency } = row;
    no_card(&String::from_utf8_lossy(&draft.payload))?;
    let assignment = Assignment::parse(&draft.payload).map_err(|_| unknown())?;
    let seen = app.books.payment(assignment.payment).await?.filter(|seen| seen.payment.tenant == app.tenant);
    let operation = seen.as_ref().and_then(|seen| seen.payment.operation(assignment.operation));
    if operation.is_none_or(|operation| operation.kind.job_kind() != draft.kind.as_str()) {
        return Err(unknown());
    }
    let job = draft.into_job(app.mint.next(), app.tenant.clone());
    let (id, queue) = (job.id, job.queue_ref());
    let due = (job.run_at > job.created_at()).then_some(job.run_at);
    let ticket = Ticket { id, kind: job.kind.clone(), priority: job.priority, due };
    let entry = Entry::Same(assignment.payment);
    let order = Order { entry, operation: assignment.operation, job: NewJob { job, idempotency } };
    match app.books.order(&order, app.process, &[]).await {
        Ok(Ordered::New(receipt)) => {
            app.tickets.hand_over(Handover { receipt, tickets: vec![(queue, ticket)], is_late: false });
            Ok(Admitted { id, replayed: false })
        }
        Ok(Ordered::Replayed(id)) => Ok(Admitted { id, replayed: true }),
        Ok(Ordered::KeyReused) => Err(super::key_reused()),
        Ok(Ordered::Unknown | Ordered::Stale) => Err(unknown()),
        Err(error @ LedgerError::Contended(_)) => {
            let detail = "a request with this key is being committed at this moment";
            Err(Problem::new(ProblemType::IdempotencyKeyInUse, detail).because(error))
        }
        Err(error) => Err(error.into()),
    }
}

fn unknown() -> Problem {
    let detail =
        "must name a payment and an operation of this kind that it has; payments are made by POST /v1/payments";
    Problem::with_errors(ProblemType::InvalidRequest, vec![FieldError::new("/payload", detail)])
}
