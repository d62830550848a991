//! The members of a request's object: read, not judged.

use crate::json::{self, Fault, Scanner};
use std::borrow::Cow;

/// The members of a submit, read but not judged.
pub(crate) enum Fields<'a> {
    Object(Vec<(Cow<'a, str>, &'a str)>),
    /// Some other JSON value.
    Other,
}

impl<'a> Fields<'a> {
    /// Reads the next value of a text.
    pub(crate) fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Fault> {
        if scanner.peek() != Some(b'{') {
            scanner.value()?;
            return Ok(Self::Other);
        }
        let mut members = Vec::with_capacity(4);
        scanner.members(|scanner, name| {
            members.push((name, scanner.value()?));
            Ok(())
        })?;
        Ok(Self::Object(members))
    }

    /// Reads a text that holds one submit and nothing else.
    pub(crate) fn parse(text: &'a [u8], depth_max: usize) -> Result<Self, Fault> {
        let mut scanner = Scanner::new(text, depth_max)?;
        let fields = Self::scan(&mut scanner)?;
        scanner.finish()?;
        Ok(fields)
    }

    /// The text that tells this request to `target` from others: equal however it was spelled. Without its
    /// `idempotency_key`.
    pub(crate) fn canonical(&self, target: &str) -> Result<Vec<u8>, Fault> {
        let mut out = format!("POST {target}\n").into_bytes();
        let Self::Object(members) = self else { return Ok(out) };
        let mut members: Vec<_> = members.iter().filter(|(name, _)| name != "idempotency_key").collect();
        members.sort_unstable();
        for (name, value) in members {
            out.extend_from_slice(format!("{}:{name}", name.len()).as_bytes());
            json::canonical(value, &mut out)?;
            out.push(b',');
        }
        Ok(out)
    }
}

/// `/name`, escaped (RFC 6901) and cut.
pub(crate) fn pointer_of(name: &str) -> String {
    const CHARS_MAX: usize = 64;
    let mut pointer = String::from("/");
    for c in name.chars().take(CHARS_MAX) {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_what_it_says_not_by_how_it_is_spelled() {
        let form = |text: &str| Fields::parse(text.as_bytes(), 64).unwrap().canonical("/v1/jobs").unwrap();
        let one = form(r#"{"kind":"echo","payload":{"a":1,"b":2}}"#);
        assert_eq!(one, form(r#"{ "payload":{"b":2, "a":1}, "kind":"\u0065cho", "idempotency_key":"k" }"#));
        assert_ne!(one, form(r#"{"kind":"echo","payload":{"a":1,"b":3}}"#));
    }
}
