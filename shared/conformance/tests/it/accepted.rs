//! The reference passes the suites.

mod ledger {
    use crate::worlds::Ledgers;
    haul_conformance::ledger_tests!(Ledgers(|reference| reference as _));
}

mod schedules {
    use crate::worlds::ScheduleStores;
    haul_conformance::schedules_tests!(ScheduleStores(|reference| reference as _));
}

mod endpoints {
    use crate::worlds::EndpointStores;
    haul_conformance::endpoints_tests!(EndpointStores(|reference| reference as _));
}

mod maintenance {
    use crate::worlds::Maintained;
    haul_conformance::maintenance_tests!(Maintained(|reference| reference as _));
}

mod statistics {
    use crate::worlds::Counters;
    haul_conformance::statistics_tests!(Counters(|reference| reference as _));
}

mod fleet {
    use crate::worlds::Fleets;
    haul_conformance::fleet_tests!(Fleets(|reference| reference as _));
}

mod dispatch {
    use crate::worlds::Dispatches;
    haul_conformance::dispatch_tests!(Dispatches(|reference| reference as _));
}

mod books {
    use crate::worlds::BookStores;
    haul_conformance::books_tests!(BookStores(|reference| reference as _));
}
