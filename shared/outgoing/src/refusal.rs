//! Why something is not sent. No text of it shows a URL's userinfo or query, or a header's value.

use crate::address::Special;
use std::net::IpAddr;

/// What is wrong with a URL, an address or a header. Sending it again would be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Parsers would drop or change some of them, each in its own way.
    #[error("the URL holds a control character, white space or a backslash")]
    Character,
    /// It is longer than anybody needs.
    #[error("the URL has more than {0} bytes")]
    TooLong(usize),
    /// It is none.
    #[error("the URL is not one: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// The settings do not allow its scheme.
    #[error("the URL must begin with {0}")]
    Scheme(&'static str),
    /// A name and a password would be shown wherever URLs are.
    #[error("the URL holds a user name or a password: set the header Authorization instead")]
    UserInfo,
    /// The settings do not allow its port.
    #[error("the URL has port {0}, which `outgoing.ports` does not list")]
    Port(u16),
    /// A name for this machine, or for a cloud's metadata service.
    #[error("the URL's host {0} is a name for this machine or its cloud, and `outgoing.allow` does not list it")]
    Name(String),
    /// Its host is an address that is not public.
    #[error("the URL leads to {address}, {special}, which `outgoing.allow` does not list")]
    Address {
        /// Which address.
        address: IpAddr,
        /// What it is.
        special: Special,
    },
    /// Its host has, among others perhaps, an address that is not public. Which one is nobody's business.
    #[error("the host {name} resolves to {special}, which `outgoing.allow` does not list")]
    Resolved {
        /// Which host.
        name: String,
        /// What its address is.
        special: Special,
    },
    /// A header that says how a message is framed or routed.
    #[error("the header {0:?} is not for callers to set")]
    Header(String),
    /// Too many bytes of headers.
    #[error("the headers have more than {0} bytes")]
    HeaderBytes(usize),
    /// Redirects that go on and on.
    #[error("there were more than {0} redirects")]
    Redirects(u8),
    /// A redirect that names no place.
    #[error("the redirect names no place to go to")]
    NoLocation,
    /// A redirect to where a call may not go.
    #[error("the server redirects: {0}")]
    Redirected(Box<Refusal>),
}
