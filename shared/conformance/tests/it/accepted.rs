//! The reference passes both suites.

mod ledger {
    use async_trait::async_trait;
    use haul_conformance::{
        ledger::{LedgerHarness, LedgerWorld},
        reference::ReferenceLedger,
    };
    use haul_core::{Clock, Ledger};
    use std::{sync::Arc, time::Duration};

    struct Reference;
    struct World(Arc<ReferenceLedger>);

    #[async_trait]
    impl LedgerHarness for Reference {
        async fn fresh(&self) -> Arc<dyn LedgerWorld> {
            Arc::new(World(Arc::new(ReferenceLedger::new(Arc::new(Clock::new())))))
        }
    }

    #[async_trait]
    impl LedgerWorld for World {
        fn ledger(&self) -> Arc<dyn Ledger> {
            self.0.clone()
        }
        async fn age(&self, by: Duration) {
            self.0.age(by);
        }
    }

    haul_conformance::ledger_tests!(Reference);
}

mod dispatch {
    use async_trait::async_trait;
    use haul_conformance::{
        dispatch::{DispatchHarness, DispatchWorld},
        reference::ReferenceDispatch,
    };
    use haul_core::{Clock, Dispatch};
    use std::sync::Arc;

    struct Reference;
    struct World(Arc<ReferenceDispatch>);

    #[async_trait]
    impl DispatchHarness for Reference {
        async fn fresh(&self) -> Arc<dyn DispatchWorld> {
            Arc::new(World(Arc::new(ReferenceDispatch::new(Arc::new(Clock::new())))))
        }
    }

    #[async_trait]
    impl DispatchWorld for World {
        fn dispatch(&self) -> Arc<dyn Dispatch> {
            self.0.clone()
        }
        async fn lose(&self) {
            self.0.lose();
        }
    }

    haul_conformance::dispatch_tests!(Reference);
}
