//! The reference passes both suites.

mod ledger {
    use crate::worlds::Ledgers;
    haul_conformance::ledger_tests!(Ledgers(|reference| reference as _));
}

mod dispatch {
    use crate::worlds::Dispatches;
    haul_conformance::dispatch_tests!(Dispatches(|reference| reference as _));
}
