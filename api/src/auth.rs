//! Who may use the API, until keys come: the admin key, or this machine only.
//!
//! With an admin key every request under `/v1` carries it. Without one the API listens on loopback only
//! ([`check_exposure`]), and a request whose `Host` or `Origin` names another machine is refused: a web page in a browser
//! on this machine can reach loopback too, under a name of its own (DNS rebinding) or across origins.

use crate::problem::{Problem, ProblemType};
use haul_core::config::Config;
use http::{HeaderMap, Uri, header, uri::Authority};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// Why the API must not listen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "without an admin key the API listens on loopback only, and {0} is reachable from elsewhere; set HAUL_ADMIN_KEY, or \
     listen on 127.0.0.1"
)]
pub struct Exposed(SocketAddr);

/// Refuses to serve other machines without a key. To be asked before the listener is bound, and again with its address.
pub fn check_exposure(address: SocketAddr, admin_key: Option<&SecretString>) -> Result<(), Exposed> {
    if admin_key.is_some() || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Exposed(address))
}

/// Decides who may use `/v1`.
#[derive(Clone)]
pub(crate) enum Access {
    /// Whoever carries the key with this SHA-256 digest.
    Key([u8; 32]),
    /// Whoever is on this machine.
    Local,
    /// Nobody: other machines reach the listener, and there is no key to tell them by.
    Nobody,
}

impl Access {
    pub(crate) fn new(config: &Config) -> Self {
        Self::by(config.admin_key.as_ref())
    }

    /// For a listener that may be reached from elsewhere without a key.
    pub(crate) fn at(address: SocketAddr, admin_key: Option<&SecretString>) -> Self {
        if check_exposure(address, admin_key).is_ok() { Self::by(admin_key) } else { Self::Nobody }
    }

    fn by(admin_key: Option<&SecretString>) -> Self {
        match admin_key {
            Some(key) => Self::Key(Sha256::digest(key.expose_secret()).into()),
            None => Self::Local,
        }
    }

    /// Whether the request may pass.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Key(digest) => {
                let presented = bearer(headers).unwrap_or_default();
                // Digests are compared, so that neither the length nor the content of the key shows in time.
                let presented: [u8; 32] = Sha256::digest(presented).into();
                if bool::from(digest.ct_eq(&presented)) {
                    return Ok(());
                }
                Err(Problem::new(ProblemType::Unauthorized, "the request carries no valid key"))
            }
            Self::Nobody => {
                let detail = "other machines reach this listener, and no admin key is set";
                Err(Problem::new(ProblemType::NotLocal, detail))
            }
            Self::Local => match foreign_name(uri, headers) {
                None => Ok(()),
                Some(place) => {
                    Err(Problem::new(ProblemType::NotLocal, format!("{place} names another machine than this one")))
                }
            },
        }
    }
}

/// The token of the one Authorization header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// Where the request names another machine, if it does.
fn foreign_name(uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    if uri.authority().is_some_and(|authority| !is_local(authority)) {
        return Some("the request's target");
    }
    for host in headers.get_all(header::HOST) {
        if !host.to_str().ok().and_then(|host| host.parse().ok()).is_some_and(|host| is_local(&host)) {
            return Some("Host");
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest.parse());
        if !matches!(authority, Some(Ok(authority)) if is_local(&authority)) {
            return Some("Origin");
        }
    }
    None
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_only_loopback_may_be_listened_on() {
        let key = SecretString::from("k".to_owned());
        for (address, is_local) in [
            ("127.0.0.1:8080", true),
            ("127.8.9.1:0", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("10.0.0.1:8080", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(check_exposure(address, None).is_ok(), is_local, "{address}");
            assert!(check_exposure(address, Some(&key)).is_ok());
        }
    }

    #[test]
    fn without_a_key_other_names_and_origins_are_refused() {
        let admitted = |name: http::HeaderName, value: &'static str| {
            let headers = HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))]);
            Access::Local.admit(&Uri::from_static("/v1/jobs"), &headers).is_ok()
        };
        for host in ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:8080", "app.localhost"] {
            assert!(admitted(header::HOST, host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "192.168.0.1:8080", "localhost.evil.example"] {
            assert!(!admitted(header::HOST, host), "{host}");
        }
        assert!(admitted(header::ORIGIN, "http://localhost:3000"));
        assert!(!admitted(header::ORIGIN, "https://evil.example"));
        assert!(!admitted(header::ORIGIN, "null"));
    }

    #[test]
    fn the_key_passes_only_whole_and_only_once() {
        let access = Access::Key(Sha256::digest("secret").into());
        let admitted = |values: &[&'static str]| {
            let pair = |value: &&'static str| (header::AUTHORIZATION, http::HeaderValue::from_static(value));
            access.admit(&Uri::from_static("/v1/jobs"), &values.iter().map(pair).collect()).is_ok()
        };
        assert!(admitted(&["Bearer secret"]) && admitted(&["bearer secret"]));
        for values in [&[][..], &["Bearer secre"], &["Bearer secrets"], &["Basic secret"], &["secret"], &["Bearer "]] {
            assert!(!admitted(values), "{values:?}");
        }
    }
}
