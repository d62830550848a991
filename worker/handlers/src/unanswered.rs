//! What an attempt does when a call has no answer.

use haul_outgoing::CallError;
use haul_worker::HandlerError;

/// Refused is refused for good; where the other side may be reached later, another attempt is made.
pub(crate) fn no_answer(error: CallError) -> HandlerError {
    match error {
        CallError::Refused(refusal) => HandlerError::do_not_retry(refusal),
        // The next answer would be as large, and the request would be performed once more.
        error @ CallError::TooLarge { .. } => HandlerError::do_not_retry(error),
        error @ (CallError::NotSent { .. } | CallError::Unknown { .. }) => HandlerError::retry(error),
    }
}
