//! A URL that has been measured by the rules, and the place that it leads to.

use crate::{policy::Policy, refusal::Refusal};
use haul_core::config::Scheme;
use std::{fmt, net::IpAddr};
use url::{Host, Url};

/// The longest URL that is taken, in bytes.
const URL_BYTES_MAX: usize = 8 * 1_024;
/// Names for this machine, besides everything under `localhost`.
const LOCAL_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"];
/// Names of metadata services, beside their addresses.
const METADATA_NAMES: [&str; 3] = ["metadata", "metadata.google.internal", "instance-data"];

/// A URL that a call may be made to, as far as can be told without DNS. Its text shows no query.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    destination: Destination,
}

/// Where a call goes: what is counted, paced and broken off together. Lower case, without a trailing dot, with its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    https: bool,
    host: String,
    port: u16,
}

impl Target {
    pub(crate) fn parse(text: &str, policy: &Policy) -> Result<Self, Refusal> {
        if text.len() > URL_BYTES_MAX {
            return Err(Refusal::TooLong(URL_BYTES_MAX));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(Refusal::Character);
        }
        Self::of(Url::parse(text)?, policy)
    }

    /// Where a redirect leads.
    pub(crate) fn join(&self, location: &str, policy: &Policy) -> Result<Self, Refusal> {
        if location.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(Refusal::Character);
        }
        let target = Self::parse(self.url.join(location)?.as_str(), policy)?;
        // From an encrypted call to a plain one: what was meant to be read by nobody else would be.
        if self.destination.https && !target.destination.https { Err(Refusal::Scheme("https://")) } else { Ok(target) }
    }

    fn of(mut url: Url, policy: &Policy) -> Result<Self, Refusal> {
        let scheme = match url.scheme() {
            "http" if policy.admits_scheme(Scheme::Http) => Scheme::Http,
            "https" if policy.admits_scheme(Scheme::Https) => Scheme::Https,
            _ if policy.admits_scheme(Scheme::Http) => return Err(Refusal::Scheme("http:// or https://")),
            _ => return Err(Refusal::Scheme("https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or(Refusal::Port(0))?;
        if !policy.admits_port(port) {
            return Err(Refusal::Port(port));
        }
        let host = match url.host().ok_or(url::ParseError::EmptyHost)? {
            Host::Ipv4(address) => checked(address.into(), policy)?,
            Host::Ipv6(address) => checked(address.into(), policy)?,
            Host::Domain(name) => named(name, policy)?,
        };
        let destination = Destination { https: scheme == Scheme::Https, host, port };
        Ok(Self { url, destination })
    }

    /// Where it leads.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

fn checked(address: IpAddr, policy: &Policy) -> Result<String, Refusal> {
    match policy.admits(None, address) {
        Ok(()) => Ok(address.to_string()),
        Err(special) => Err(Refusal::Address { address, special }),
    }
}

/// A name without its trailing dot; its addresses are checked when they are known.
fn named(name: &str, policy: &Policy) -> Result<String, Refusal> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.is_empty() || name.ends_with('.') {
        return Err(Refusal::NotAUrl(url::ParseError::EmptyHost));
    }
    let is_local = LOCAL_NAMES.contains(&name.as_str()) || name.ends_with(".localhost");
    let is_refused = (is_local && !policy.allows_loopback()) || METADATA_NAMES.contains(&name.as_str());
    if is_refused && !policy.admits_name(&name) { Err(Refusal::Name(name)) } else { Ok(name) }
}

impl Destination {
    /// Whether calls to it are encrypted.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the URL leaves it out.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        // An IPv6 address is the only host that holds a colon.
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.destination).finish()
    }
}
