//! What every ledger, every store of schedules, every dispatch and every store of pace must pass: one suite each, the same for all adapters, with no skips.
//!
//! A *promise* is an async function named after what it checks; it panics when the promise is broken. An adapter lists
//! them all in its own test binary:
//!
//! ```text
//! mod ledger {
//!     use super::SqliteHarness;
//!     haul_conformance::ledger_tests!(SqliteHarness::default());
//! }
//! ```
//!
//! Each promise gets a harness of its own, made by that expression (which may `await`) inside the test's runtime. What
//! a harness must do is small: [`ledger::LedgerHarness`], [`schedules::SchedulesHarness`],
//! [`maintenance::MaintenanceHarness`], [`dispatch::DispatchHarness`] and [`pace::PaceHarness`].
//!
//! [`reference`] is the yardstick: the property tests compare adapters with it. The tests of this crate hold adapters
//! that break one promise each, and show that the suites find every one of them.
//!
//! Promises do not rely on real time where they can: what must hold is given long leases, what must expire is given
//! short ones and waited for with a generous limit.

pub mod books;
pub mod dispatch;
pub mod endpoints;
pub mod fleet;
pub mod ledger;
pub mod maintenance;
pub mod pace;
mod property;
pub mod reference;
mod run;
pub mod schedules;
pub mod statistics;

pub(crate) use run::at_once;
pub use run::{Promise, eventually, run};

/// Lists every promise of a ledger as a test of its own. Takes an expression that makes a
/// [`LedgerHarness`](crate::ledger::LedgerHarness).
#[macro_export]
macro_rules! ledger_tests {
    ($harness:expr) => {
        $crate::__ledger_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a store of schedules as a test of its own. Takes an expression that makes a
/// [`SchedulesHarness`](crate::schedules::SchedulesHarness).
#[macro_export]
macro_rules! schedules_tests {
    ($harness:expr) => {
        $crate::__schedules_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a store of payments as a test of its own. Takes an expression that makes a
/// [`BooksHarness`](crate::books::BooksHarness).
#[macro_export]
macro_rules! books_tests {
    ($harness:expr) => {
        $crate::__books_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a store of endpoints as a test of its own. Takes an expression that makes an
/// [`EndpointsHarness`](crate::endpoints::EndpointsHarness).
#[macro_export]
macro_rules! endpoints_tests {
    ($harness:expr) => {
        $crate::__endpoints_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a fleet as a test of its own. Takes an expression that makes a
/// [`FleetHarness`](crate::fleet::FleetHarness).
#[macro_export]
macro_rules! fleet_tests {
    ($harness:expr) => {
        $crate::__fleet_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a ledger's maintenance as a test of its own. Takes an expression that makes a
/// [`MaintenanceHarness`](crate::maintenance::MaintenanceHarness).
#[macro_export]
macro_rules! maintenance_tests {
    ($harness:expr) => {
        $crate::__maintenance_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a ledger that counts as a test of its own. Takes an expression that makes a
/// [`StatisticsHarness`](crate::statistics::StatisticsHarness).
#[macro_export]
macro_rules! statistics_tests {
    ($harness:expr) => {
        $crate::__statistics_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a dispatch as a test of its own. Takes an expression that makes a
/// [`DispatchHarness`](crate::dispatch::DispatchHarness).
#[macro_export]
macro_rules! dispatch_tests {
    ($harness:expr) => {
        $crate::__dispatch_promises! { __tests ($harness) }
    };
}

/// Lists every promise of a store of pace as a test of its own. Takes an expression that makes a
/// [`PaceHarness`](crate::pace::PaceHarness).
#[macro_export]
macro_rules! pace_tests {
    ($harness:expr) => {
        $crate::__pace_promises! { __tests ($harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($suite:ident ($harness:expr) $($module:ident { $($name:ident),* $(,)? })*) => {
        $(
            mod $module {
                #[allow(unused_imports)]
                use super::*;
                $(
                    #[test]
                    fn $name() {
                        $crate::run(async {
                            let harness = ::std::sync::Arc::new($harness);
                            let stage = $crate::$suite::Stage::new(harness).await;
                            $crate::$suite::$module::$name(stage).await;
                        });
                    }
                )*
            }
        )*
    };
}

/// The same list as values, for whoever runs promises without libtest.
macro_rules! promises {
    ($suite:ident () $($module:ident { $($name:ident),* $(,)? })*) => {
        /// Every promise of the suite.
        pub const PROMISES: &[$crate::Promise<Stage>] = &[$($(
            $crate::Promise {
                name: concat!(stringify!($module), "::", stringify!($name)),
                check: |stage| ::std::boxed::Box::pin($module::$name(stage)),
            },
        )*)*];
    };
}
pub(crate) use promises;
