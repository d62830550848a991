//! `/log`: what this process logs, shown and changed while it runs. Every role serves it beside `/metrics`; with the admin key.
//!
//! What a filter means, and what none may reveal, is not known here: that is [`LogFilter`]'s to say.

use crate::{
    fields::{Fields, pointer_of},
    json,
    problem::{FieldError, Problem, ProblemType},
    query::Query,
    reader::Reader,
    routes,
};
use axum::response::Response;
use haul_core::{Span, Timestamp};
use http::StatusCode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Bytes of a change: of the directives, and a little around them.
pub(crate) const BODY_BYTES_MAX: usize = 8_192;
/// Nesting of a change's body; it has none.
const DEPTH_MAX: usize = 4;
/// How long a change for a while may last: a day.
const LASTING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// ... at least.
const LASTING_MIN: Duration = Duration::from_secs(1);

/// The filter of a process's logs.
pub trait LogFilter: Send + Sync {
    /// What is let through.
    fn show(&self) -> Result<LogState, LogRefusal>;
    /// Lets through what these directives say, from now on, or for a while: then the configured filter returns by itself.
    /// When it fails nothing has changed.
    fn set(&self, directives: &str, lasting: Option<Duration>) -> Result<LogState, LogRefusal>;
    /// The configured filter again.
    fn reset(&self) -> Result<LogState, LogRefusal>;
}

/// What is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Log)]
pub struct LogState {
    /// The filter, as directives.
    #[schema(examples("haul_worker=debug,info"))]
    pub filter: String,
    /// What `log.filter` says, which a restart returns to.
    #[schema(examples("info"))]
    pub configured: String,
    /// When the configured filter returns by itself; null: it does not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Why a filter is not shown or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRefusal {
    /// The program that Haul is a part of does its logging by itself.
    Foreign,
    /// What is wrong with the directives.
    Directives(String),
}

impl From<LogRefusal> for Problem {
    fn from(refusal: LogRefusal) -> Self {
        match refusal {
            LogRefusal::Foreign => Self::new(
                ProblemType::LogForeign,
                "this program has a subscriber of its own, which Haul does not change",
            ),
            LogRefusal::Directives(detail) => {
                Self::with_errors(ProblemType::InvalidRequest, vec![FieldError::new("/filter", detail)])
            }
        }
    }
}

/// `GET /log`.
pub(crate) fn show(filter: &dyn LogFilter, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    routes::json(StatusCode::OK, &filter.show()?)
}

/// `PUT /log`.
pub(crate) fn set(filter: &dyn LogFilter, query: Option<&str>, body: &[u8]) -> Result<Response, Problem> {
    Query::none(query)?;
    let (directives, lasting) = read(body)?;
    routes::json(StatusCode::OK, &filter.set(&directives, lasting)?)
}

/// `DELETE /log`.
pub(crate) fn reset(filter: &dyn LogFilter, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    routes::json(StatusCode::OK, &filter.reset()?)
}

/// Judges the body: everything that is wrong is told at once, but for what the directives say.
fn read(body: &[u8]) -> Result<(String, Option<Duration>), Problem> {
    // Nothing in here is a time.
    let mut reader = Reader::new("", Timestamp::default());
    let Fields::Object(members) = Fields::parse(body, DEPTH_MAX)? else {
        reader.fail("", "must be an object such as {\"filter\": \"debug\", \"for\": \"15m\"}");
        return Err(reader.into_problem(ProblemType::InvalidRequest));
    };
    let (mut directives, mut lasting) = (None, None);
    for (name, value) in &members {
        match &**name {
            "filter" => directives = reader.text("/filter", value),
            "for" if *value == "null" => {}
            "for" => {
                lasting = span(value);
                if lasting.is_none() {
                    reader.fail("/for", "must be a duration from \"1s\" to \"24h\", such as \"15m\"");
                }
            }
            _ => reader.fail(&pointer_of(name), "is not a part of a change: filter and for are"),
        }
    }
    match directives {
        Some(directives) if reader.errors.is_empty() => return Ok((directives.into_owned(), lasting)),
        None if reader.errors.is_empty() => reader.fail(
            "/filter",
            "is needed: directives such as \"haul_worker=debug,info\"; DELETE /log returns to what is configured",
        ),
        _ => {}
    }
    Err(reader.into_problem(ProblemType::InvalidRequest))
}

fn span(value: &str) -> Option<Duration> {
    let span = json::as_string(value)?.parse::<Span>().ok()?.as_duration();
    (LASTING_MIN..=LASTING_MAX).contains(&span).then_some(span)
}
