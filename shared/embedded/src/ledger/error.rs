//! What SQLite says, in the words of the ledger's contract.

use haul_core::ledger::LedgerError;
use sqlx::error::DatabaseError;

/// Result codes (<https://www.sqlite.org/rescode.html>), without their extensions.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const ERROR: i32 = 1;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const NOT_A_DATABASE: i32 = 26;
    pub(super) const SCHEMA: i32 = 17;
    pub(super) const TOO_BIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
}

/// Sorts an error by what the caller does next. What may pass by itself, a full disk included, is `Unavailable`.
pub(super) fn ledger_error(error: sqlx::Error) -> LedgerError {
    use sqlx::Error as E;
    match &error {
        E::Database(said) => match primary_code(&**said) {
            code::BUSY | code::LOCKED => LedgerError::Contended(error.into()),
            code::CONSTRAINT | code::TOO_BIG | code::MISMATCH => LedgerError::Refused(error.into()),
            code::CORRUPT | code::NOT_A_DATABASE | code::SCHEMA | code::ERROR => LedgerError::Corrupt(error.into()),
            _ => LedgerError::Unavailable(error.into()),
        },
        E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. } | E::RowNotFound => {
            LedgerError::Corrupt(error.into())
        }
        _ => LedgerError::Unavailable(error.into()),
    }
}

fn primary_code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse::<i32>().ok()).map_or(0, |code| code & 0xff)
}

/// A stored value that no version of ours has written.
pub(super) fn corrupt(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LedgerError {
    LedgerError::Corrupt(what.into())
}
