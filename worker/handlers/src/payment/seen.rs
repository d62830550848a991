//! What the calls of one attempt have shown about the provider, for its pace.

use super::answer::retry_after;
use crate::pace::judge;
use haul_core::pace::Verdict;
use haul_outgoing::{Answer, CallError};
use http::StatusCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers what was learnt last: an attempt makes several calls, and one that works after one that failed says how the
/// provider is now.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<Verdict>>>);

impl Seen {
    /// Takes in one call.
    pub(super) fn note(&self, sent: &Result<Answer, CallError>) {
        // A 429 may be about one object, such as Stripe's `lock_timeout`: the pause that it asks for is this payment's, and
        // all others go on. Too many of them in a row are the provider's.
        let is_everybodys = |answer: &Answer| answer.status != StatusCode::TOO_MANY_REQUESTS;
        let pause = |answer: &Answer| retry_after(&answer.headers).filter(|_| is_everybodys(answer));
        match judge(sent, pause) {
            Verdict::Unknown => {}
            verdict => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict),
        }
    }

    /// What there is to say about the provider.
    pub(super) fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Verdict::Unknown)
    }
}
