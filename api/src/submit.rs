//! A submit: from its [`Fields`] to a [`Draft`], or to everything that is wrong with it.
//!
//! Strict: unknown fields are refused, every wrong field is reported at once, values are never echoed (they may be
//! secrets or card numbers). The payload is kept byte for byte. Optional fields may be `null`, which means "not given".
//! The same code reads a single submit, an element of a batch and a line of a bulk request.

use crate::{
    draft::{Draft, Rules, Start},
    fields::{Fields, pointer_of},
    json,
    problem::{FieldError, Problem, ProblemType},
};
use bytes::Bytes;
use haul_core::{
    JobOptions, Kind, Priority, Span, Timestamp,
    limits::{
        AHEAD_MS_MAX, ATTEMPTS_MAX, IDEMPOTENCY_KEY_CHARS_MAX, TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX,
        TIMEOUT_MS_MAX,
    },
};
use std::{borrow::Cow, str::FromStr, sync::Arc};

/// Where a submit came from: decides how errors point into it and whether it may carry a key of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The JSON pointer of the submit within its document.
    pub(crate) pointer: &'a str,
    /// Whether `idempotency_key` is a field here.
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
    let mut reader = Reader { pointer: place.pointer, now, errors: Vec::new() };
    let Fields::Object(members) = fields else {
        reader.fail("", "must be an object");
        return Err(reader.into_problem());
    };
    let mut kind = None;
    let mut payload = None;
    let mut queue = rules.queue.clone();
    let mut priority = rules.priority;
    let (mut run_at, mut delay) = (None, None);
    let mut options = Cow::Borrowed(&*rules.options);
    let mut key = None;
    for (name, value) in members {
        let is_null = *value == "null";
        match &**name {
            "payload" => payload = reader.payload(value, rules.payload_bytes_max),
            "kind" => kind = reader.parse::<Kind>("/kind", value),
            _ if is_null && is_optional(name, place) => {}
            "queue" => queue = reader.parse("/queue", value).unwrap_or(queue),
            "priority" => priority = reader.priority(value).unwrap_or(priority),
            "run_at" => run_at = reader.time("/run_at", value),
            "delay" => delay = reader.span("/delay", value, 0, AHEAD_MS_MAX.unsigned_abs(), "\"0s\" and ten years"),
            "max_attempts" => {
                if let Some(attempts) = reader.attempts(value) {
                    options.to_mut().retry.max_attempts = attempts;
                }
            }
            "timeout" => {
                if let Some(timeout) = reader.span("/timeout", value, 1, TIMEOUT_MS_MAX, "\"1ms\" and \"24h\"") {
                    options.to_mut().timeout = timeout;
                }
            }
            "deadline" => options.to_mut().deadline = reader.deadline(value),
            "retry" => reader.retry(value, options.to_mut()),
            "tags" => reader.tags(value, options.to_mut()),
            "idempotency_key" if place.takes_key => key = reader.key(value),
            "idempotency_key" => reader.fail("/idempotency_key", "belongs into the header Idempotency-Key here"),
            unknown => reader.fail(&pointer_of(unknown), "is not a field of a job"),
        }
    }
    for (name, is_given) in [("kind", kind.is_some()), ("payload", payload.is_some())] {
        if !is_given && !members.iter().any(|(given, _)| given == name) {
            reader.fail(&format!("/{name}"), "is required");
        }
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
    reader.order(start, &options);
    let (Some(kind), Some(payload), true) = (kind, payload, reader.errors.is_empty()) else {
        return Err(reader.into_problem());
    };
    let options = match options {
        Cow::Borrowed(_) => rules.options.clone(),
        Cow::Owned(options) => Arc::new(options),
    };
    Ok(Submit { draft: Draft { queue, kind, priority, start, payload, options }, key })
}

fn is_optional(name: &str, place: Place<'_>) -> bool {
    let optional = ["queue", "priority", "run_at", "delay", "max_attempts", "timeout", "deadline", "retry", "tags"];
    optional.contains(&name) || (place.takes_key && name == "idempotency_key")
}

/// Why a text is no idempotency key, if it is none.
pub(crate) fn key_fault(key: &str) -> Option<&'static str> {
    match key.len() {
        0 => Some("must not be empty"),
        1..=IDEMPOTENCY_KEY_CHARS_MAX if key.bytes().all(|b| matches!(b, b' '..=b'~')) => None,
        1..=IDEMPOTENCY_KEY_CHARS_MAX => Some("may hold only visible ASCII characters and spaces"),
        _ => Some("may have at most 255 characters"),
    }
}

/// Reads values and gathers what is wrong with them.
struct Reader<'a> {
    pointer: &'a str,
    now: Timestamp,
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn fail(&mut self, pointer: &str, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(format!("{}{pointer}", self.pointer), detail));
    }

    fn into_problem(self) -> Problem {
        Problem::with_errors(ProblemType::InvalidRequest, self.errors)
    }

    fn text<'v>(&mut self, pointer: &str, value: &'v str) -> Option<Cow<'v, str>> {
        let text = json::as_string(value);
        if text.is_none() {
            self.fail(pointer, "must be a string");
        }
        text
    }

    fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, pointer: &str, value: &str) -> Option<T> {
        let text = self.text(pointer, value)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fail(pointer, error.to_string());
                None
            }
        }
    }

    fn payload(&mut self, value: &str, bytes_max: usize) -> Option<Bytes> {
        if value.len() > bytes_max {
            self.fail("/payload", format!("has {} bytes, at most {bytes_max} are allowed", value.len()));
            return None;
        }
        Some(Bytes::copy_from_slice(value.as_bytes()))
    }

    fn whole_number(&mut self, pointer: &str, value: &str, min: u16, max: u16) -> Option<u16> {
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.fail(pointer, format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    fn priority(&mut self, value: &str) -> Option<Priority> {
        let number = self.whole_number("/priority", value, 0, 9)?;
        Priority::new(u8::try_from(number).ok()?)
    }

    fn attempts(&mut self, value: &str) -> Option<u16> {
        self.whole_number("/max_attempts", value, 1, ATTEMPTS_MAX)
    }

    fn time(&mut self, pointer: &str, value: &str) -> Option<Timestamp> {
        let time: Timestamp = self.parse(pointer, value)?;
        if time.as_ms() > self.now.as_ms() + AHEAD_MS_MAX {
            self.fail(pointer, "is more than ten years ahead");
            return None;
        }
        Some(time)
    }

    fn deadline(&mut self, value: &str) -> Option<Timestamp> {
        let deadline = self.time("/deadline", value)?;
        if deadline <= self.now {
            self.fail("/deadline", "has passed");
        }
        Some(deadline)
    }

    fn span(&mut self, pointer: &str, value: &str, min_ms: u64, max_ms: u64, range: &str) -> Option<Span> {
        let span: Span = self.parse(pointer, value)?;
        if !(min_ms..=max_ms).contains(&span.as_ms()) {
            self.fail(pointer, format!("must lie between {range}"));
            return None;
        }
        Some(span)
    }

    fn object<'v>(&mut self, pointer: &str, value: &'v str) -> Vec<(Cow<'v, str>, &'v str)> {
        // The text was read before: only its type can be wrong.
        match Fields::parse(value.as_bytes(), usize::MAX) {
            Ok(Fields::Object(members)) => members,
            _ => {
                self.fail(pointer, "must be an object");
                Vec::new()
            }
        }
    }

    fn retry(&mut self, value: &str, options: &mut JobOptions) {
        let range = "\"1ms\" and ten years";
        for (name, value) in self.object("/retry", value) {
            let slot = match &*name {
                "base" => &mut options.retry.base,
                "cap" => &mut options.retry.cap,
                "max_age" => &mut options.retry.max_age,
                unknown => {
                    self.fail(&format!("/retry{}", pointer_of(unknown)), "is not a field of retry");
                    continue;
                }
            };
            if value == "null" {
                continue;
            }
            if let Some(span) = self.span(&format!("/retry/{name}"), value, 1, AHEAD_MS_MAX.unsigned_abs(), range) {
                *slot = span;
            }
        }
        if options.retry.cap < options.retry.base {
            self.fail("/retry/cap", format!("is shorter than base ({})", options.retry.base));
        }
    }

    fn tags(&mut self, value: &str, options: &mut JobOptions) {
        let tags = self.object("/tags", value);
        if tags.len() > TAGS_MAX {
            self.fail("/tags", format!("has {} tags, at most {TAGS_MAX} are allowed", tags.len()));
            return;
        }
        for (name, value) in tags {
            let pointer = format!("/tags{}", pointer_of(&name));
            if let Some(fault) = tag_name_fault(&name) {
                self.fail(&pointer, fault);
            }
            let Some(text) = self.text(&pointer, value) else { continue };
            if let Some(fault) = tag_value_fault(&text) {
                self.fail(&pointer, fault);
            }
            options.tags.insert(name.into_owned(), text.into_owned());
        }
    }

    fn key(&mut self, value: &str) -> Option<String> {
        let key = self.text("/idempotency_key", value)?;
        if let Some(fault) = key_fault(&key) {
            self.fail("/idempotency_key", fault);
        }
        Some(key.into_owned())
    }

    /// A job that cannot start before its deadline is a mistake.
    fn order(&mut self, start: Start, options: &JobOptions) {
        let Some(deadline) = options.deadline else { return };
        let start = match start {
            Start::Now => return,
            Start::At(time) => time,
            Start::In(delay) => self.now.plus(delay.as_duration()),
        };
        if start >= deadline {
            self.fail("/deadline", "is not after the job's first start");
        }
    }
}

/// Why a text is no tag's name, if it is none.
pub(crate) fn tag_name_fault(name: &str) -> Option<&'static str> {
    let chars = name.chars().count();
    if !(1..=TAG_NAME_CHARS_MAX).contains(&chars) {
        return Some("a tag's name has 1 to 64 characters");
    }
    name.chars().any(|c| c.is_control() || c == ':').then_some("a tag's name has no ':' and no control characters")
}

/// Why a text is no tag's value, if it is none.
pub(crate) fn tag_value_fault(value: &str) -> Option<&'static str> {
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        return Some("a tag's value has at most 256 characters");
    }
    value.chars().any(char::is_control).then_some("a tag's value has no control characters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{JobId, Tenant, config::Config};

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const SINGLE: Place<'static> = Place { pointer: "", takes_key: false };

    fn submit(text: &str, place: Place<'_>) -> Result<Submit, Problem> {
        read(&Fields::parse(text.as_bytes(), 64)?, place, &Rules::new(&Config::defaults()), NOW)
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
