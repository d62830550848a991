//! Values of a request's fields: read, judged, and what is wrong with them gathered.
//!
//! A value is the text that a [`crate::json::Scanner`] has passed, so that only its type and its range can be wrong. What is
//! wrong is told with a JSON pointer and the accepted form, and never echoed: it may be a secret or a card number.

use crate::{
    fields::{Fields, pointer_of},
    json,
    problem::{FieldError, Problem, ProblemType},
};
use bytes::Bytes;
use haul_core::{
    JobOptions, Priority, Span, Timestamp,
    limits::{AHEAD_MS_MAX, ATTEMPTS_MAX, IDEMPOTENCY_KEY_CHARS_MAX, TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX},
};
use std::{borrow::Cow, fmt::Display, str::FromStr};

/// Reads values and gathers what is wrong with them.
pub(crate) struct Reader<'a> {
    /// The JSON pointer, within its document, of what is read.
    pointer: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    /// A reader of what is at `pointer`.
    pub(crate) fn new(pointer: &'a str, now: Timestamp) -> Self {
        Self { pointer, now, errors: Vec::new() }
    }

    /// Notes that something is wrong.
    pub(crate) fn fail(&mut self, pointer: &str, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(format!("{}{pointer}", self.pointer), detail));
    }

    /// Everything that is wrong.
    pub(crate) fn into_problem(self, kind: ProblemType) -> Problem {
        Problem::with_errors(kind, self.errors)
    }

    pub(crate) fn text<'v>(&mut self, pointer: &str, value: &'v str) -> Option<Cow<'v, str>> {
        let text = json::as_string(value);
        if text.is_none() {
            self.fail(pointer, "must be a string");
        }
        text
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, pointer: &str, value: &str) -> Option<T> {
        let text = self.text(pointer, value)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fail(pointer, error.to_string());
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, pointer: &str, value: &str) -> Option<bool> {
        match value {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.fail(pointer, "must be true or false");
                None
            }
        }
    }

    pub(crate) fn payload(&mut self, value: &str, bytes_max: usize) -> Option<Bytes> {
        if value.len() > bytes_max {
            self.fail("/payload", format!("has {} bytes, at most {bytes_max} are allowed", value.len()));
            return None;
        }
        Some(Bytes::copy_from_slice(value.as_bytes()))
    }

    /// A whole number within a range.
    pub(crate) fn whole_number<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        pointer: &str,
        value: &str,
        min: T,
        max: T,
    ) -> Option<T> {
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.fail(pointer, format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    pub(crate) fn priority(&mut self, value: &str) -> Option<Priority> {
        Priority::new(self.whole_number("/priority", value, 0, 9)?)
    }

    pub(crate) fn attempts(&mut self, value: &str) -> Option<u16> {
        self.whole_number("/max_attempts", value, 1, ATTEMPTS_MAX)
    }

    pub(crate) fn time(&mut self, pointer: &str, value: &str) -> Option<Timestamp> {
        let time: Timestamp = self.parse(pointer, value)?;
        if time.as_ms() > self.now.as_ms() + AHEAD_MS_MAX {
            self.fail(pointer, "is more than ten years ahead");
            return None;
        }
        Some(time)
    }

    pub(crate) fn deadline(&mut self, value: &str) -> Option<Timestamp> {
        let deadline = self.time("/deadline", value)?;
        if deadline <= self.now {
            self.fail("/deadline", "has passed");
        }
        Some(deadline)
    }

    pub(crate) fn span(&mut self, pointer: &str, value: &str, min_ms: u64, max_ms: u64, range: &str) -> Option<Span> {
        let span: Span = self.parse(pointer, value)?;
        if !(min_ms..=max_ms).contains(&span.as_ms()) {
            self.fail(pointer, format!("must lie between {range}"));
            return None;
        }
        Some(span)
    }

    /// The members of an object.
    pub(crate) fn object<'v>(&mut self, pointer: &str, value: &'v str) -> Vec<(Cow<'v, str>, &'v str)> {
        // The text was read before: only its type can be wrong.
        match Fields::parse(value.as_bytes(), usize::MAX) {
            Ok(Fields::Object(members)) => members,
            _ => {
                self.fail(pointer, "must be an object");
                Vec::new()
            }
        }
    }

    /// The items of an array.
    pub(crate) fn array<'v>(&mut self, pointer: &str, value: &'v str) -> Vec<&'v str> {
        let mut items = Vec::new();
        // The text was read before: only its type can be wrong.
        let read = json::Scanner::new(value.as_bytes(), usize::MAX).and_then(|mut scanner| {
            if scanner.peek() != Some(b'[') {
                return Ok(false);
            }
            scanner.elements(|scanner| scanner.value().map(|item| items.push(item)))?;
            Ok(true)
        });
        if read != Ok(true) {
            self.fail(pointer, "must be an array");
            items.clear();
        }
        items
    }

    pub(crate) fn retry(&mut self, value: &str, options: &mut JobOptions) {
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

    /// Tags, `max` of them at most.
    pub(crate) fn tags(&mut self, value: &str, max: usize, options: &mut JobOptions) {
        let tags = self.object("/tags", value);
        if tags.len() > max {
            self.fail("/tags", format!("has {} tags, at most {max} are allowed", tags.len()));
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

    pub(crate) fn key(&mut self, value: &str) -> Option<String> {
        let key = self.text("/idempotency_key", value)?;
        if let Some(fault) = key_fault(&key) {
            self.fail("/idempotency_key", fault);
        }
        Some(key.into_owned())
    }
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
