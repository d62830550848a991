//! Headers that the API reads, read strictly.

use crate::{
    problem::{Problem, ProblemType},
    reader::key_fault,
};
use haul_core::trace::{TRACEPARENT, TraceContext};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::fmt::Write;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a request id that is taken over.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The one value of a header; `None` when it is missing, an error when it comes twice or is no visible ASCII.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let refuse = |what: &str| Problem::new(ProblemType::InvalidHeader, format!("{name} {what}"));
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refuse("is given twice"));
    }
    value.to_str().map(Some).map_err(|_| refuse("may hold only visible ASCII characters and spaces"))
}

/// The request's idempotency key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = one(headers, &IDEMPOTENCY_KEY)? else { return Ok(None) };
    match key_fault(key) {
        Some(fault) => Err(Problem::new(ProblemType::InvalidHeader, format!("{IDEMPOTENCY_KEY} {fault}"))),
        None => Ok(Some(key.to_owned())),
    }
}

/// Refuses a key for the whole request where each item has its own.
pub(crate) fn no_idempotency_key(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(IDEMPOTENCY_KEY) {
        let detail = "idempotency-key is for single submits; give each item its own idempotency_key";
        return Err(Problem::new(ProblemType::InvalidHeader, detail));
    }
    Ok(())
}

/// Makes sure that the body is of this type, in UTF-8.
pub(crate) fn content_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Problem> {
    let refuse = || Problem::new(ProblemType::UnsupportedMediaType, format!("send Content-Type: {expected}"));
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(refuse()) };
    let value = value.to_str().map_err(|_| refuse())?;
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !essence.trim().eq_ignore_ascii_case(expected) {
        return Err(refuse());
    }
    let is_utf8 = |parameter: &str| match parameter.trim().split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    if parameters.split(';').all(is_utf8) { Ok(()) } else { Err(refuse()) }
}

/// Bodies are read as they are: none may be compressed.
pub(crate) fn identity_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
        return Ok(());
    }
    Err(Problem::new(ProblemType::UnsupportedMediaType, "send the body without Content-Encoding"))
}

/// The request's id: the client's when it is harmless in a log, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_harmless = |value: &HeaderValue| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&value.len())
            && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b))
    };
    let mut given = headers.get_all(REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(value), None) if is_harmless(value) => value.clone(),
        _ => new_request_id(),
    }
}

/// The trace that the request belongs to. One that is malformed, or comes twice, is none: W3C Trace Context has it so.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    value.to_str().ok()?.parse().ok()
}

fn new_request_id() -> HeaderValue {
    let mut text = String::with_capacity(20);
    // Writing into a String cannot fail; were it to, the id would be shorter.
    if write!(text, "req_{:016x}", rand::random::<u64>()).is_err() {
        tracing::debug!("a request id could not be written");
    }
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("req"))
}
