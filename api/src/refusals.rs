//! What an API can be told to refuse, beyond what it knows itself: [`Refusals`].
//!
//! The API knows no kind, and calls nobody. Whoever wires it may know some kinds, and what their workers would refuse for
//! good: then the submitter hears of it at once, by a pointer, instead of from a dead job. Such a check resolves nothing,
//! waits for nothing and is no protection: what matters is checked where it is done.

use haul_core::Kind;
use std::fmt;

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFault {
    /// The JSON pointer of the member at fault, from the payload on.
    pub pointer: String,
    /// What is wrong with it. Quotes no value.
    pub message: String,
}

/// Refuses payloads and URLs. Called for each submit, in its time. Refuses nothing unless told otherwise.
pub trait Refusals: fmt::Debug + Send + Sync + 'static {
    /// Judges the payload of a kind.
    fn judge_payload(&self, _kind: &Kind, _payload: &[u8]) -> Result<(), PayloadFault> {
        Ok(())
    }

    /// Judges a URL that something is to be sent to. The reason quotes no part of it: it may hold a secret.
    fn judge_url(&self, _url: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Refuses nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoRefusals;

impl Refusals for NoRefusals {}
