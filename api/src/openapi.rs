//! The OpenAPI document: what is common to all operations, and the shapes that requests take.
//!
//! Requests are read by hand (see [`crate::submit`]), so that their shapes are declared here for the document alone; a
//! test submits the examples. Answers are documented by the types that are written.

use crate::problem::ProblemType;
use bytes::Bytes;
use std::collections::BTreeMap;
use utoipa::{OpenApi, ToSchema, openapi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Haul",
        description = "A job-queue and background-worker platform. A job accepted is a job done, once, and you can see it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "jobs", description = "Submit jobs, look at them, cancel them, run them again."),
        (name = "payments", description = "Payments: charged, captured and refunded once at a provider."),
        (name = "queues", description = "Where jobs wait."),
        (name = "workers", description = "Who is alive to run them."),
        (name = "destinations", description = "Whom jobs call, and who is left alone just now."),
        (name = "schedules", description = "Jobs that are accepted again and again, by the clock."),
        (name = "webhooks", description = "Endpoints, and the events that are delivered to them (Standard Webhooks)."),
        (name = "ops", description = "Probes and metrics, which need no key, and the audit, which does."),
    ),
    components(schemas(crate::problem::ProblemBody, crate::view::BulkTotal)),
    modifiers(&Key),
)]
struct Document;

struct Key;

impl utoipa::Modify for Key {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let bearer = openapi::security::HttpBuilder::new()
            .scheme(openapi::security::HttpAuthScheme::Bearer)
            .description(Some("Needed when an admin key is configured."))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("key", openapi::security::SecurityScheme::Http(bearer));
        let none: [&str; 0] = [];
        document.security = Some(vec![
            openapi::security::SecurityRequirement::new("key", none),
            openapi::security::SecurityRequirement::default(),
        ]);
    }
}

/// The document without its operations: the router adds those.
pub(crate) fn base() -> openapi::OpenApi {
    Document::openapi()
}

/// The whole document, written down: with the types of problems listed in their schema.
pub(crate) fn write(mut document: openapi::OpenApi) -> Result<Bytes, String> {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let problem = schemas.and_then(|schemas| schemas.get_mut("Problem"));
    if let Some(openapi::RefOr::T(openapi::Schema::Object(problem))) = problem
        && let Some(openapi::RefOr::T(openapi::Schema::Object(kind))) = problem.properties.get_mut("type")
    {
        let types = ProblemType::ALL.iter().map(|kind| format!("/problems/{}", kind.spec().slug).into());
        kind.enum_values = Some(types.collect());
    }
    document.to_json().map(Bytes::from).map_err(|error| error.to_string())
}

/// A job to be done. Unknown fields are refused; optional ones may be null.
#[derive(ToSchema)]
#[schema(example = json!({
    "kind": "http.request",
    "payload": {"method": "POST", "url": "https://example.com/hook", "body": {"order": 7}},
    "queue": "mail",
    "delay": "30s",
    "max_attempts": 5,
    "tags": {"order": "7"}
}))]
#[expect(dead_code, reason = "documents what crate::submit reads")]
pub(crate) struct Submit {
    /// Which handler runs it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples("http.request"))]
    kind: String,
    /// Any JSON, kept byte for byte; at most 256 KiB.
    payload: serde_json::Value,
    /// Where it waits; `default` unless told otherwise.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    queue: Option<String>,
    /// 0 first, 9 last; 5 unless told otherwise.
    #[schema(maximum = 9)]
    priority: Option<u8>,
    /// The earliest time of its first attempt (RFC 3339, with an offset). Excludes `delay`.
    #[schema(format = DateTime)]
    run_at: Option<String>,
    /// How long from now its first attempt may start, such as `30s`. Excludes `run_at`.
    delay: Option<String>,
    /// No attempt starts after this time, and none runs past it (RFC 3339, with an offset).
    #[schema(format = DateTime)]
    deadline: Option<String>,
    /// Attempts in all, the first one included; 20 unless told otherwise.
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<u16>,
    /// How long one attempt may take, such as `5m`; up to `24h`.
    timeout: Option<String>,
    /// When failed attempts are tried again.
    retry: Option<SubmitRetry>,
    /// Marks to find jobs by: up to 16 names with a value each.
    tags: Option<BTreeMap<String, String>>,
    /// In a batch or bulk request only: makes repeating this job safe. Up to 255 visible ASCII characters.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}

/// When failed attempts are tried again: exponential backoff with full jitter.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what crate::submit reads")]
struct SubmitRetry {
    /// The upper bound of the first pause; doubled after each failure. `1s` unless told otherwise.
    base: Option<String>,
    /// The longest pause; `1h` unless told otherwise.
    cap: Option<String>,
    /// No retry starts later than this after `run_at`; `7days` unless told otherwise.
    max_age: Option<String>,
}

/// Many jobs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what the batch route reads")]
pub(crate) struct BatchSubmit {
    /// The jobs.
    #[schema(min_items = 1, max_items = 10000)]
    jobs: Vec<Submit>,
}

/// Which jobs to cancel: those that match every given filter. At least one is needed.
#[derive(ToSchema)]
#[schema(example = json!({"queue": "mail", "tag": "order:7"}))]
#[expect(dead_code, reason = "documents what the cancel route reads")]
pub(crate) struct CancelFilter {
    /// Only of this queue.
    queue: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only with this tag, written `name:value`.
    tag: Option<String>,
    /// Accepted at or after this time (RFC 3339).
    #[schema(format = DateTime)]
    created_from: Option<String>,
    /// Accepted before this time (RFC 3339).
    #[schema(format = DateTime)]
    created_before: Option<String>,
    /// Jobs to cancel at most.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the answer before; with the same filters.
    cursor: Option<String>,
}

/// What to change of a queue. What is not given, or null, stays as it is; at least one is needed.
#[derive(ToSchema)]
#[schema(example = json!({"slots": 4}))]
#[expect(dead_code, reason = "documents what the configure route reads")]
pub(crate) struct QueueChange {
    /// Whether it gives out nothing until it is resumed.
    paused: Option<bool>,
    /// Over how many slots of the dispatch it is split. Order is kept within a slot only.
    #[schema(minimum = 1, maximum = 64)]
    slots: Option<u16>,
}

/// What is to be logged from now on. Unknown fields are refused.
#[derive(ToSchema)]
#[schema(example = json!({"filter": "haul_worker=debug,info", "for": "15m"}))]
#[expect(dead_code, reason = "documents what the log route reads")]
pub(crate) struct LogChange {
    /// Directives: levels, and targets with theirs.
    filter: String,
    /// When the configured filter returns by itself: 1 second to 24 hours. Without, it does not.
    #[schema(rename = "for")]
    lasting: Option<String>,
}

/// A schedule to be created. Unknown fields are refused; optional ones may be null.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "nightly-report",
    "cron": "0 2 * * mon-fri",
    "timezone": "Europe/London",
    "missed": {"policy": "all", "max": 10, "max_age": "6h"},
    "overlap": "skip",
    "jitter": "5m",
    "job": {"kind": "report", "payload": {"format": "pdf"}, "queue": "reports", "tags": {"team": "billing"}}
}))]
#[expect(dead_code, reason = "documents what crate::schedule::read reads")]
pub(crate) struct ScheduleWish {
    /// Its name, unique among the tenant's.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples("nightly-report"))]
    name: String,
    /// Whether it waits to be resumed.
    paused: Option<bool>,
    #[serde(flatten)]
    change: ScheduleChange,
}

/// The definition of a schedule. Unknown fields are refused; optional ones may be null, and are as by default then.
#[derive(ToSchema)]
#[schema(example = json!({
    "every": "90s",
    "job": {"kind": "echo", "payload": {"hello": "world"}}
}))]
#[expect(dead_code, reason = "documents what crate::schedule::read reads")]
pub(crate) struct ScheduleChange {
    /// The file that it is kept in, by the file's own name. `haul schedules apply --prune` deletes what its file no longer has.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    source: Option<String>,
    /// What each of its jobs is made of.
    job: ScheduleJobWish,
    #[serde(flatten)]
    timing: crate::schedule::view::TimingView,
}

/// What each job of a schedule is made of: the fields of a submit that do not say when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what crate::schedule::read reads")]
pub(crate) struct ScheduleJobWish {
    /// Which handler runs it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples("http.request"))]
    kind: String,
    /// Any JSON, kept byte for byte; at most 256 KiB.
    payload: serde_json::Value,
    /// Where it waits; `default` unless told otherwise.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    queue: Option<String>,
    /// 0 first, 9 last; 5 unless told otherwise.
    #[schema(maximum = 9)]
    priority: Option<u8>,
    /// Attempts in all, the first one included; 20 unless told otherwise.
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<u16>,
    /// How long one attempt may take, such as `5m`; up to `24h`.
    timeout: Option<String>,
    /// When failed attempts are tried again.
    retry: Option<SubmitRetry>,
    /// Marks to find jobs by: up to 14 names with a value each. Two more come with each job.
    tags: Option<BTreeMap<String, String>>,
}

/// When a schedule that does not exist would fire, and how far to look. Unknown fields are refused.
#[derive(ToSchema)]
#[schema(example = json!({
    "cron": "30 1 * * *", "timezone": "America/New_York", "from": "2026-10-31T12:00:00Z", "count": 3
}))]
#[expect(dead_code, reason = "documents what crate::schedule::read reads")]
pub(crate) struct PreviewQuestion {
    /// Ticks after this time; after now unless told otherwise.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// How many ticks; 10 unless told otherwise.
    #[schema(minimum = 1, maximum = 100)]
    count: Option<u32>,
    #[serde(flatten)]
    timing: crate::schedule::view::TimingView,
}

/// An endpoint to be created. Unknown fields are refused; optional ones may be null.
#[derive(ToSchema)]
#[schema(example = json!({"url": "https://example.com/hooks", "description": "billing", "events": ["invoice.*"]}))]
#[expect(dead_code, reason = "documents what crate::endpoint::wish reads")]
pub(crate) struct EndpointWish {
    /// Where deliveries go: http or https, public unless the settings allow more.
    #[schema(max_length = 2048)]
    url: String,
    /// For people.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Which events it wants: types, or `words.*` for all that begin so; none: all.
    #[schema(max_items = 100)]
    events: Option<Vec<String>>,
}

/// What is to be different about an endpoint. Unknown fields are refused.
#[derive(ToSchema)]
#[schema(example = json!({"events": ["invoice.paid"], "enabled": true}))]
#[expect(dead_code, reason = "documents what crate::endpoint::wish reads")]
pub(crate) struct EndpointChange {
    /// Where deliveries go.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// For people.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Which events it wants.
    #[schema(max_items = 100)]
    events: Option<Vec<String>>,
    /// Whether events are delivered to it.
    enabled: Option<bool>,
}

/// How a secret is replaced.
#[derive(ToSchema)]
#[schema(example = json!({"overlap": "24h"}))]
#[expect(dead_code, reason = "documents what crate::routes::endpoints::rotate reads")]
pub(crate) struct Rotation {
    /// How long deliveries are signed with the old secret, too; `24h` unless told otherwise, up to `30days`.
    overlap: Option<String>,
}

/// Which deliveries are to be made again. Unknown fields are refused.
#[derive(ToSchema)]
#[schema(example = json!({"since": "2026-11-21T00:00:00Z", "state": "dead"}))]
#[expect(dead_code, reason = "documents what crate::routes::endpoints::replay reads")]
pub(crate) struct ReplayWish {
    /// Those that were accepted at or after this time.
    #[schema(format = DateTime)]
    since: String,
    /// Those that were accepted before this time; now unless told otherwise.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Those that ended so: `dead` unless told otherwise, `succeeded`, `cancelled` or `any`.
    state: Option<String>,
}

/// Something that happened. Unknown fields are refused.
#[derive(ToSchema)]
#[schema(example = json!({"type": "invoice.paid", "data": {"invoice": "in_1", "amount": 4200}}))]
#[expect(dead_code, reason = "documents what crate::routes::events reads")]
pub(crate) struct EventWish {
    /// What: words of letters, digits and `_` that are joined by dots.
    #[schema(pattern = "^[A-Za-z0-9_]+(\\.[A-Za-z0-9_]+)*$", max_length = 100)]
    r#type: String,
    /// When; now unless told otherwise.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// Any JSON, delivered byte for byte; at most 255 KiB.
    data: serde_json::Value,
}

/// A payment to be made. Unknown fields are refused; optional ones may be null.
#[derive(ToSchema)]
#[schema(example = json!({"amount": 1050, "currency": "EUR", "source": "pm_card_visa", "metadata": {"order": "7"}}))]
#[expect(dead_code, reason = "documents what the payments route reads")]
pub(crate) struct NewPayment {
    /// A whole number of the currency's minor units.
    #[schema(minimum = 1, maximum = 999_999_999_999_i64)]
    amount: i64,
    /// ISO 4217, in capitals.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
    /// The provider's token for whom or what to charge. Never a card's number.
    #[schema(min_length = 1, max_length = 255)]
    source: String,
    /// Whether the charge takes the money at once, as it does unless told otherwise; otherwise it is held until it is captured.
    capture: Option<bool>,
    /// For people; the provider is told, too.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Marks of your own: up to 20 names with a value each. The provider is told, too.
    metadata: Option<BTreeMap<String, String>>,
}

/// How much is captured or given back.
#[derive(ToSchema)]
#[schema(example = json!({"amount": 500}))]
#[expect(dead_code, reason = "documents what the payments routes read")]
pub(crate) struct PaymentAmount {
    /// Minor units; all that is left unless told otherwise.
    #[schema(minimum = 1)]
    amount: Option<i64>,
}
