//! Which headers a caller may not set.

use crate::refusal::Refusal;
use http::{HeaderMap, header};

/// How a message is framed and routed, and what is said to proxies and about clients: the client's own to say.
const FORBIDDEN: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
/// What they begin with that are meant for proxies.
const FORBIDDEN_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];
/// Bytes of all names and values.
const BYTES_MAX: usize = 64 * 1_024;

/// Refuses headers that change how a message is framed or where it goes.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in headers.keys() {
        check_name(name.as_str())?;
    }
    if bytes(headers) > BYTES_MAX { Err(Refusal::HeaderBytes(BYTES_MAX)) } else { Ok(()) }
}

/// Refuses the name of a header that is not for callers to set.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let name = name.to_ascii_lowercase();
    let is_forbidden =
        FORBIDDEN.contains(&name.as_str()) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if is_forbidden { Err(Refusal::Header(name)) } else { Ok(()) }
}

/// What names and values take up.
pub(crate) fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Takes out what was meant for the first place alone.
pub(crate) fn drop_credentials(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, header::COOKIE] {
        headers.remove(name);
    }
    let sensitive: Vec<_> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    for name in sensitive {
        headers.remove(name);
    }
}
