//! What the calls of one attempt have shown about the provider, for its pace.

use super::answer::retry_after;
use crate::pace::judge;
use haul_core::pace::Verdict;
use haul_outgoing::{Answer, CallError};
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers what was learnt last: an attempt makes several calls, and one that works after one that failed says how the
/// provider is now.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<Verdict>>>);

impl Seen {
    /// Takes in one call.
    pub(super) fn note(&self, sent: &Result<Answer, CallError>) {
        match judge(sent, |answer| retry_after(&answer.headers)) {
            Verdict::Unknown => {}
            verdict => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict),
        }
    }

    /// What there is to say about the provider.
    pub(super) fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Verdict::Unknown)
    }
}
