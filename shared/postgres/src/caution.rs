//! Whether to look before writing.
//!
//! Rows are written without looking for others with the same key: those are rare, and looking costs half as much again
//! as writing (docs/decisions/0012). When there is one, the statement fails as a whole, the same rows are sent with the
//! statement that looks, and for a while so are those that follow: trouble seldom comes alone.

use crate::error::is_duplicate;
use haul_core::ledger::Result;
use std::sync::atomic::{AtomicU32, Ordering};

/// Batches that are sent with caution after a duplicate.
const BATCHES: u32 = 16;

/// How long to go on looking first.
#[derive(Debug, Default)]
pub(crate) struct Caution {
    batches_left: AtomicU32,
}

impl Caution {
    /// Whether this batch is to be sent with caution.
    pub(crate) fn is_called_for(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.batches_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// Whether the answer to a batch that was sent without caution is that it should have been.
    pub(crate) fn is_taught_by<T>(&self, answer: &Result<T>) -> bool {
        let is_taught = answer.as_ref().is_err_and(is_duplicate);
        if is_taught {
            self.batches_left.store(BATCHES, Ordering::Relaxed);
        }
        is_taught
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::ledger::LedgerError;

    #[test]
    fn without_a_duplicate_there_is_no_caution() {
        let caution = Caution::default();
        assert!(!caution.is_called_for());
        assert!(!caution.is_taught_by(&Ok(())));
        assert!(!caution.is_taught_by::<()>(&Err(LedgerError::LimitReached(String::new()))));
        assert!(!caution.is_called_for());
    }

    #[test]
    fn caution_ends() {
        let caution = Caution { batches_left: AtomicU32::new(2) };
        assert_eq!([caution.is_called_for(), caution.is_called_for(), caution.is_called_for()], [true, true, false]);
    }
}
