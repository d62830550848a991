//! The handler that most tests use: gives back its payload, late or after failures when the payload says so.

use haul_worker::{HandlerError, JobContext, WorkerBuilder};
use serde_json::{Value, value::RawValue};

/// Adds the kind `echo`.
pub(crate) fn echoing(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("echo", echo)
}

async fn echo(context: JobContext, payload: Box<RawValue>) -> Result<Box<RawValue>, HandlerError> {
    let wishes: Value = serde_json::from_str(payload.get())?;
    if let Some(sleep) = wishes["sleep"].as_str() {
        let sleep: haul_core::Span = sleep.parse().map_err(|_| HandlerError::do_not_retry("no duration"))?;
        tokio::time::sleep(sleep.as_duration()).await;
    }
    match &wishes["fail"] {
        Value::Bool(true) => Err(HandlerError::retry("asked to fail")),
        Value::Number(attempts)
            if attempts.as_u64().is_some_and(|attempts| u64::from(context.attempt()) <= attempts) =>
        {
            Err(HandlerError::retry(format!("asked to fail, attempt {} of {attempts}", context.attempt())))
        }
        _ => Ok(payload),
    }
}
