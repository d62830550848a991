//! What becomes of an answer: the result of `http.request`, cut to what is kept, without secrets.

use haul_core::Timestamp;
use haul_outgoing::{Answer, Redaction};
use http::{HeaderMap, header::RETRY_AFTER};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Bytes of an answer's headers that are kept.
const HEADER_BYTES_MAX: usize = 16 * 1_024;

/// The result.
#[derive(Serialize)]
pub(crate) struct Shown {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    truncated: bool,
}

/// The answer as a result of so many bytes at most.
pub(super) fn show(answer: &Answer, redaction: &Redaction, bytes_max: usize) -> Result<Shown, serde_json::Error> {
    let (headers, headers_cut) = shown_headers(&answer.headers, redaction, HEADER_BYTES_MAX.min(bytes_max / 2));
    let mut body = text(answer, redaction);
    let truncated = headers_cut || answer.truncated;
    let mut shown = Shown { status: answer.status.as_u16(), headers, body: String::new(), truncated };
    let room = bytes_max.saturating_sub(serde_json::to_vec(&shown)?.len());
    let fits = written_prefix(&body, room);
    shown.truncated |= fits < body.len();
    body.truncate(fits);
    shown.body = body;
    Ok(shown)
}

/// The body as text, without secrets, and without the beginning of one that was cut.
pub(super) fn text(answer: &Answer, redaction: &Redaction) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.truncated { redaction.apply_to_cut(text.trim_end_matches('\u{fffd}')) } else { redaction.apply(&text) }
}

/// How many bytes of the text take at most so many bytes as JSON.
fn written_prefix(text: &str, bytes_max: usize) -> usize {
    let mut written = 0;
    for (at, c) in text.char_indices() {
        written += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => c.len_utf8(),
        };
        if written > bytes_max {
            return at;
        }
    }
    text.len()
}

/// The headers as text, equal names joined, until there are too many bytes.
fn shown_headers(headers: &HeaderMap, redaction: &Redaction, bytes_max: usize) -> (BTreeMap<String, String>, bool) {
    let mut shown = BTreeMap::<String, String>::new();
    let mut bytes = 0;
    for (name, value) in headers {
        let (name, value) =
            (redaction.apply(name.as_str()), redaction.apply(&String::from_utf8_lossy(value.as_bytes())));
        bytes += name.len() + value.len() + 6;
        if bytes > bytes_max {
            return (shown, true);
        }
        match shown.get_mut(&name) {
            Some(values) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => drop(shown.insert(name, value)),
        }
    }
    (shown, false)
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or an HTTP date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_ms(i64::try_from(date.as_millis()).ok()?).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_body_is_cut_by_what_it_takes_as_json() {
        let text = "a\"\u{1}é\n";
        assert_eq!(serde_json::to_string(text).unwrap().len() - 2, 13);
        let kept: Vec<_> = [13, 12, 11, 10, 9, 8, 3, 2, 1, 0].map(|room| &text[..written_prefix(text, room)]).into();
        assert_eq!(kept, [text, "a\"\u{1}é", "a\"\u{1}é", "a\"\u{1}", "a\"\u{1}", "a\"", "a\"", "a", "a", ""]);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::from_ms(784_111_777_000 - 30_000);
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Tue, 06 Nov 1984 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!((read("soon"), read("-1")), (None, None));
    }
}
