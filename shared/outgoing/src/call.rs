//! What is sent, what comes back, and what a caller does when nothing does.

use crate::{refusal::Refusal, target::Target};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::{error::Error, time::Duration};

/// What an HTTP library said, without the URL.
pub type Source = Box<dyn Error + Send + Sync>;

/// One HTTP request, and how much of its answer is wanted.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to: from [`Outgoing::check`](crate::Outgoing::check).
    pub target: Target,
    /// The headers. Values that came from a secret are marked sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take in all; never longer than the settings allow.
    pub timeout: Option<Duration>,
    /// How much of the answer is wanted.
    pub caps: Caps,
    /// How many redirects are followed, each measured by the rules again, of `GET` and `HEAD` only. Credentials go no
    /// further than the first place. 0: a redirect is the answer.
    pub redirects_max: u8,
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of its body; never more than the settings allow.
    pub body_bytes_max: usize,
    /// What becomes of an answer that has more.
    pub beyond: Beyond,
}

/// What becomes of an answer that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The rest is not read.
    Cut,
    /// The call fails.
    Refuse,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came: nothing is decompressed.
    pub body: Bytes,
    /// Whether the body ends before its end. One that broke off under an unsuccessful status does, too: the status says
    /// enough.
    pub truncated: bool,
}

/// Why there is no answer, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It is not sent now and would not be later: the request has to change, or the settings.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The other side has seen nothing of it, for sure: no connection was made.
    #[error("no connection to {destination} could be made")]
    NotSent {
        /// Where to.
        destination: String,
        /// Why not.
        #[source]
        source: Source,
    },
    /// The other side may have acted on it: it took too long, or broke off.
    #[error("{destination} did not answer: {what}")]
    Unknown {
        /// Where to.
        destination: String,
        /// In which way.
        what: &'static str,
        /// Why not.
        #[source]
        source: Option<Source>,
    },
    /// The other side has acted on it, and said more than is wanted.
    #[error("the answer's {part} has more than {bytes_max} bytes")]
    TooLarge {
        /// The head or the body.
        part: &'static str,
        /// How many it may have.
        bytes_max: usize,
    },
}

impl Call {
    /// A call without headers and body, of which up to 1 MiB of answer is wanted, or none.
    pub fn new(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            caps: Caps { body_bytes_max: 1 << 20, beyond: Beyond::Refuse },
            redirects_max: 0,
        }
    }
}
