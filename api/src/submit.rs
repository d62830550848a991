//! A submit: from its [`Fields`] to a [`Draft`], or to everything that is wrong with it.
//!
//! Strict: unknown fields are refused, every wrong field is reported at once, values are never echoed (they may be
//! secrets or card numbers). The payload is kept byte for byte. Optional fields may be `null`, which means "not given".
//! The same code reads a single submit, an element of a batch and a line of a bulk request.

use crate::{
    draft::{Draft, Rules, Start},
    fields::{Fields, pointer_of},
    problem::{Problem, ProblemType},
    reader::Reader,
};
use bytes::Bytes;
use haul_core::{
    JobOptions, Kind, Priority, Queue, Timestamp,
    limits::{AHEAD_MS_MAX, TAGS_MAX, TIMEOUT_MS_MAX},
    payment::OperationKind,
};
use std::{borrow::Cow, sync::Arc};

/// Where a submit came from: decides how errors point into it and whether it may carry a key of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The JSON pointer of the submit within its document.
    pub(crate) pointer: &'a str,
    /// Whether `idempotency_key` is a field here, as one of many submits in one request.
    pub(crate) takes_key: bool,
}

/// A submit that can be committed.
#[derive(Debug)]
pub(crate) struct Submit {
    pub(crate) draft: Draft,
    /// The item's own idempotency key.
    pub(crate) key: Option<String>,
}

/// Judges a submit: everything that is wrong is told at once.
pub(crate) fn read(fields: &Fields<'_>, place: Place<'_>, rules: &Rules, now: Timestamp) -> Result<Submit, Problem> {
    let mut reader = Reader::new(place.pointer, now);
    let Fields::Object(members) = fields else {
        reader.fail("", "must be an object");
        return Err(reader.into_problem(ProblemType::InvalidRequest));
    };
    let mut asked = Asked::new(rules, TAGS_MAX);
    let (mut run_at, mut delay) = (None, None);
    let mut key = None;
    for (name, value) in members {
        if asked.take(&mut reader, name, value) {
            continue;
        }
        let is_null = *value == "null";
        match &**name {
            _ if is_null && is_optional(name, place) => {}
            "run_at" => run_at = reader.time("/run_at", value),
            "delay" => delay = reader.span("/delay", value, 0, AHEAD_MS_MAX.unsigned_abs(), "\"0s\" and ten years"),
            "deadline" => asked.options.to_mut().deadline = reader.deadline(value),
            "idempotency_key" if place.takes_key => key = reader.key(value),
            "idempotency_key" => reader.fail("/idempotency_key", "belongs into the header Idempotency-Key here"),
            unknown => reader.fail(&pointer_of(unknown), "is not a field of a job"),
        }
    }
    asked.require(&mut reader, members);
    if place.takes_key {
        asked.refuse_payments(&mut reader);
    }
    let start = match (run_at, delay) {
        (Some(_), Some(_)) => {
            reader.fail("/delay", "excludes run_at: give one of them");
            Start::Now
        }
        (Some(time), None) => Start::At(time),
        (None, Some(delay)) => Start::In(delay),
        (None, None) => Start::Now,
    };
    check_order(&mut reader, start, &asked.options);
    if let (Some(kind), Some(payload)) = (&asked.kind, &asked.payload)
        && let Err(fault) = rules.refusals.judge_payload(kind, payload)
    {
        reader.fail(&format!("/payload{}", fault.pointer), fault.message);
    }
    let Asked { kind: Some(kind), payload: Some(payload), queue, priority, options, .. } = asked else {
        return Err(reader.into_problem(ProblemType::InvalidRequest));
    };
    if !reader.errors.is_empty() {
        return Err(reader.into_problem(ProblemType::InvalidRequest));
    }
    let options = match options {
        Cow::Borrowed(_) => rules.options.clone(),
        Cow::Owned(options) => Arc::new(options),
    };
    let draft = Draft { queue, kind, priority, start, payload, options }.traced();
    Ok(Submit { draft, key })
}

fn is_optional(name: &str, place: Place<'_>) -> bool {
    matches!(name, "run_at" | "delay" | "deadline") || (place.takes_key && name == "idempotency_key")
}

/// What is asked of a job whenever it runs: the fields that a submit and the job of a schedule have in common.
pub(crate) struct Asked<'r> {
    pub(crate) kind: Option<Kind>,
    pub(crate) payload: Option<Bytes>,
    pub(crate) queue: Queue,
    pub(crate) priority: Priority,
    pub(crate) options: Cow<'r, JobOptions>,
    payload_bytes_max: usize,
    tags_max: usize,
}

impl<'r> Asked<'r> {
    /// Nothing yet: all is as by default.
    pub(crate) fn new(rules: &'r Rules, tags_max: usize) -> Self {
        Self {
            kind: None,
            payload: None,
            queue: rules.queue.clone(),
            priority: rules.priority,
            options: Cow::Borrowed(&*rules.options),
            payload_bytes_max: rules.payload_bytes_max,
            tags_max,
        }
    }

    /// Reads a member, if it is one of these fields; tells whether it is.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, name: &str, value: &str) -> bool {
        let is_null = value == "null";
        match name {
            "payload" => self.payload = reader.payload(value, self.payload_bytes_max),
            "kind" => self.kind = reader.parse("/kind", value),
            "queue" | "priority" | "max_attempts" | "timeout" | "retry" | "tags" if is_null => {}
            "queue" => self.queue = reader.parse("/queue", value).unwrap_or_else(|| self.queue.clone()),
            "priority" => self.priority = reader.priority(value).unwrap_or(self.priority),
            "max_attempts" => {
                if let Some(attempts) = reader.attempts(value) {
                    self.options.to_mut().retry.max_attempts = attempts;
                }
            }
            "timeout" => {
                if let Some(timeout) = reader.span("/timeout", value, 1, TIMEOUT_MS_MAX, "\"1ms\" and \"24h\"") {
                    self.options.to_mut().timeout = timeout;
                }
            }
            "retry" => reader.retry(value, self.options.to_mut()),
            "tags" => reader.tags(value, self.tags_max, self.options.to_mut()),
            _ => return false,
        }
        true
    }

    /// Refuses an object without the fields that every job has.
    pub(crate) fn require(&self, reader: &mut Reader<'_>, members: &[(Cow<'_, str>, &str)]) {
        for (name, is_given) in [("kind", self.kind.is_some()), ("payload", self.payload.is_some())] {
            if !is_given && !members.iter().any(|(given, _)| given == name) {
                reader.fail(&format!("/{name}"), "is required");
            }
        }
    }

    /// Refuses a job that works on a payment, where nobody holds it against the books before it is accepted.
    pub(crate) fn refuse_payments(&self, reader: &mut Reader<'_>) {
        if self.kind.as_ref().is_some_and(|kind| OperationKind::of_job_kind(kind.as_str()).is_some()) {
            reader.fail(
                "/kind",
                "works on a payment: POST /v1/payments makes one, POST /v1/jobs takes another job for it",
            );
        }
    }
}

/// A job that cannot start before its deadline is a mistake.
fn check_order(reader: &mut Reader<'_>, start: Start, options: &JobOptions) {
    let Some(deadline) = options.deadline else { return };
    let start = match start {
        Start::Now => return,
        Start::At(time) => time,
        Start::In(delay) => reader.now.plus(delay.as_duration()),
    };
    if start >= deadline {
        reader.fail("/deadline", "is not after the job's first start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals::NoRefusals;
    use haul_core::{JobId, Tenant, config::Config};

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const SINGLE: Place<'static> = Place { pointer: "", takes_key: false };

    fn submit(text: &str, place: Place<'_>) -> Result<Submit, Problem> {
        read(&Fields::parse(text.as_bytes(), 64)?, place, &Rules::new(&Config::defaults(), Arc::new(NoRefusals)), NOW)
    }

    fn pointers(text: &str, place: Place<'_>) -> Vec<String> {
        let problem = submit(text, place).expect_err(text);
        let body = serde_json::to_value(problem.body("")).unwrap();
        let pointer = |error: &serde_json::Value| error["pointer"].as_str().unwrap().to_owned();
        body["errors"].as_array().map(|errors| errors.iter().map(pointer).collect()).unwrap_or_default()
    }

    #[test]
    fn a_payload_is_kept_byte_for_byte() {
        let text = "{\"kind\":\"echo\",\"payload\": { \"b\":1.0 , \"a\" : \"\\u0000\\/é\" } }";
        let draft = submit(text, SINGLE).unwrap().draft;
        assert_eq!(draft.payload, "{ \"b\":1.0 , \"a\" : \"\\u0000\\/é\" }".as_bytes());
        assert!(Arc::ptr_eq(&draft.options, &JobOptions::shared_default()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_its_place() {
        let text = r#"{"queue":"a:b","priority":10,"run_at":"2027-01-15T08:00:00","max_attempts":0,"timeout":"0s",
            "retry":{"base":"2h","jitter":1},"tags":{"a":1},"priorty":3,"a/b~":0,"idempotency_key":"k"}"#;
        let expected = [
            "/queue",
            "/priority",
            "/run_at",
            "/max_attempts",
            "/timeout",
            "/retry/jitter",
            "/retry/cap",
            "/tags/a",
            "/priorty",
            "/a~1b~0",
            "/idempotency_key",
            "/kind",
            "/payload",
        ];
        assert_eq!(pointers(text, SINGLE), expected);
        let in_batch = Place { pointer: "/jobs/3", takes_key: true };
        assert_eq!(pointers(r#"{"kind":"","payload":1}"#, in_batch), ["/jobs/3/kind"]);
        assert_eq!(pointers("[]", in_batch), ["/jobs/3"]);
    }

    #[test]
    fn each_field_has_its_range() {
        for (member, pointer) in [
            (r#""kind":null"#, "/kind"),
            (r#""kind":7"#, "/kind"),
            (r#""queue":"""#, "/queue"),
            (r#""queue":"../etc""#, "/queue"),
            (r#""queue":"a\r\nb""#, "/queue"),
            (r#""queue":"{x}""#, "/queue"),
            (r#""priority":-1"#, "/priority"),
            (r#""priority":5.0"#, "/priority"),
            (r#""priority":"5""#, "/priority"),
            (r#""max_attempts":-1"#, "/max_attempts"),
            (r#""max_attempts":1000000000"#, "/max_attempts"),
            (r#""timeout":"25h""#, "/timeout"),
            (r#""timeout":30"#, "/timeout"),
            (r#""run_at":"infinity""#, "/run_at"),
            (r#""run_at":"+300000-01-01T00:00:00Z""#, "/run_at"),
            (r#""run_at":"2099-01-01T00:00:00Z""#, "/run_at"),
            (r#""run_at":"2027-01-16T00:00:00Z","delay":"1s""#, "/delay"),
            (r#""delay":"-1s""#, "/delay"),
            (r#""delay":"11years""#, "/delay"),
            (r#""deadline":"2020-01-01T00:00:00Z""#, "/deadline"),
            (r#""deadline":"2027-01-16T00:00:00Z","delay":"3days""#, "/deadline"),
            (r#""tags":[]"#, "/tags"),
            (r#""tags":{"":"x"}"#, "/tags/"),
            (r#""tags":{"a":"\u0000"}"#, "/tags/a"),
            (r#""retry":{"base":"0s"}"#, "/retry/base"),
        ] {
            let kind = if member.starts_with("\"kind\"") { "" } else { r#""kind":"echo","# };
            let text = format!("{{{kind}{member},\"payload\":null}}");
            assert_eq!(pointers(&text, SINGLE), [pointer], "{text}");
        }
    }

    #[test]
    fn null_means_not_given_and_a_passed_time_means_at_once() {
        let text = r#"{"kind":"echo","payload":null,"queue":null,"tags":null,"run_at":"1970-01-01T00:00:00Z"}"#;
        let draft = submit(text, SINGLE).unwrap().draft;
        assert_eq!(draft.queue.as_str(), "default");
        let id = JobId::floor(NOW);
        assert_eq!(draft.into_job(id, Tenant::default()).run_at, id.created_at());
    }
}
