//! Query strings, read strictly: a name that is unknown or comes twice is an error, and so is text that is not UTF-8.

use crate::problem::{FieldError, Problem, ProblemType};
use percent_encoding::percent_decode;
use std::{borrow::Cow, collections::BTreeMap, fmt::Display, str::FromStr};

/// The parameters of one request; read with [`Query::text`] and [`Query::parse`], then closed with [`Query::finish`].
pub(crate) struct Query<'a> {
    values: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    errors: Vec<FieldError>,
}

/// Parameters looked at; a request with more is refused.
const PARAMETERS_MAX: usize = 32;

impl<'a> Query<'a> {
    /// Takes a query string apart.
    pub(crate) fn new(query: Option<&'a str>) -> Self {
        let (mut values, mut errors) = (BTreeMap::new(), Vec::new());
        let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
        for (n, part) in parts.enumerate() {
            if n == PARAMETERS_MAX {
                errors.push(FieldError::new("?", format!("has more than {PARAMETERS_MAX} parameters")));
                break;
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                errors.push(FieldError::new("?", "holds a percent-encoding that is not UTF-8"));
                continue;
            };
            let pointer = pointer(&name);
            if values.insert(name, value).is_some() {
                errors.push(FieldError::new(pointer, "is given twice"));
            }
        }
        Self { values, errors }
    }

    /// Refuses any parameter: for routes that take none.
    pub(crate) fn none(query: Option<&str>) -> Result<(), Problem> {
        if query.is_none() { Ok(()) } else { Query::new(query).finish() }
    }

    /// A parameter's text; `None` when it is not given. Each may be taken once.
    pub(crate) fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.values.remove(name)
    }

    /// A parameter, parsed.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(name, error.to_string());
                None
            }
        }
    }

    /// A whole number within a range, or the default.
    pub(crate) fn number(&mut self, name: &str, default: usize, min: usize, max: usize) -> usize {
        let Some(text) = self.text(name) else { return default };
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_plain && (min..=max).contains(&number) => number,
            _ => {
                self.fail(name, format!("must be a whole number from {min} to {max}"));
                default
            }
        }
    }

    /// Notes that a parameter is wrong.
    pub(crate) fn fail(&mut self, name: &str, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(pointer(name), detail));
    }

    /// Refuses what nobody took, and everything that was wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in self.values.into_keys() {
            self.errors.push(FieldError::new(pointer(&name), "is not a parameter of this request"));
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Problem::with_errors(ProblemType::InvalidQuery, self.errors))
    }
}

fn pointer(name: &str) -> String {
    const CHARS_MAX: usize = 64;
    let shown: String = name.chars().take(CHARS_MAX).collect();
    format!("?{shown}")
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode(spaced.as_bytes()).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode(text.as_bytes()).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_unknown_and_unreadable_parameters_are_refused() {
        for query in ["a=1&a=2", "b=1", "a=%ff", "A=1", "a%00=1", "limit=0", "limit=-1", "limit=abc", "limit=+5"] {
            let mut read = Query::new(Some(query));
            read.text("a");
            read.number("limit", 50, 1, 100);
            assert!(read.finish().is_err(), "{query}");
        }
        let mut read = Query::new(Some("a=%C3%A9+x&limit=7&"));
        assert_eq!(read.text("a").as_deref(), Some("é x"));
        assert_eq!(read.number("limit", 50, 1, 100), 7);
        assert!(read.finish().is_ok());
    }
}
