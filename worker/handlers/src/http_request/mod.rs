//! `http.request`: performs one HTTP request; its answer becomes the result.
//!
//! The payload is `{method, url, headers, body}`, the result `{status, headers, body, truncated}`. 2xx succeeds. 5xx, 408,
//! 429 and network errors are retried, not before a `Retry-After` says. Everything else is final: other 4xx, and 3xx too, as
//! redirects are not followed. The client is the guarded one of [`haul_outgoing`]. Header values and bodies are never
//! logged. A destination that fails, hangs or asks for a pause is left alone by all workers, and its jobs wait without using up
//! attempts: see [`paced`]. A header's value may be `{"secret": "name"}`; an answer that echoes the secret is kept without it.
//!
//! Each request carries `Idempotency-Key: <job id>`, the same in every attempt, unless the payload's headers set their own: a
//! server that honours it applies the request once, however often it has to be sent.

pub(crate) mod answer;
mod request;

use crate::{paced, unanswered::no_answer};
use haul_outgoing::{Answer, Call, Outgoing, Secrets};
use haul_worker::{HandlerError, JobContext};
use http::{HeaderValue, StatusCode, header::InvalidHeaderValue};
use request::{NoCall, Request};
use std::time::Duration;

/// Bytes of an unsuccessful answer that are kept as the error's detail.
const DETAIL_BYTES_MAX: usize = 4 * 1_024;
/// The header by which a server knows a request that was sent before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) async fn perform(context: JobContext, request: Request) -> Result<answer::Shown, HandlerError> {
    let outgoing = context.data::<Outgoing>()?;
    let bytes_max = context.result_bytes_max();
    let (mut call, redaction) =
        request.build(outgoing, context.data::<Secrets>()?, bytes_max).await.map_err(no_call)?;
    sign(&mut call, &context.job_id().to_string())?;
    let pause = |answer: &Answer| answer::retry_after(&answer.headers, context.now());
    let mut answer = paced(&context, outgoing, call, pause).await?.map_err(no_answer)?;
    if answer.status.is_success() {
        return Ok(answer::show(&answer, &redaction, bytes_max)?);
    }
    let wait = pause(&answer);
    if answer.body.len() > DETAIL_BYTES_MAX {
        answer.body.truncate(DETAIL_BYTES_MAX);
        answer.truncated = true;
    }
    Err(unsuccessful(answer.status, wait).with_detail(answer::text(&answer, &redaction)))
}

fn no_call(why: NoCall) -> HandlerError {
    match why {
        NoCall::Fault(fault) => HandlerError::do_not_retry(fault.message),
        // An operator may set it meanwhile.
        NoCall::Secret(error) => HandlerError::retry(error),
    }
}

/// Adds the idempotency key, unless the request has one.
fn sign(call: &mut Call, key: &str) -> Result<(), InvalidHeaderValue> {
    let key = HeaderValue::try_from(key)?;
    call.headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    Ok(())
}

fn unsuccessful(status: StatusCode, wait: Option<Duration>) -> HandlerError {
    let message = format!("the server answered {status}");
    let is_temporary =
        status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    match wait {
        _ if status.is_redirection() => HandlerError::do_not_retry(format!("{message}; redirects are not followed")),
        _ if !is_temporary => HandlerError::do_not_retry(message),
        Some(wait) => HandlerError::retry_after(wait, message),
        None => HandlerError::retry(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;
    use http::Method;

    #[test]
    fn a_request_carries_its_job_as_idempotency_key_unless_it_has_its_own() {
        let outgoing = Outgoing::new(&Config::defaults().outgoing).unwrap();
        let mut call = Call::new(Method::GET, outgoing.check("http://a/").unwrap());
        sign(&mut call, "the-job").unwrap();
        assert_eq!(call.headers[IDEMPOTENCY_KEY], "the-job");
        sign(&mut call, "another").unwrap();
        assert_eq!(call.headers[IDEMPOTENCY_KEY], "the-job");
    }
}
