//! Takes secrets out of texts: a server that echoes what it was sent must not get a secret into a result or an error.
//!
//! Found are a secret's own bytes, and what simple echoes make of them: base64 (also within a longer text, as in Basic
//! authentication), percent-encoding, JSON's escapes, hexadecimal digits. A server that does more with a secret that it was
//! entrusted with can disclose it in any case.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// The shortest end of a cut text that is taken for the beginning of a secret.
const BEGINNING_BYTES_MIN: usize = 4;
/// The shortest secret that is looked for in its other forms: those of shorter ones are found everywhere.
const FORMS_BYTES_MIN: usize = 6;

/// What encoders escape that leave alone what RFC 3986 calls unreserved; others escape that, too.
const ALL_BUT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The secrets of one call, and how they may look.
#[derive(Clone, Default)]
pub struct Redaction {
    /// Longest first: one may be part of another.
    forms: Vec<String>,
}

impl Redaction {
    /// Takes out this secret, too.
    pub fn add(&mut self, secret: &SecretString) {
        let text = secret.expose_secret();
        if text.is_empty() {
            return;
        }
        self.forms.push(text.to_owned());
        if text.len() >= FORMS_BYTES_MIN {
            self.forms.extend(other_forms(text));
        }
        self.forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.forms.dedup();
    }

    /// The text without the secrets.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), REDACTED);
            }
        }
        text
    }

    /// The same for a text that was cut: what may be the beginning of a secret at its end goes, too.
    pub fn apply_to_cut(&self, text: &str) -> String {
        let mut text = self.apply(text);
        let begins = |form: &String| {
            let longest = form.len().min(text.len() + 1).saturating_sub(1);
            let is_beginning = |length: &usize| form.is_char_boundary(*length) && text.ends_with(&form[..*length]);
            (BEGINNING_BYTES_MIN..=longest).rev().find(is_beginning)
        };
        if let Some(length) = self.forms.iter().filter_map(begins).max() {
            text.truncate(text.len() - length);
            text.push_str(REDACTED);
        }
        text
    }
}

/// The secret as echoes may write it.
fn other_forms(text: &str) -> Vec<String> {
    let percent = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut lower = String::with_capacity(percent.len());
    let mut escape = 0;
    for c in percent.chars() {
        escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
        lower.push(if escape >= 0 { c.to_ascii_lowercase() } else { c });
    }
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![percent, lower, hex.to_uppercase(), hex];
    forms.push(utf8_percent_encode(text, ALL_BUT_UNRESERVED).to_string());
    forms.push(text.replace('\\', "\\\\").replace('"', "\\\""));
    forms.push(text.replace('/', "\\/"));
    for before in 0..3 {
        forms.push(within_base64(text, before, &STANDARD_NO_PAD));
        forms.push(within_base64(text, before, &URL_SAFE_NO_PAD));
    }
    forms
}

/// The part of the base64 of a longer text that this text alone decides, when so many bytes (modulo 3) stand before it.
fn within_base64(text: &str, before: usize, engine: &impl Engine) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = engine.encode(&bytes);
    let first = (before * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    encoded[first..last].to_owned()
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const SECRET: &str = "sk_live/\"Hush\\+?~7é";

    fn redaction() -> Redaction {
        let mut redaction = Redaction::default();
        redaction.add(&SecretString::from(SECRET));
        redaction
    }

    #[test]
    fn every_simple_echo_of_a_secret_is_taken_out() {
        let redaction = redaction();
        let percent = utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string();
        let basic = ["", "u", "us", "user:"].map(|user| STANDARD.encode(format!("{user}{SECRET}:more")));
        let [none, one, two, user] = basic;
        for echo in [SECRET.to_owned(), percent, STANDARD.encode(SECRET), URL_SAFE.encode(SECRET), none, one, two, user]
        {
            let shown = redaction.apply(&format!("you sent {echo}!"));
            assert!(shown.contains(REDACTED) && !shown.contains(&echo), "{shown}");
            assert!(shown.starts_with("you sent ") && shown.ends_with('!'), "{shown}");
        }
        let escaped = SECRET.replace('\\', "\\\\").replace('"', "\\\"");
        assert_eq!(redaction.apply(&format!("{{\"key\":\"{escaped}\"}}")), format!("{{\"key\":\"{REDACTED}\"}}"));
        assert_eq!(redaction.apply("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_secret_that_was_cut_does_not_show_its_beginning() {
        for length in (BEGINNING_BYTES_MIN..=SECRET.len()).filter(|length| SECRET.is_char_boundary(*length)) {
            assert_eq!(redaction().apply_to_cut(&format!("a {}", &SECRET[..length])), format!("a {REDACTED}"));
        }
        assert_eq!(redaction().apply_to_cut("a sk"), "a sk");
        assert_eq!(redaction().apply_to_cut(""), "");
    }

    #[test]
    fn of_two_secrets_the_longer_is_taken_out_whole() {
        let mut redaction = Redaction::default();
        for secret in ["hush", "hush-hush-hush"] {
            redaction.add(&SecretString::from(secret));
        }
        assert_eq!(redaction.apply("hush-hush-hush hush"), format!("{REDACTED} {REDACTED}"));
        assert!(!format!("{redaction:?}").contains("hush"));
    }
}
