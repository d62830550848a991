//! Which lines are let through: directives such as `haul_worker=debug,info`, judged before they are used.
//!
//! More is refused than tracing-subscriber would: a word that is no level is taken for a target by it, and `deubg` would let
//! nothing but lines of a crate of that name through. Values of fields are compared as they are, not as regular expressions,
//! which could take any amount of memory.

use std::{fmt, str::FromStr};
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, ParseError},
};

/// Bytes of directives.
const BYTES_MAX: usize = 4_096;

/// Why directives are refused.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There are none, or far too many.
    #[error("must be 1 to {BYTES_MAX} bytes of directives, such as \"haul_worker=debug,info\"")]
    Length,
    /// Most likely a level that is misspelled.
    #[error("has `{0}`, which is no level; a target stands with its level, as in \"haul_worker=debug,info\"")]
    NoLevel(String),
    /// It is no directive.
    #[error("has `{0}`, which is no directive such as \"debug\" or \"haul_worker=debug\"")]
    NoDirective(String),
    /// The program's logs are not there any more.
    #[error("cannot be changed any more")]
    Gone,
}

/// Directives that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directives(String);

impl FromStr for Directives {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > BYTES_MAX {
            return Err(Fault::Length);
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        for part in &parts {
            let shown = || part.chars().take(64).collect::<String>();
            let is_bare = !part.contains(['=', '[']);
            if is_bare && part.parse::<LevelFilter>().is_err() {
                return Err(Fault::NoLevel(shown()));
            }
            if part.contains(char::is_control) {
                return Err(Fault::NoDirective(shown().escape_default().to_string()));
            }
            parse(part).map_err(|_| Fault::NoDirective(shown()))?;
        }
        if parts.is_empty() { Err(Fault::Length) } else { Ok(Self(parts.join(","))) }
    }
}

impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Directives {
    pub(super) fn filter(&self) -> Result<EnvFilter, Fault> {
        parse(&self.0).map_err(|_| Fault::NoDirective(self.0.clone()))
    }
}

fn parse(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_regex(false).parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_taken_and_written_without_what_would_change_their_meaning() {
        for (text, shown) in [
            ("info", "info"),
            (" haul_worker=debug , info,", "haul_worker=debug,info"),
            ("OFF", "OFF"),
            ("warn,[attempt{job_id=0199}]=trace", "warn,[attempt{job_id=0199}]=trace"),
        ] {
            let directives: Directives = text.parse().expect(text);
            assert_eq!(directives.to_string(), shown);
            assert!(directives.filter().is_ok());
        }
    }

    #[test]
    fn what_is_no_directive_is_refused_with_its_place_and_an_example() {
        let refused = |text: &str| text.parse::<Directives>().expect_err(text).to_string();
        for (text, named) in
            [("info,deubg", "`deubg`"), ("haul_worker=verbose", "`haul_worker=verbose`"), ("a[b=debug", "`a[b=debug`")]
        {
            let told = refused(text);
            assert!(told.contains(named) && told.contains("haul_worker=debug"), "{told}");
        }
        for text in ["", " , ", &"x=info,".repeat(1_000)] {
            assert!(refused(text).contains("1 to 4096 bytes"), "{text}");
        }
    }
}
