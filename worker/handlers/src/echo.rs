//! `echo`: its result is its payload. For trying things out.
//!
//! In the payload `"sleep": "20ms"` makes it take that long, `"fail": 2` makes the first two attempts fail, and
//! `"fail": true` all of them.

use haul_core::Span;
use haul_worker::{HandlerError, JobContext};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize, Default)]
struct Wishes {
    sleep: Option<Span>,
    fail: Option<Fail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fail {
    Always(bool),
    First(u32),
}

pub(super) async fn echo(context: JobContext, payload: Box<RawValue>) -> Result<Box<RawValue>, HandlerError> {
    let wishes = wishes(&payload)?;
    if let Some(sleep) = wishes.sleep {
        tokio::time::sleep(sleep.as_duration()).await;
    }
    match wishes.fail {
        Some(Fail::Always(true)) => Err(HandlerError::retry("asked to fail")),
        Some(Fail::First(attempts)) if context.attempt() <= attempts => {
            Err(HandlerError::retry(format!("asked to fail, attempt {} of {attempts}", context.attempt())))
        }
        _ => Ok(payload),
    }
}

/// Most payloads hold no wish, and then their fields are anybody's.
fn wishes(payload: &RawValue) -> Result<Wishes, HandlerError> {
    let text = payload.get();
    let may_hold_wishes = text.starts_with('{') && (text.contains("\"sleep\"") || text.contains("\"fail\""));
    if !may_hold_wishes {
        return Ok(Wishes::default());
    }
    serde_json::from_str(text).map_err(|_| {
        HandlerError::do_not_retry(
            "`sleep` must be a duration such as \"20ms\", and `fail` a number of attempts or true",
        )
    })
}
