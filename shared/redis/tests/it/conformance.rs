//! The suite that every dispatch passes, on a lone server and on a cluster.

use crate::world::connect;
use async_trait::async_trait;
use haul_conformance::dispatch::{DispatchHarness, DispatchWorld};
use haul_core::Dispatch;
use haul_redis::RedisDispatch;
use haul_testkit::redis::{Cluster, Options, Server};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Mutex, MutexGuard};

/// A server for each promise.
struct Alone;

struct AloneWorld {
    server: Server,
    dispatch: Arc<RedisDispatch>,
}

#[async_trait]
impl DispatchHarness for Alone {
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        let server = Server::start(&Options::default()).unwrap();
        let dispatch = Arc::new(connect(&server.url()).await);
        Arc::new(AloneWorld { server, dispatch })
    }
}

#[async_trait]
impl DispatchWorld for AloneWorld {
    fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.dispatch.clone()
    }

    async fn lose(&self) {
        self.server.cli(&["FLUSHALL"]).unwrap();
    }
}

/// One cluster for all promises, emptied before each: they take turns.
struct Clustered;

struct ClusteredWorld {
    cluster: MutexGuard<'static, Cluster>,
    dispatch: Arc<RedisDispatch>,
}

fn flush(cluster: &Cluster) {
    for server in &cluster.servers {
        server.cli(&["FLUSHALL"]).unwrap();
    }
}

#[async_trait]
impl DispatchHarness for Clustered {
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        static SHARED: OnceLock<Mutex<Cluster>> = OnceLock::new();
        let cluster = SHARED.get_or_init(|| Mutex::new(Cluster::start(3, 0).unwrap())).lock().await;
        flush(&cluster);
        let dispatch = Arc::new(connect(&cluster.urls()).await);
        Arc::new(ClusteredWorld { cluster, dispatch })
    }
}

#[async_trait]
impl DispatchWorld for ClusteredWorld {
    fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.dispatch.clone()
    }

    async fn lose(&self) {
        flush(&self.cluster);
    }
}

mod alone {
    use super::Alone;
    haul_conformance::dispatch_tests!(Alone);
}

mod clustered {
    use super::Clustered;
    haul_conformance::dispatch_tests!(Clustered);
}
