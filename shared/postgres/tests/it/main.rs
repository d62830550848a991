//! The ledger in PostgreSQL against real servers: the suite that every ledger passes, and what only this one has.

mod closing;
mod connecting;
mod enqueueing;
mod exclusive;
mod migrating;
mod partitions;
mod retention;
mod transactions;
mod world;

mod ledger {
    use crate::world::PostgresHarness;
    haul_conformance::ledger_tests!(PostgresHarness);
}

mod schedules {
    use crate::world::PostgresHarness;
    haul_conformance::schedules_tests!(PostgresHarness);
}

mod fleet {
    use crate::world::PostgresHarness;
    haul_conformance::fleet_tests!(PostgresHarness);
}

mod statistics {
    use crate::world::PostgresHarness;
    haul_conformance::statistics_tests!(PostgresHarness);
}

mod books {
    use crate::world::PostgresHarness;
    haul_conformance::books_tests!(PostgresHarness);
}

mod endpoints {
    use crate::world::PostgresHarness;
    haul_conformance::endpoints_tests!(PostgresHarness);
}

mod maintenance {
    use crate::world::PostgresHarness;
    haul_conformance::maintenance_tests!(PostgresHarness);
}
