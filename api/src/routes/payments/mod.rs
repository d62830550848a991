//! `/v1/payments`.
//!
//! A payment is made, captured and refunded through the books, each together with the job that does it, in one
//! transaction. Every change wants an `Idempotency-Key`: a client that does not know whether its request arrived must be able to
//! repeat it. Texts that look like a card's number are refused, unechoed.

pub(crate) mod balances;
pub(crate) mod capture;
pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod refund;
pub(crate) mod resume;
mod view;
pub(crate) mod webhook;

pub(crate) use view::{BalanceList, BalanceView, PaymentPage, PaymentView};

use crate::{
    app::App,
    draft::{Draft, Start},
    fields::{Fields, pointer_of},
    headers, json,
    problem::{FieldError, Problem, ProblemType},
    routes::{self, path_text},
    tickets::Handover,
};
use axum::{extract::FromRequestParts, response::Response};
use bytes::Bytes;
use haul_core::{
    Job, JobId, Kind,
    books::{Change, Entry, Order, Ordered, Seen},
    dispatch::Ticket,
    ledger::{Idempotency, LedgerError, NewJob},
    payment::{
        AMOUNT_MAX, Assignment, OPERATIONS_MAX, Operation, OperationKind, Payment, PaymentId, looks_like_card_number,
    },
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use uuid::Uuid;

/// How often a change is computed anew because the payment has changed meanwhile.
const TRIES_MAX: usize = 5;

/// A payment's id in the path.
pub(crate) struct PaymentPath(pub(crate) PaymentId);

impl<S: Send + Sync> FromRequestParts<S> for PaymentPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        // Only the usual form of a UUID: others would be other names for the same payment.
        let id = (text.len() == 36).then(|| text.parse().ok()).flatten();
        id.map(Self).ok_or_else(|| Problem::new(ProblemType::InvalidPath, "a payment's id is a UUID of 36 characters"))
    }
}

/// The key that every change of a payment has to bring.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let missing = || {
        Problem::new(
            ProblemType::InvalidHeader,
            "idempotency-key is required: without one a lost answer cannot be repeated",
        )
    };
    headers::idempotency_key(headers)?.ok_or_else(missing)
}

/// What tells a request from others under the same key.
fn told(app: &App, key: String, path: &str, fields: &Fields<'_>) -> Result<Idempotency, Problem> {
    Ok(app.rules.idempotency(key, &fields.canonical(path)?))
}

/// Refuses what looks like a card's number, wherever it stands.
fn no_card(text: &str) -> Result<(), Problem> {
    if !looks_like_card_number(text) {
        return Ok(());
    }
    let detail = "the request holds what looks like a card's number; send the provider's token instead";
    Err(Problem::new(ProblemType::CardNumber, detail))
}

/// Refuses a body with a card's number in it, as it was sent or in a name or string once escapes are read.
fn no_card_in(body: &[u8], fields: &Fields<'_>) -> Result<(), Problem> {
    no_card(&String::from_utf8_lossy(body))?;
    let Fields::Object(members) = fields else { return Ok(()) };
    for (name, value) in members {
        no_card(name)?;
        if let Some(text) = json::as_string(value) {
            no_card(&text)?;
        }
        // Deeper objects are metadata, or refused.
        if let Ok(Fields::Object(inner)) = Fields::parse(value.as_bytes(), usize::MAX) {
            for (name, value) in inner {
                no_card(&name)?;
                no_card(&json::as_string(value).unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

/// An amount as JSON: plain digits, so that nobody's float is rounded.
fn amount(value: &str, errors: &mut Vec<FieldError>) -> Option<i64> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
    let amount = value.parse().ok().filter(|amount| is_plain && (1..=AMOUNT_MAX).contains(amount));
    if amount.is_none() {
        errors
            .push(FieldError::new("/amount", format!("must be a whole number of minor units from 1 to {AMOUNT_MAX}")));
    }
    amount
}

/// The tenant's payment.
async fn payment(app: &App, id: PaymentId) -> Result<Seen, Problem> {
    let seen = app.books.payment(id).await?.filter(|seen| seen.payment.tenant == app.tenant);
    seen.ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::new(ProblemType::PaymentNotFound, "no payment has this id")
}

/// A job of the defaults that does an operation.
fn job(app: &App, id: JobId, payment: PaymentId, operation: u32, kind: OperationKind) -> Result<Job, Problem> {
    let draft = Draft {
        queue: app.rules.queue.clone(),
        kind: Kind::new(kind.job_kind()).map_err(Problem::internal)?,
        priority: app.rules.priority,
        start: Start::Now,
        payload: Bytes::from(Assignment { payment, operation }.payload()),
        options: app.rules.options.clone(),
    };
    Ok(draft.traced().into_job(id, app.tenant.clone()))
}

/// What came of an order, once it is committed.
enum Placed {
    /// The payment, and whether the request came before.
    Done(PaymentId, bool),
    /// It has changed meanwhile.
    Stale,
}

/// Commits an order, and gives its ticket to the dispatch.
async fn place(app: &App, entry: Entry, operation: u32, job: Job, idempotency: Idempotency) -> Result<Placed, Problem> {
    let payment = entry.payment();
    let ticket = Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due: None };
    let queue = job.queue_ref();
    let order = Order { entry, operation, job: NewJob { job, idempotency: Some(idempotency) } };
    match app.books.order(&order, app.process, &[]).await {
        Ok(Ordered::New(receipt)) => {
            app.tickets.hand_over(Handover { receipt, tickets: vec![(queue, ticket)], is_late: false });
            Ok(Placed::Done(payment, false))
        }
        Ok(Ordered::Replayed(job)) => Ok(Placed::Done(payment_of(app, job).await?, true)),
        Ok(Ordered::KeyReused) => Err(key_reused()),
        Ok(Ordered::Stale) => Ok(Placed::Stale),
        Ok(Ordered::Unknown) => Err(not_found()),
        Err(error @ LedgerError::Contended(_)) => {
            let detail = "a request with this key is being committed at this moment";
            Err(Problem::new(ProblemType::IdempotencyKeyInUse, detail).because(error))
        }
        Err(error) => Err(error.into()),
    }
}

fn key_reused() -> Problem {
    Problem::new(ProblemType::IdempotencyKeyReused, "this key came with another request")
}

/// The payment that a job was made for.
async fn payment_of(app: &App, job: JobId) -> Result<PaymentId, Problem> {
    let kept_no_longer =
        || Problem::new(ProblemType::PaymentNotFound, "the job that was accepted under this key is kept no longer");
    let record = app.ledger.job(&app.tenant, job).await?.ok_or_else(kept_no_longer)?;
    // A key of another resource.
    let assignment = Assignment::parse(&record.job.payload).map_err(|_| key_reused())?;
    Ok(assignment.payment)
}

/// 201 with the payment as it is now.
async fn created(app: &App, id: PaymentId, is_replayed: bool) -> Result<Response, Problem> {
    let seen = payment(app, id).await?;
    let mut response = routes::json(StatusCode::CREATED, &PaymentView::of(&seen.payment, None))?;
    let location = HeaderValue::try_from(format!("/v1/payments/{id}")).map_err(Problem::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    if is_replayed {
        response.headers_mut().insert(headers::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// A further operation of a payment: reads the request, and tries until the payment holds still.
async fn further(
    app: &App,
    kind: OperationKind,
    id: PaymentId,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    crate::query::Query::none(request.uri().query())?;
    let (key, path) = (key(request.headers())?, request.uri().path().to_owned());
    let body = app.optional_json_body(request).await?;
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let (wanted, idempotency) = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        no_card_in(&body, &fields)?;
        (read_further(&fields)?, told(app, key, &path, &fields)?)
    };
    for _ in 0..TRIES_MAX {
        if let Some(remembered) = app.books.remembered(&app.tenant, &idempotency.key).await? {
            if remembered.fingerprint != idempotency.fingerprint {
                return Err(key_reused());
            }
            return created(app, payment_of(app, remembered.job).await?, true).await;
        }
        let mut changed = payment(app, id).await?.payment;
        let operation = next(&changed, kind, wanted, app.mint.next())?;
        let (number, job) = (operation.number, job(app, operation.job, id, operation.number, kind)?);
        changed.operations.push(operation);
        let change = Change { id: Uuid::new_v4(), payment: changed, request: None, posting: None, sender: None };
        let entry = Entry::Changed(Box::new(change));
        if let Placed::Done(id, is_replayed) = place(app, entry, number, job, idempotency.clone()).await? {
            return created(app, id, is_replayed).await;
        }
    }
    Err(Problem::new(ProblemType::Overloaded, "the payment is changed by others all the time"))
}

fn read_further(fields: &Fields<'_>) -> Result<Option<i64>, Problem> {
    let (mut wanted, mut errors) = (None, Vec::new());
    match fields {
        Fields::Object(members) => {
            for (name, value) in members {
                match (&**name, *value) {
                    ("amount", "null") => {}
                    ("amount", value) => wanted = amount(value, &mut errors),
                    (unknown, _) => errors.push(FieldError::new(pointer_of(unknown), "is not a field here")),
                }
            }
        }
        Fields::Other => errors.push(FieldError::new("", "must be an object")),
    }
    if errors.is_empty() { Ok(wanted) } else { Err(Problem::with_errors(ProblemType::InvalidRequest, errors)) }
}

/// The operation that comes next, if the payment allows it.
fn next(payment: &Payment, kind: OperationKind, wanted: Option<i64>, job: JobId) -> Result<Operation, Problem> {
    let left = match kind {
        OperationKind::Refund => payment.refundable(),
        OperationKind::Capture | OperationKind::Charge => payment.capturable(),
    };
    let refuse = |detail| Err(Problem::new(ProblemType::PaymentState, detail));
    if left <= 0 {
        return refuse(match kind {
            OperationKind::Refund => "nothing that was taken is left to give back",
            OperationKind::Capture | OperationKind::Charge => "nothing is held that could be captured",
        });
    }
    if payment.operations.len() >= OPERATIONS_MAX {
        return refuse("the payment has as many operations as it may have");
    }
    let amount = wanted.unwrap_or(left);
    if amount > left {
        let error = FieldError::new("/amount", format!("is more than the {left} that are left"));
        return Err(Problem::with_errors(ProblemType::InvalidRequest, vec![error]));
    }
    let number = payment.operations.iter().map(|operation| operation.number).max().unwrap_or(0) + 1;
    Ok(Operation::new(number, kind, amount, job))
}
