//! Every error that the API answers, in one place: RFC 9457 problem+json.
//!
//! [`ProblemType`] is the whole list; `docs/problems.md` and the OpenAPI document are made from it, and a test keeps the
//! former fresh. A handler returns a [`Problem`]; it travels to the gate inside the response and is written down there,
//! once, together with the request's id. A 5xx shows nothing of the inside: its cause goes to the log, also there.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc};

/// What is the same for every problem of a type.
pub(crate) struct Spec {
    pub(crate) slug: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    /// What a client can do about it; empty when `detail` says all.
    pub(crate) hint: &'static str,
    /// For docs/problems.md: when it is answered.
    pub(crate) when: &'static str,
}

macro_rules! problem_types {
    ($($(#[$doc:meta])* $Name:ident = $slug:literal, $status:ident, $title:literal, $hint:literal, $when:literal;)*) => {
        /// The types of problems, in the order of their statuses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ProblemType { $($(#[$doc])* $Name,)* }

        impl ProblemType {
            /// All of them, in the order of the documentation.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$Name,)*];

            /// What is the same for every problem of this type.
            pub(crate) const fn spec(self) -> Spec {
                match self {
                    $(Self::$Name => Spec {
                        slug: $slug,
                        status: StatusCode::$status,
                        title: $title,
                        hint: $hint,
                        when: $when,
                    },)*
                }
            }
        }
    };
}

problem_types! {
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not acceptable JSON", "",
        "The body, or one line of a bulk request, is not I-JSON (RFC 7493): broken, empty, followed by more text, with a byte \
         order mark, not UTF-8, nested deeper than `api.depth_max`, with a name twice in one object, with half of a surrogate \
         pair, or with a number beyond a double's range. `detail` names the place.";
    InvalidQuery = "invalid-query", BAD_REQUEST, "The query is not acceptable", "",
        "A query parameter is unknown, given twice or has a value that is not accepted. `errors` lists each; its `pointer` is \
         `?` and the parameter's name.";
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "The cursor is not one of this list",
        "Start again without a cursor, and pass next_cursor back unchanged, with the same filters.",
        "A cursor was changed, shortened, or made by a list with other filters. A cursor also ends when the admin key changes.";
    InvalidHeader = "invalid-header", BAD_REQUEST, "A header is not acceptable", "",
        "A header that the API reads is empty, too long, given twice or holds characters that are not allowed; or an \
         `Idempotency-Key` came with a batch or bulk request, where each item carries its own `idempotency_key`.";
    InvalidPath = "invalid-path", BAD_REQUEST, "The path holds what is no id or name", "",
        "A job's id in the path is no UUID in the form of 36 characters, or a queue's or a schedule's name is outside of the \
         alphabet for names.";
    UntrustedEvent = "untrusted-event", BAD_REQUEST, "The event is not known to be the provider's",
        "Sign with the secret that payments.webhook_secret names, and keep the clocks in step.",
        "`POST /v1/payments/webhook` only: `payments.webhook_secret` is not set, or `Stripe-Signature` is missing, cannot be read, was made more than five minutes ago, or is \
         not of this body and our secret. Nothing was taken in.";
    Unauthorized = "unauthorized", UNAUTHORIZED, "The request carries no valid key",
        "Send `Authorization: Bearer <key>`.",
        "`admin_key` is set, and the request under `/v1`, or to `/log`, did not carry it.";
    NotLocal = "not-local", FORBIDDEN, "Without a key the API serves this machine only",
        "Set HAUL_ADMIN_KEY, then any name and origin will do.",
        "No `admin_key` is set, and the request's `Host` or `Origin` names another machine: a web page in a browser here could \
         otherwise use the API. Or the request is to `/log` where `--ops-listen` lets other machines in.";
    NotFound = "not-found", NOT_FOUND, "There is nothing at this path", "See /openapi.json for all paths.",
        "The path is none of the API's.";
    JobNotFound = "job-not-found", NOT_FOUND, "There is no such job", "",
        "No job has this id, it is kept no longer, or it is not yours.";
    PaymentNotFound = "payment-not-found", NOT_FOUND, "There is no such payment", "",
        "No payment has this id, or it is not yours.";
    QueueNotFound = "queue-not-found", NOT_FOUND, "There is no such queue", "A queue exists from its first job on.",
        "No job was ever submitted to a queue of this name.";
    ScheduleNotFound = "schedule-not-found", NOT_FOUND, "There is no such schedule", "",
        "No schedule has this name, or it is not yours.";
    EndpointNotFound = "endpoint-not-found", NOT_FOUND, "There is no such endpoint", "",
        "No endpoint has this id, it was deleted, or it is not yours.";
    DestinationNotFound = "destination-not-found", NOT_FOUND, "Nothing is known of this destination",
        "A destination is known from the first call to it on: `GET /v1/destinations` lists them.",
        "No job has called this destination of late: one that nobody calls is forgotten after an hour or two.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The path does not take this method", "",
        "The path exists, the method does not. The header `Allow` lists those that do.";
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request's body did not arrive in time", "",
        "The body took longer than `api.request_timeout`. Nothing was accepted.";
    JobEnded = "job-ended", CONFLICT, "The job has ended", "",
        "A job that has an outcome cannot be cancelled: the outcome stays.";
    PaymentUnderWay = "payment-under-way", CONFLICT, "The payment is under way at the provider",
        "Wait for the job's outcome; then refund the payment.",
        "A job of a payment can be cancelled until its first request to the provider. From then on it goes on until it is known \
         what became of the money.";
    JobNotEnded = "job-not-ended", CONFLICT, "The job has not ended yet", "Cancel it first, or wait for its outcome.",
        "Only a job that has an outcome can be run again.";
    JobErased = "job-erased", CONFLICT, "The job's payload was erased", "Submit a new job with the payload that it is to have.",
        "Maintenance has erased the payload (`maintenance.payload_days`): there is nothing that could be run again.";
    PaymentState = "payment-state", CONFLICT, "The payment does not allow this now", "Read the payment: its state says what is possible.",
        "A capture of a payment that holds nothing, a refund of one of which nothing is left, or more operations than a payment may have.";
    IdempotencyKeyInUse = "idempotency-key-in-use", CONFLICT, "A request with this key is under way",
        "Send the same request again after the time in Retry-After.",
        "Another request with the same `Idempotency-Key` is being committed at this moment.";
    ScheduleExists = "schedule-exists", CONFLICT, "There is a schedule of this name",
        "Change it with PUT /v1/schedules/{name}, or choose another name.",
        "The name of a schedule is unique, and another schedule has this one.";
    AuditUnderWay = "audit-under-way", CONFLICT, "An audit is under way",
        "Send the request again after the time in Retry-After.",
        "One audit at a time is run on demand, and another client's is not done yet.";
    LogForeign = "log-foreign", CONFLICT, "Haul does not do this program's logging",
        "Change the filter of the program's own subscriber.",
        "`/log` only: the program that Haul is a part of has installed a subscriber of its own, and `log.filter` means nothing.";
    ScheduleChanged = "schedule-changed", PRECONDITION_FAILED, "The schedule is not as it was",
        "Read it again and decide anew.",
        "`If-Match` names a version that is not the current one: somebody changed, paused, resumed or recreated the schedule since \
         it was read. Nothing was done.";
    EndpointChanged = "endpoint-changed", PRECONDITION_FAILED, "The endpoint is not as it was",
        "Read it again and decide anew.",
        "`If-Match` names a version that is not the current one: somebody changed the endpoint since it was read, or it was \
         disabled. Nothing was done.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Use POST /v1/jobs/bulk for many jobs; it has no limit on the body.",
        "The body, or one line of a bulk request, is larger than `api.body_bytes_max`.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not supported", "",
        "`Content-Type` is missing or not `application/json` (bulk: `application/x-ndjson`), its charset is not UTF-8, or \
         `Content-Encoding` is anything but `identity`.";
    InvalidRequest = "invalid-request", UNPROCESSABLE_ENTITY, "The request does not describe what can be done", "",
        "The JSON is fine, the data is not: a field is missing, unknown, of the wrong type or out of its range. `errors` lists \
         each with a JSON pointer (RFC 6901) into the request.";
    InvalidSchedule = "invalid-schedule", UNPROCESSABLE_ENTITY, "The request does not describe a schedule",
        "POST /v1/schedules/preview shows when an expression fires; docs/schedules.md explains each field.",
        "The JSON is fine, the schedule is not: an expression that cannot be read or never fires, an unknown time zone, a field that \
         is missing, unknown, of the wrong type or out of its range. `errors` lists each with a JSON pointer (RFC 6901) into the \
         request, the reason and the accepted form.";
    CardNumber = "card-number", UNPROCESSABLE_ENTITY, "Card numbers are not taken", "Send the provider's token for the card instead.",
        "Something in a payment's request looks like a card's number. It was neither stored nor logged, and is not repeated here.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The key came with another request before",
        "Use a new key for a new request.",
        "The same `Idempotency-Key` was used for a different request within `api.idempotency_lifetime`.";
    LimitReached = "limit-reached", UNPROCESSABLE_ENTITY, "A limit on queues, kinds, schedules or endpoints is reached", "",
        "The job would create one queue, or one kind in its queue, more than are allowed; or there are as many schedules as \
         `api.schedules_max` allows, or 500 endpoints.";
    JobRefused = "job-refused", UNPROCESSABLE_ENTITY, "The ledger refuses the job", "",
        "The store cannot hold this one job. Others of the same batch are not affected.";
    PreconditionRequired = "precondition-required", PRECONDITION_REQUIRED, "The request must say what it is a change of",
        "Send the ETag of what is to be changed as If-Match, or `If-Match: *` to change it whatever it is.",
        "A change without `If-Match` could undo what somebody else has just changed.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side",
        "Report the request_id.",
        "A defect. The log holds the cause under the `request_id`.";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too much is under way",
        "Send the request again after the time in Retry-After.",
        "As much waits for its commit, or for an outcome, as may wait. Nothing of the request was accepted.";
    LedgerUnavailable = "ledger-unavailable", SERVICE_UNAVAILABLE, "The ledger does not answer",
        "Send the request again after the time in Retry-After, with an Idempotency-Key so that it is accepted once.",
        "The ledger could not be reached for a while. Whether a job was accepted is unknown; with an `Idempotency-Key` it is \
         safe to send it again.";
    DispatchUnavailable = "dispatch-unavailable", SERVICE_UNAVAILABLE, "The dispatch does not answer", "",
        "Which jobs are running is known to the dispatch only, and it cannot be reached.";
    PaceUnavailable = "pace-unavailable", SERVICE_UNAVAILABLE, "The store of pace does not answer",
        "Send the request again after the time in Retry-After.",
        "What workers know of destinations together is kept beside the dispatch, and cannot be reached. Each worker counts for itself \
         meanwhile.";
    Timeout = "timeout", SERVICE_UNAVAILABLE, "The request took too long",
        "Send the request again, with an Idempotency-Key so that it is accepted once.",
        "The request was not done within `api.request_timeout`. What it asked for may still happen.";
    NotReady = "not-ready", SERVICE_UNAVAILABLE, "The process is not ready", "",
        "`/readyz` only: a check fails; `checks` names each.";
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer into the request, or `?` and a query parameter's name.
    #[schema(examples("/priority"))]
    pub(crate) pointer: String,
    /// What is wrong there, and what is accepted.
    #[schema(examples("must be a whole number from 0 to 9"))]
    pub(crate) detail: Cow<'static, str>,
}

impl FieldError {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Things wrong with one request that are listed; the rest is cut.
const ERRORS_MAX: usize = 100;

/// An error to be answered.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemType,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Seconds after which a refused request may well succeed.
const RETRY_AFTER_SECS: &str = "1";

impl Problem {
    /// A problem with what is particular about it.
    pub(crate) fn new(kind: ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// A request with things wrong in it.
    pub(crate) fn with_errors(kind: ProblemType, mut errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}", one.pointer, one.detail),
            many => format!("{} things are wrong; see errors", many.len()),
        };
        errors.truncate(ERRORS_MAX);
        Self { kind, detail: detail.into(), errors, cause: None }
    }

    /// A defect, or a call that failed for good. The cause is logged, never shown.
    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(ProblemType::Internal, "the request could not be carried out") }
    }

    /// The same problem, with a cause for the log.
    #[must_use]
    pub(crate) fn because(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.kind.spec().status
    }

    /// The cause, with its own causes, for the log.
    pub(crate) fn cause(&self) -> Option<String> {
        let mut error: &dyn std::error::Error = self.cause.as_deref()?;
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            text = format!("{text}: {source}");
            error = source;
        }
        Some(text)
    }

    /// What a client reads.
    pub(crate) fn body<'a>(&'a self, request_id: &'a str) -> ProblemBody<'a> {
        let spec = self.kind.spec();
        ProblemBody {
            kind: format!("/problems/{}", spec.slug),
            title: spec.title,
            status: spec.status.as_u16(),
            detail: &self.detail,
            request_id,
            hint: (!spec.hint.is_empty()).then_some(spec.hint),
            errors: &self.errors,
        }
    }

    /// The answer as it goes out.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.may_be_repeated() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
        }
        if self.kind == ProblemType::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn may_be_repeated(&self) -> bool {
        let passes = matches!(self.kind, ProblemType::IdempotencyKeyInUse | ProblemType::AuditUnderWay);
        self.status() == StatusCode::SERVICE_UNAVAILABLE || passes
    }
}

/// A problem as clients read it (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// The type: a path under which the documentation explains it.
    #[serde(rename = "type")]
    #[schema(examples("/problems/invalid-request"))]
    kind: String,
    /// The type, for people.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The request's id, as in the header `X-Request-Id`.
    request_id: &'a str,
    /// What to do about it, where that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// Each thing that is wrong, where there may be several.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// Carries the problem to the gate, which renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<crate::json::Fault> for Problem {
    fn from(fault: crate::json::Fault) -> Self {
        Self::new(ProblemType::MalformedJson, fault.to_string())
    }
}

impl From<haul_core::ledger::LedgerError> for Problem {
    fn from(error: haul_core::ledger::LedgerError) -> Self {
        use haul_core::ledger::LedgerError;
        match error {
            LedgerError::Unavailable(_) | LedgerError::Contended(_) => {
                Self::new(ProblemType::LedgerUnavailable, "the ledger did not answer").because(error)
            }
            LedgerError::LimitReached(detail) => Self::new(ProblemType::LimitReached, detail),
            LedgerError::Refused(_) | LedgerError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<haul_core::dispatch::DispatchError> for Problem {
    fn from(error: haul_core::dispatch::DispatchError) -> Self {
        Self::new(ProblemType::DispatchUnavailable, "the dispatch did not answer").because(error)
    }
}

impl From<haul_core::pace::PaceError> for Problem {
    fn from(error: haul_core::pace::PaceError) -> Self {
        Self::new(ProblemType::PaceUnavailable, "the store of pace did not answer").because(error)
    }
}

/// The text of docs/problems.md.
#[cfg(test)]
fn document() -> String {
    let mut text = String::from(
        "# Problems\n\n\
         Every error of the API is `application/problem+json` (RFC 9457). Its `type` is `/problems/` and one of the names \
         below. This page is made from `api/src/problem.rs`; a test keeps it fresh.\n",
    );
    for kind in ProblemType::ALL {
        text.push('\n');
        text.push_str(&section(*kind));
    }
    text
}

/// The documentation of one type.
pub(crate) fn section(kind: ProblemType) -> String {
    let Spec { slug, status, title, hint, when } = kind.spec();
    let hint = if hint.is_empty() { String::new() } else { format!("\nHint: {hint}\n") };
    format!("## {slug}\n\n{status} · **{title}**\n\n{when}\n{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/problems.md");

    #[test]
    fn the_documentation_lists_every_problem_as_it_is() {
        let written = std::fs::read_to_string(PATH).unwrap_or_default();
        let advice = "docs/problems.md is stale: cargo test -p haul-api -- --ignored write_the_documentation";
        assert_eq!(written, document(), "{advice}");
    }

    #[test]
    #[ignore = "writes docs/problems.md"]
    fn write_the_documentation() {
        std::fs::write(PATH, document()).unwrap();
    }

    #[test]
    fn each_problem_has_its_own_name_and_an_error_status() {
        for (n, kind) in ProblemType::ALL.iter().enumerate() {
            let spec = kind.spec();
            assert!(spec.status.is_client_error() || spec.status.is_server_error(), "{}", spec.slug);
            assert!(ProblemType::ALL[..n].iter().all(|other| other.spec().slug != spec.slug), "{} twice", spec.slug);
        }
    }

    #[test]
    fn a_5xx_shows_no_cause_but_keeps_it_for_the_log() {
        let problem = Problem::internal("relation \"haul.job\" does not exist");
        assert!(!serde_json::to_string(&problem.body("r")).unwrap().contains("relation"));
        assert!(problem.cause().unwrap().contains("relation"));
    }
}
