//! The name of a destination.

use crate::limits::DESTINATION_BYTES_MAX;
use std::{fmt, sync::Arc};

/// Why a text names no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a destination: scheme, host and port, such as \"https://api.example.com:443\"")]
pub struct DestinationError;

/// Scheme, host and port of who is called: `https://api.example.com:443`.
///
/// Bounded, lower case, and without characters that would need quoting in a key, a log or a URL's path. Whoever makes one
/// of a URL sees to it that one destination has one name: lower-case host, and the port always there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination(Arc<str>);

impl Destination {
    /// Checks the text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, DestinationError> {
        let text = text.as_ref();
        let (scheme, rest) = text.split_once("://").ok_or(DestinationError)?;
        let (host, port) = rest.rsplit_once(':').ok_or(DestinationError)?;
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let in_host = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':')
        };
        let is_host = !host.is_empty() && host.bytes().all(in_host);
        let is_port = !port.starts_with('+') && port.parse::<u16>().is_ok();
        if text.len() <= DESTINATION_BYTES_MAX && is_scheme && is_host && is_port {
            Ok(Self(Arc::from(text)))
        } else {
            Err(DestinationError)
        }
    }

    /// The destination as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port: `api.example.com:443`.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// The host alone; the brackets of an IPv6 address are a part of it.
    pub fn host(&self) -> &str {
        self.authority().rsplit_once(':').map_or("", |(host, _)| host)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
impl std::str::FromStr for Destination {
    type Err = DestinationError;
    fn from_str(text: &str) -> Result<Self, DestinationError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_scheme_host_and_port_and_nothing_else() {
        for good in ["https://api.example.com:443", "http://127.0.0.1:8080", "smtp://[::1]:25"] {
            assert_eq!(Destination::new(good).unwrap().as_str(), good);
        }
        let long = format!("https://{}:443", "a".repeat(DESTINATION_BYTES_MAX));
        let bad = [
            "",
            "api.example.com:443",
            "https://api.example.com",
            "https://A:443",
            "https://a:443/",
            "https://u@a:1",
            "https://a{b}:1",
            "https://a b:1",
            "://a:1",
            "https://:1",
            "https://a:70000",
            "https://a:+1",
            &long,
        ];
        for bad in bad {
            assert_eq!(Destination::new(bad), Err(DestinationError), "{bad}");
        }
    }

    #[test]
    fn host_and_authority_are_its_parts() {
        let six: Destination = "https://[::1]:8443".parse().unwrap();
        assert_eq!((six.host(), six.authority()), ("[::1]", "[::1]:8443"));
    }
}
