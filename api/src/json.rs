//! JSON, read strictly: one pass over the text, without building a tree.
//!
//! Accepts exactly the I-JSON of RFC 7493: UTF-8 without a byte order mark, no name twice within an object, no halves of
//! surrogate pairs, no number beyond a double's range, nothing after the value; besides, nothing is nested deeper than the
//! caller allows. What passes can be read by every handler in every language; values are handed out as slices of the
//! text, so that a payload stays as it was sent, byte for byte.
//!
//! Any break of these rules fails the whole text: 400. What a value *means* is not judged here.

use std::{borrow::Cow, collections::HashSet};

/// Where and why a text is no JSON that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at line {line}, column {column}")]
pub(crate) struct Fault {
    what: Cow<'static, str>,
    line: usize,
    column: usize,
}

type Result<T> = std::result::Result<T, Fault>;

/// Up to so many names of an object are compared one by one; beyond, a set is cheaper.
const NAMES_COMPARED_MAX: usize = 16;

/// Reads one text from its beginning to its end.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
}

impl<'a> Scanner<'a> {
    /// Begins a text. Depth 1 is an array or object of scalars.
    pub(crate) fn new(bytes: &'a [u8], depth_max: usize) -> Result<Self> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                return Err(fault(valid, valid.len(), "the text is not UTF-8"));
            }
        };
        if text.starts_with('\u{feff}') {
            return Err(fault(text, 0, "the text begins with a byte order mark; send UTF-8 without one"));
        }
        Ok(Self { text, at: 0, depth: 0, depth_max })
    }

    /// The first byte of what comes next, white space skipped.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let skipped = rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += skipped;
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads one value of any type and returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a str> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{') => self.members(|scanner, _| scanner.value().map(drop))?,
            Some(b'[') => self.elements(|scanner| scanner.value().map(drop))?,
            Some(b'"') => self.string().map(drop)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(_) => return Err(self.fault("expected a value")),
            None => return Err(self.fault("expected a value, but the text ends")),
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads an object. `member` is called after each name and reads its value.
    pub(crate) fn members(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<()> {
        self.open()?;
        let mut names = Names::default();
        if self.peek() == Some(b'}') {
            return self.close();
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a name in double quotes"));
            }
            let start = self.at;
            let name = self.string()?;
            if !names.insert(name.clone()) {
                self.at = start;
                return Err(self.fault("the object has this name twice"));
            }
            if self.peek() != Some(b':') {
                return Err(self.fault("expected ':'"));
            }
            self.at += 1;
            member(self, name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.close(),
                _ => return Err(self.fault("expected ',' or '}'")),
            }
        }
    }

    /// Reads an array. `element` is called for each element and reads it.
    pub(crate) fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open()?;
        if self.peek() == Some(b']') {
            return self.close();
        }
        loop {
            element(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.close(),
                _ => return Err(self.fault("expected ',' or ']'")),
            }
        }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn finish(mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("expected nothing after the value")),
        }
    }

    fn open(&mut self) -> Result<()> {
        if self.depth == self.depth_max {
            let what = format!("arrays and objects may be nested {} deep", self.depth_max);
            return Err(fault(self.text, self.at, what));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a string; `at` stands on its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1f) => return Err(self.fault("a control character in a string must be escaped")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("the text ends within a string")),
            }
        }
        self.at += 1;
        let quoted = &self.text[start..self.at];
        if !escaped {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        // Checked above, so that this cannot fail; if it does, the text is at fault, not we.
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| fault(self.text, start, "the string cannot be read"))
    }

    /// Reads an escape; `at` stands on its backslash.
    fn escape(&mut self) -> Result<()> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let half = "a \\u escape is half of a surrogate pair";
                match self.code_unit(self.at)? {
                    0xd800..=0xdbff => {
                        if !self.text.as_bytes()[self.at + 6..].starts_with(b"\\u") {
                            return Err(self.fault(half));
                        }
                        if !matches!(self.code_unit(self.at + 6)?, 0xdc00..=0xdfff) {
                            return Err(self.fault(half));
                        }
                        self.at += 12;
                    }
                    0xdc00..=0xdfff => return Err(self.fault(half)),
                    _ => self.at += 6,
                }
            }
            _ => return Err(self.fault("an unknown escape in a string")),
        }
        Ok(())
    }

    /// The number of the `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Result<u16> {
        let digits = self.text.as_bytes().get(at + 2..at + 6).unwrap_or_default();
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.fault("a \\u escape needs four hexadecimal digits"));
        }
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        u16::from_str_radix(digits, 16).map_err(|_| self.fault("a \\u escape needs four hexadecimal digits"))
    }

    fn number(&mut self) -> Result<()> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault("expected a digit")),
        }
        let mut may_overflow = self.at - start > 300;
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            may_overflow = true;
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if may_overflow && !self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite) {
            self.at = start;
            return Err(self.fault("the number is larger than a double can hold"));
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<()> {
        if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.fault("expected a digit"));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Fault {
        fault(self.text, self.at, what)
    }
}

fn fault(text: &str, at: usize, what: impl Into<Cow<'static, str>>) -> Fault {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Fault { what: what.into(), line, column }
}

/// The names that an object has shown so far.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// `false` when the name was there before.
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.many.is_empty() && self.few.len() < NAMES_COMPARED_MAX {
            let is_new = !self.few.contains(&name);
            self.few.push(name);
            return is_new;
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(name)
    }
}

/// The text of a string value that was read before; `None` when the value is of another type.
pub(crate) fn as_string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(value).map(Cow::Owned).ok() } else { Some(Cow::Borrowed(inner)) }
}

/// Writes a value that was read before in a form that is the same however it was spelled: no white space, names sorted,
/// no needless escapes. Numbers stay as they are spelled.
pub(crate) fn canonical(value: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut scanner = Scanner::new(value.as_bytes(), usize::MAX)?;
    match scanner.peek() {
        Some(b'{') => {
            let mut members = Vec::new();
            scanner.members(|scanner, name| {
                members.push((name, scanner.value()?));
                Ok(())
            })?;
            members.sort_unstable();
            out.push(b'{');
            for (name, value) in members {
                write_string(&name, out);
                out.push(b':');
                canonical(value, out)?;
                out.push(b',');
            }
            out.push(b'}');
        }
        Some(b'[') => {
            out.push(b'[');
            scanner.elements(|scanner| {
                canonical(scanner.value()?, out)?;
                out.push(b',');
                Ok(())
            })?;
            out.push(b']');
        }
        _ => match as_string(value) {
            Some(text) => write_string(&text, out),
            None => out.extend_from_slice(value.as_bytes()),
        },
    }
    Ok(())
}

/// Length first: no text can pass for another one's end.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"{}:", text.len()).as_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: impl AsRef<[u8]>) -> Result<()> {
        let mut scanner = Scanner::new(text.as_ref(), 64)?;
        scanner.value()?;
        scanner.finish()
    }

    #[test]
    fn what_is_no_i_json_is_refused_and_told_where() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        for (text, words) in [
            ("", "the text ends"),
            (" \n ", "line 2, column 2"),
            ("{", "expected a name"),
            ("{\"a\":1,}", "expected a name"),
            ("[1,]", "expected a value"),
            ("{\"a\" 1}", "expected ':'"),
            ("[1 2]", "expected ',' or ']'"),
            ("{}{}", "nothing after the value"),
            ("{} x", "nothing after the value"),
            ("\u{feff}{}", "byte order mark"),
            ("{\"a\":1,\"a\":2}", "name twice, at line 1, column 8"),
            ("{\"a\":1,\"\\u0061\":2}", "name twice"),
            ("[\"\\ud800\"]", "half of a surrogate pair"),
            ("[\"\\udc00\\ud800\"]", "half of a surrogate pair"),
            ("[\"\\ud800\\u0041\"]", "half of a surrogate pair"),
            ("[\"\\u12\"]", "four hexadecimal digits"),
            ("[\"\\x\"]", "unknown escape"),
            ("[\"a\nb\"]", "control character"),
            ("\"abc", "within a string"),
            ("1e400", "larger than a double"),
            ("-1E+999999999999", "larger than a double"),
            ("01", "nothing after"),
            ("1.", "expected a digit"),
            ("+1", "expected a value"),
            ("NaN", "expected a value"),
            ("Infinity", "expected a value"),
            ("nul", "expected a value"),
            ("{'a':1}", "expected a name"),
            (&deep, "nested 64 deep"),
        ] {
            let fault = check(text).expect_err(text).to_string();
            assert!(fault.contains(words), "{text}: {fault}");
        }
        assert!(check(b"[\"\xff\"]").unwrap_err().to_string().contains("not UTF-8, at line 1, column 3"));
        assert!(check("9".repeat(400)).is_err());
    }

    #[test]
    fn a_depth_bomb_costs_no_stack() {
        assert!(check("[".repeat(1_000_000)).is_err());
        assert!(check("{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_name_that_returns_among_many_is_found() {
        let mut text: String = (0..5_000).map(|n| format!("\"{n}\":0,")).collect();
        assert!(check(format!("{{{text}\"x\":0}}")).is_ok());
        text.push_str("\"4711\":0");
        assert!(check(format!("{{{text}}}")).is_err());
    }

    #[test]
    fn the_canonical_form_ignores_spelling_and_nothing_else() {
        let form = |text: &str| {
            let mut out = Vec::new();
            canonical(text, &mut out).unwrap();
            out
        };
        assert_eq!(form(r#"{"a":[1, 2],"b":"\u0041"}"#), form("{ \"b\" : \"A\",\n\"a\":[1,2]}"));
        assert_ne!(form(r#"{"a":[1,2]}"#), form(r#"{"a":[2,1]}"#));
        assert_ne!(form(r#"["a","b"]"#), form(r#"["a\",\"b"]"#));
        assert_ne!(form("12345678901234567890123"), form("12345678901234567890124"));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                proptest::collection::hash_map(any::<String>(), inner, 0..20)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_that_is_written_as_json_is_read(value in any_json()) {
            prop_assert_eq!(check(value.to_string()), Ok(()));
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(check(pretty), Ok(()));
        }

        #[test]
        fn no_text_is_read_that_serde_json_refuses(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if check(&bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            }
        }

        #[test]
        fn a_changed_byte_never_passes_where_serde_json_refuses(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if check(&bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            }
        }
    }
}
