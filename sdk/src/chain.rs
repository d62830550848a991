//! An error with its causes, in one line.

use std::error::Error;

/// The error and its causes, parted by colons. A cause that its effect has quoted already is not said twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::ledger::LedgerError;

    #[test]
    fn causes_follow_their_effects() {
        let error = LedgerError::Unavailable(std::io::Error::other("connection refused").into());
        assert_eq!(chain(&error), "the ledger is not reachable: connection refused");
    }
}
