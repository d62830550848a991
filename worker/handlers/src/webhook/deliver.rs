//! One delivery: a signed `POST` to one endpoint.

use super::{Stores, sign, unavailable};
use crate::{http_request::answer::retry_after, paced};
use haul_core::endpoints::{
    Delivered, Endpoint,
    jobs::{Delivery, DeliveryAttempt, FAILING_MAX},
};
use haul_outgoing::{Answer, Beyond, Call, CallError, Caps, Outgoing};
use haul_worker::{HandlerError, JobContext};
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use std::time::{Duration, Instant};

/// How long a receiver may take: long enough to store an event, too short to work on it.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 2 * 1_024;

pub(super) async fn deliver(context: JobContext, delivery: Delivery) -> Result<DeliveryAttempt, HandlerError> {
    let stores = context.data::<Stores>()?;
    let found = stores.endpoints.get(context.tenant(), delivery.endpoint).await.map_err(unavailable)?;
    let Some(endpoint) = found else { return Err(HandlerError::do_not_retry("the endpoint was deleted")) };
    if let Some(why) = endpoint.disabled {
        return Err(HandlerError::do_not_retry(format!("the endpoint is disabled: {}", why.as_str())));
    }
    let began = Instant::now();
    let sent = match prepared(&context, &endpoint, &delivery) {
        Ok((outgoing, call)) => {
            let pause = |answer: &Answer| retry_after(&answer.headers, context.now());
            paced(&context, outgoing, call, pause).await?
        }
        Err(error) => Err(error),
    };
    let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let delivered = match &sent {
        Ok(answer) if answer.status.is_success() => Delivered::Taken,
        Ok(answer) if answer.status == StatusCode::GONE => Delivered::Gone,
        _ => Delivered::Failed(FAILING_MAX),
    };
    report(stores, &endpoint, delivered).await;
    let attempt = DeliveryAttempt {
        status: sent.as_ref().ok().map(|answer| answer.status.as_u16()),
        latency_ms,
        answer: sent.as_ref().map(shown).unwrap_or_default(),
    };
    match sent {
        Ok(_) if delivered == Delivered::Taken => Ok(attempt),
        Ok(answer) => Err(refused(&context, &answer).with_detail(serde_json::to_string(&attempt)?)),
        Err(error) => Err(HandlerError::retry(error).with_detail(serde_json::to_string(&attempt)?)),
    }
}

fn prepared<'a>(
    context: &'a JobContext,
    endpoint: &Endpoint,
    delivery: &Delivery,
) -> Result<(&'a Outgoing, Call), CallError> {
    let outgoing = context.data::<Outgoing>().map_err(|error| unknown(endpoint, error))?;
    let body = delivery.body.get().as_bytes();
    let mut headers =
        sign::headers(delivery.event, context.now(), body, &endpoint.keys).map_err(|error| unknown(endpoint, error))?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let call = Call {
        headers,
        body: body.to_vec().into(),
        timeout: Some(ANSWER_MAX),
        caps: Caps { body_bytes_max: ANSWER_BYTES_MAX, beyond: Beyond::Cut },
        ..Call::new(Method::POST, outgoing.check(&endpoint.settings.url)?)
    };
    Ok((outgoing, call))
}

/// Nothing was sent, for a reason of our own.
fn unknown(endpoint: &Endpoint, error: impl std::error::Error + Send + Sync + 'static) -> CallError {
    CallError::NotSent { destination: format!("the endpoint {}", endpoint.id), source: Box::new(error) }
}

/// Tells the store what became of a delivery, unless it knows. It is no reason to fail: the next delivery tells it too.
async fn report(stores: &Stores, endpoint: &Endpoint, delivered: Delivered) {
    if delivered == Delivered::Taken && endpoint.failing_since.is_none() {
        return;
    }
    match stores.endpoints.report(&endpoint.tenant, endpoint.id, endpoint.version, delivered).await {
        Ok(None) => {}
        Ok(Some(why)) => {
            tracing::warn!(endpoint = %endpoint.id, why = why.as_str(), "an endpoint is disabled: nothing is delivered to it any more");
        }
        Err(error) => tracing::debug!(%error, "what became of a delivery could not be noted"),
    }
}

fn refused(context: &JobContext, answer: &Answer) -> HandlerError {
    let message = format!("the endpoint answered {}", answer.status);
    let asks_for_patience = matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    match retry_after(&answer.headers, context.now()) {
        _ if answer.status == StatusCode::GONE => HandlerError::do_not_retry(message),
        Some(wait) if asks_for_patience => HandlerError::retry_after(wait, message),
        _ => HandlerError::retry(message),
    }
}

fn shown(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
