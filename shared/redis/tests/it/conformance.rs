//! The suite that every dispatch passes, on a lone server and on a cluster.

use crate::world::connect;
use async_trait::async_trait;
use haul_conformance::dispatch::{DispatchHarness, DispatchWorld};
use haul_core::Dispatch;
use haul_redis::RedisDispatch;
use haul_testkit::redis::{Cluster, Options, Server};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// The servers of one promise: emptied for each dispatch that it makes, of which it uses the last.
enum Servers {
    Alone(Server),
    /// One cluster for all promises, which take turns.
    Cluster(MutexGuard<'static, Cluster>),
}

impl Servers {
    async fn cluster() -> Self {
        static SHARED: OnceLock<Mutex<Cluster>> = OnceLock::new();
        Self::Cluster(SHARED.get_or_init(|| Mutex::new(Cluster::start(3, 0).unwrap())).lock().await)
    }

    async fn alone() -> Self {
        Self::Alone(Server::start(&Options::default()).unwrap())
    }

    fn urls(&self) -> String {
        match self {
            Self::Alone(server) => server.url(),
            Self::Cluster(cluster) => cluster.urls(),
        }
    }

    fn flush(&self) {
        let servers = match self {
            Self::Alone(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => &cluster.servers,
        };
        for server in servers {
            server.cli(&["FLUSHALL"]).unwrap();
        }
    }
}

struct World {
    servers: Arc<Servers>,
    /// Handed out in turn, as different processes have their own.
    handles: Vec<Arc<RedisDispatch>>,
    turn: AtomicUsize,
}

impl World {
    async fn on(servers: &Arc<Servers>) -> Arc<dyn DispatchWorld> {
        servers.flush();
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(Arc::new(connect(&servers.urls()).await));
        }
        Arc::new(Self { servers: servers.clone(), handles, turn: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl DispatchWorld for World {
    fn dispatch(&self) -> Arc<dyn Dispatch> {
        self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len()].clone()
    }

    async fn lose(&self) {
        self.servers.flush();
    }
}

#[derive(Default)]
struct Alone(OnceCell<Arc<Servers>>);

#[async_trait]
impl DispatchHarness for Alone {
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        World::on(self.0.get_or_init(async || Arc::new(Servers::alone().await)).await).await
    }
}

#[derive(Default)]
struct Clustered(OnceCell<Arc<Servers>>);

#[async_trait]
impl DispatchHarness for Clustered {
    async fn fresh(&self) -> Arc<dyn DispatchWorld> {
        World::on(self.0.get_or_init(async || Arc::new(Servers::cluster().await)).await).await
    }
}

mod alone {
    use super::Alone;
    haul_conformance::dispatch_tests!(Alone::default());
}

mod clustered {
    use super::Clustered;
    haul_conformance::dispatch_tests!(Clustered::default());
}
