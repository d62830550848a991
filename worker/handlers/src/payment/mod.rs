//! `payment.charge`, `payment.capture`, `payment.refund`: one operation of a payment, done at the provider once.
//!
//! A job names its payment and operation; everything else is in the [`Books`], and what to do next is decided by
//! [`payment::drive`]: this module brings it to a provider that speaks Stripe's API. A result is `{payment, operation, state,
//! object}`. What the provider declines is final; what is not known is looked up before anything else is done, in a later attempt
//! if need be. Amounts, tokens and answers are never logged.
//!
//! `maintenance.reconcile_payments` looks up what attempts have left open, and compares what the provider lists with the
//! books. It sends nothing.
//!
//! An attempt is made at the provider's pace. While its breaker is open jobs of payments wait without using up attempts.
//!
//! All of them are resident: they need the ledger, which a suspect's process does not have.

mod amount;
mod answer;
mod provider;
mod request;
mod seen;

pub use provider::HttpProvider;

use crate::pace::at_pace;
use haul_core::{
    Books, Timestamp,
    payment::{self, Assignment, Ended, KIND_CAPTURE, KIND_CHARGE, KIND_REFUND, PaymentId, Reconciled, Rules},
};
use haul_outgoing::SecretNameError;
use haul_worker::{HandlerError, JobContext, WorkerBuilder};
use seen::Seen;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// The kind of the job that compares the books with the provider.
pub const KIND_RECONCILE: &str = "maintenance.reconcile_payments";
/// How far back a reconciliation compares what the provider lists, unless its payload says otherwise.
const SINCE_HOURS: u64 = 48;
/// How many open operations one reconciliation looks up, unless its payload says otherwise.
const LIMIT: u64 = 10_000;

/// Why payments cannot be made with these settings.
#[derive(Debug, thiserror::Error)]
pub enum PaymentsError {
    /// The reference to the secret key.
    #[error("`payments.secret` is not the name of a secret")]
    Secret(#[source] SecretNameError),
    /// The provider's URL.
    #[error("`payments.url` cannot be called")]
    Url(#[source] haul_outgoing::Refusal),
}

/// What a job that has succeeded tells.
#[derive(Serialize)]
struct Told {
    payment: PaymentId,
    operation: u32,
    state: &'static str,
    object: String,
}

/// Adds the kind that compares the books with the provider to a worker. The books come as data of the worker, as `Arc<dyn Books>`.
#[must_use]
pub fn reconciliation(builder: WorkerBuilder, provider: Arc<HttpProvider>) -> WorkerBuilder {
    builder.data(provider).handler(KIND_RECONCILE, reconcile).resident(KIND_RECONCILE)
}

/// Adds the kinds of payments to a worker, and their reconciliation.
pub(crate) fn add(builder: WorkerBuilder, provider: Arc<HttpProvider>) -> WorkerBuilder {
    let builder = reconciliation(builder, provider);
    let kinds = [KIND_CHARGE, KIND_CAPTURE, KIND_REFUND];
    kinds.into_iter().fold(builder, |builder, kind| builder.handler(kind, perform).resident(kind))
}

async fn perform(context: JobContext, assignment: Assignment) -> Result<Told, HandlerError> {
    let (books, provider) = (context.data::<Arc<dyn Books>>()?, context.data::<Arc<HttpProvider>>()?);
    let rules = Rules::default();
    let (seen, tenant) = (Seen::default(), context.tenant());
    let provider = provider.seen_by(&seen);
    let driving = payment::drive(&**books, &provider, &rules, tenant, assignment, context.job_id());
    // Dropped at any `await`, it is as after a crash; but there is no need to wait for the worker to lose its patience.
    let attempt = async {
        tokio::select! {
            biased;
            ended = driving => Ok::<_, HandlerError>(ended?),
            () = context.cancelled() => Err(HandlerError::retry("it was told to stop")),
        }
    };
    // All of it is one call to the provider: while that cannot take it, nothing is begun and nothing is stored.
    match at_pace(&context, provider.destination(), attempt, |_| seen.verdict()).await?? {
        Ended::Succeeded { object } => {
            let Assignment { payment, operation } = assignment;
            Ok(Told { payment, operation, state: "succeeded", object })
        }
        other => Err(unsuccessful(other)),
    }
}

fn unsuccessful(ended: Ended) -> HandlerError {
    match ended {
        Ended::Later { after: Some(pause), why } => HandlerError::retry_after(pause, why),
        Ended::Later { after: None, why } => HandlerError::retry(why),
        Ended::Declined(decline) => {
            HandlerError::do_not_retry(format!("declined: {}", decline.code)).with_detail(decline.message)
        }
        Ended::NotDone => HandlerError::do_not_retry("nothing was done, and nothing more will be sent"),
        Ended::Flagged(why) => HandlerError::do_not_retry(format!("somebody has to look at it: {why}")),
        Ended::Cancelled => HandlerError::do_not_retry("the job has an outcome already"),
        Ended::NotOurs => {
            HandlerError::do_not_retry("the job was not made for this payment: payments are made through /v1/payments")
        }
        // Told as a success before.
        Ended::Succeeded { .. } => HandlerError::retry("it has succeeded"),
    }
}

/// The payload of a reconciliation. All of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reconciliation {
    /// How far back the provider's lists are read.
    hours: Option<u64>,
    /// How many open operations are looked up.
    limit: Option<u64>,
}

async fn reconcile(context: JobContext, wanted: Option<Reconciliation>) -> Result<Reconciled, HandlerError> {
    let (books, provider) = (context.data::<Arc<dyn Books>>()?, context.data::<Arc<HttpProvider>>()?);
    let wanted = wanted.unwrap_or_default();
    let back = Duration::from_secs(wanted.hours.unwrap_or(SINCE_HOURS).saturating_mul(3_600));
    let since = context.now().as_ms().saturating_sub(i64::try_from(back.as_millis()).unwrap_or(i64::MAX)).max(0);
    let (since, limit) = (Timestamp::from_ms(since), wanted.limit.unwrap_or(LIMIT));
    Ok(payment::reconcile(&**books, &**provider, &Rules::default(), since, limit).await?)
}
