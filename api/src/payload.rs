//! What an API can be told to refuse of a payload, beyond its being JSON.
//!
//! The API knows no kind. Whoever wires it may know some, and what their workers would refuse for good: then the submitter
//! hears of it at once, by a pointer, instead of from a dead job. Such a check resolves nothing, waits for nothing and
//! is no protection: what matters is checked where it is done.

use haul_core::Kind;
use std::{fmt, sync::Arc};

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFault {
    /// The JSON pointer of the member at fault, from the payload on.
    pub pointer: String,
    /// What is wrong with it. Quotes no value.
    pub message: String,
}

/// Judges the payload of a kind. The default refuses nothing.
#[derive(Clone)]
pub struct PayloadCheck(Arc<Judge>);

type Judge = dyn Fn(&Kind, &[u8]) -> Result<(), PayloadFault> + Send + Sync;

impl PayloadCheck {
    /// A check by this function. It is called for each submit, in its time.
    pub fn new(judge: impl Fn(&Kind, &[u8]) -> Result<(), PayloadFault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    pub(crate) fn judge(&self, kind: &Kind, payload: &[u8]) -> Result<(), PayloadFault> {
        (self.0)(kind, payload)
    }
}

impl Default for PayloadCheck {
    fn default() -> Self {
        Self::new(|_, _| Ok(()))
    }
}

impl fmt::Debug for PayloadCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadCheck").finish_non_exhaustive()
    }
}
