//! Bodies of ordinary requests: whole, bounded in size and time.

use crate::problem::{Problem, ProblemType};
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::timeout;

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    pub(crate) time_max: Duration,
}

/// Reads the whole body. What is over the limit stays unread: [`crate::linger`] takes care that the client still gets
/// its answer.
pub(crate) async fn read(mut body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body has more than {} bytes", limits.bytes_max);
        Err(Problem::new(ProblemType::BodyTooLarge, detail))
    };
    if body.size_hint().lower() > limits.bytes_max as u64 {
        return too_large();
    }
    match timeout(limits.time_max, collect(&mut body, limits.bytes_max)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => too_large(),
        Ok(Err(error)) => Err(Problem::new(ProblemType::MalformedJson, "the body ended before its end").because(error)),
        Err(_elapsed) => Err(Problem::new(ProblemType::RequestTimeout, "the body did not arrive in time")),
    }
}

/// `None` when there is more than the limit.
async fn collect(body: &mut Body, bytes_max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + all.len() + data.len() > bytes_max {
            return Ok(None);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            // Most bodies are one frame and never get here.
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(Some(if all.is_empty() { first } else { all.freeze() }))
}
