//! An event becomes deliveries.

use super::{Stores, delivery, unavailable};
use haul_core::endpoints::{ENDPOINTS_MAX, jobs::Event};
use haul_worker::{HandlerError, JobContext};
use serde::Serialize;
use serde_json::value::RawValue;

/// The result.
#[derive(Serialize)]
pub(super) struct FannedOut {
    /// Endpoints that it goes to: each has a job of its own.
    deliveries: usize,
}

/// Accepts a delivery for each endpoint that is enabled and wants the event, together with the success of this attempt.
pub(super) async fn fan_out(context: JobContext, body: Box<RawValue>) -> Result<FannedOut, HandlerError> {
    let event: Event<'_> = serde_json::from_str(body.get()).map_err(HandlerError::do_not_retry)?;
    let stores = context.data::<Stores>()?;
    let endpoints = stores.endpoints.list(context.tenant(), None, ENDPOINTS_MAX).await.map_err(unavailable)?;
    let mut deliveries = 0;
    for endpoint in endpoints {
        if endpoint.disabled.is_none() && endpoint.settings.wants(&event.r#type) {
            context.enqueue(delivery(endpoint.id, context.job_id(), event.r#type.as_str(), body.clone()))?;
            deliveries += 1;
        }
    }
    Ok(FannedOut { deliveries })
}
