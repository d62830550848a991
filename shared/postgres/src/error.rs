//! What a failed statement means for its caller.
//!
//! Postgres' codes are sorted by what the caller does next (PostgreSQL documentation, appendix A).

use haul_core::ledger::LedgerError;

/// The server was silent for longer than it may work on a statement.
#[derive(Debug, thiserror::Error)]
#[error("no answer came in time")]
pub(crate) struct Silence;

/// Sorts a failure by what the caller does next.
pub(crate) fn ledger_error(error: sqlx::Error) -> LedgerError {
    use sqlx::Error as E;
    let kind: fn(Box<dyn std::error::Error + Send + Sync>) -> LedgerError = match &error {
        E::Database(refusal) => match refusal.code() {
            Some(code) => by_code(&code),
            None => LedgerError::Corrupt,
        },
        E::Encode(_) | E::InvalidArgument(_) => LedgerError::Refused,
        E::Decode(_)
        | E::ColumnDecode { .. }
        | E::ColumnIndexOutOfBounds { .. }
        | E::ColumnNotFound(_)
        | E::TypeNotFound { .. }
        | E::RowNotFound => LedgerError::Corrupt,
        // Everything else happened to the connection: whether the statement was committed is unknown.
        _ => LedgerError::Unavailable,
    };
    kind(Box::new(error))
}

fn by_code(code: &str) -> fn(Box<dyn std::error::Error + Send + Sync>) -> LedgerError {
    match code {
        // Lock not available, deadlock, serialization failure.
        "55P03" | "40P01" | "40001" => LedgerError::Contended,
        // Timeouts, a standby that is not promoted yet, a plan that an ALTER made stale.
        "57014" | "25P03" | "25006" | "0A000" => LedgerError::Unavailable,
        _ => match code.get(..2) {
            // Connection, insufficient resources, operator intervention, system error, transaction state lost.
            Some("08" | "53" | "57" | "58" | "25" | "40") => LedgerError::Unavailable,
            // Data, constraints, program limits, raised by our own functions.
            Some("22" | "23" | "54" | "P0" | "55") => LedgerError::Refused,
            _ => LedgerError::Corrupt,
        },
    }
}

/// Whether a row was refused because its day has no partition.
pub(crate) fn wants_partition(error: &LedgerError) -> bool {
    let LedgerError::Refused(source) = error else { return false };
    let Some(sqlx::Error::Database(refusal)) = source.downcast_ref::<sqlx::Error>() else { return false };
    // A check violation without a constraint is Postgres' way of saying it.
    refusal.code().as_deref() == Some("23514") && refusal.constraint().is_none()
}

/// Whether a statement of maintenance gave up because others hold what it wants, or was taken away from under it.
pub(crate) fn is_in_the_way(error: &LedgerError) -> bool {
    let (LedgerError::Contended(source) | LedgerError::Unavailable(source) | LedgerError::Corrupt(source)) = error
    else {
        return false;
    };
    let Some(sqlx::Error::Database(refusal)) = source.downcast_ref::<sqlx::Error>() else { return false };
    // Lock not available, deadlock, canceled, undefined table.
    matches!(refusal.code().as_deref(), Some("55P03" | "40P01" | "57014" | "42P01"))
}

/// Whether a row was refused because another has its key.
pub(crate) fn is_duplicate(error: &LedgerError) -> bool {
    let LedgerError::Refused(source) = error else { return false };
    let Some(sqlx::Error::Database(refusal)) = source.downcast_ref::<sqlx::Error>() else { return false };
    refusal.is_unique_violation()
}

/// What is stored cannot be read by this version.
pub(crate) fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    LedgerError::Corrupt(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_the_caller_does_next() {
        let named = |code| by_code(code)(Box::new(Silence));
        for code in ["08006", "57P01", "57P03", "53300", "53100", "58030", "57014", "25006", "25P03"] {
            assert!(matches!(named(code), LedgerError::Unavailable(_)), "{code}");
        }
        for code in ["55P03", "40P01", "40001"] {
            assert!(matches!(named(code), LedgerError::Contended(_)), "{code}");
        }
        for code in ["22021", "22P02", "23505", "23514", "54000"] {
            assert!(matches!(named(code), LedgerError::Refused(_)), "{code}");
        }
        for code in ["42P01", "42501", "XX001", "42703"] {
            assert!(matches!(named(code), LedgerError::Corrupt(_)), "{code}");
        }
    }
}
