//! `webhook.event`, `webhook.deliver` and `webhook.replay`: events, brought to those who want them.
//!
//! An event is a job; running it accepts a delivery for each endpoint that wants it, in the transaction of its success. A
//! delivery is a job: a `POST` of the event, signed as Standard Webhooks says, tried for three days. What each attempt met
//! is kept with its failure or result; what it means for the endpoint is reported to the store of endpoints, which disables
//! one that is gone or has failed for days.
//!
//! A receiver may get an event twice, and knows it by `webhook-id`. It is not promised that events come in order.

mod deliver;
mod fan_out;
mod replay;
mod sign;

use haul_core::{
    Endpoints, Ledger,
    endpoints::jobs::{DELIVER_KIND, EVENT_KIND, REPLAY_KIND},
};
use haul_worker::{HandlerError, NewJob, WorkerBuilder};
use serde_json::value::RawValue;
use std::sync::Arc;

/// The stores that webhooks need, among the data of a worker.
#[derive(Clone)]
struct Stores {
    endpoints: Arc<dyn Endpoints>,
    ledger: Arc<dyn Ledger>,
}

/// Adds the kinds of webhooks to a worker that has the built-in kinds.
#[must_use]
pub fn webhooks(builder: WorkerBuilder, endpoints: Arc<dyn Endpoints>, ledger: Arc<dyn Ledger>) -> WorkerBuilder {
    builder
        .data(Stores { endpoints, ledger })
        .handler(EVENT_KIND, fan_out::fan_out)
        .handler(DELIVER_KIND, deliver::deliver)
        .handler(REPLAY_KIND, replay::replay)
        .resident(EVENT_KIND)
        .resident(DELIVER_KIND)
        .resident(REPLAY_KIND)
}

/// A delivery of an event to an endpoint.
fn delivery(
    endpoint: haul_core::endpoints::EndpointId,
    event: haul_core::JobId,
    event_type: &str,
    body: Box<RawValue>,
) -> NewJob {
    use haul_core::endpoints::jobs::{self, Delivery, ENDPOINT_TAG, EVENT_TAG, EVENT_TYPE_TAG};
    NewJob::new(DELIVER_KIND, &Delivery { endpoint, event, body })
        .retry(jobs::delivery_retry())
        .tag(ENDPOINT_TAG, endpoint.to_string())
        .tag(EVENT_TAG, event.to_string())
        .tag(EVENT_TYPE_TAG, event_type)
}

/// The store did not answer: later it will.
fn unavailable(error: haul_core::ledger::LedgerError) -> HandlerError {
    HandlerError::retry(error)
}
