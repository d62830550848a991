//! Round trips: how long calls to the stores take, and which of them fail, by operation.
//!
//! A store is wrapped once, when it is opened, and never when metrics are off. Handles are looked up then, not per call.

mod dispatch;
mod ledger;

pub(crate) use dispatch::MeteredDispatch;
pub(crate) use ledger::MeteredLedger;

use haul_core::{
    dispatch::DispatchError,
    ledger::LedgerError,
    telemetry::{DISPATCH_ERRORS_TOTAL, DISPATCH_SECONDS, LEDGER_ERRORS_TOTAL, LEDGER_SECONDS},
};
use metrics::{Counter, Histogram};
use tokio::time::Instant;

/// One operation of a store.
struct Call {
    operation: &'static str,
    errors_total: &'static str,
    seconds: Histogram,
    /// The error that an outage brings by the thousand, and that is watched from the beginning.
    unavailable: Counter,
}

impl Call {
    fn of_ledger(operation: &'static str) -> Self {
        Self::new(operation, LEDGER_SECONDS, LEDGER_ERRORS_TOTAL)
    }

    fn of_dispatch(operation: &'static str) -> Self {
        Self::new(operation, DISPATCH_SECONDS, DISPATCH_ERRORS_TOTAL)
    }

    fn new(operation: &'static str, seconds: &'static str, errors_total: &'static str) -> Self {
        Self {
            operation,
            errors_total,
            seconds: metrics::histogram!(seconds, "operation" => operation),
            unavailable: metrics::counter!(errors_total, "operation" => operation, "error" => UNAVAILABLE),
        }
    }

    async fn time<T, E: Named>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let answer = call.await;
        match &answer {
            Ok(_) => self.seconds.record(began.elapsed()),
            Err(error) => match error.word() {
                UNAVAILABLE => self.unavailable.increment(1),
                word => {
                    metrics::counter!(self.errors_total, "operation" => self.operation, "error" => word).increment(1);
                }
            },
        }
        answer
    }
}

const UNAVAILABLE: &str = "unavailable";

/// An error with a word for the label `error`.
trait Named {
    fn word(&self) -> &'static str;
}

impl Named for LedgerError {
    fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Contended(_) => "contended",
            Self::Refused(_) => "refused",
            Self::LimitReached(_) => "limit_reached",
            Self::Corrupt(_) => "corrupt",
        }
    }
}

impl Named for DispatchError {
    fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}

/// The operations of a port, each with its handles.
macro_rules! calls {
    ({ $($operation:ident),* $(,)? }) => {
        struct Calls {
            $($operation: Call,)*
        }

        impl Calls {
            fn new(call: fn(&'static str) -> Call) -> Self {
                Self { $($operation: call(stringify!($operation)),)* }
            }
        }
    };
}
use calls;
