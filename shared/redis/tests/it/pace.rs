//! Pace in Redis: the suite on a lone server and on a cluster, and what the server's own clock does.

use crate::world::{connect, eventually};
use async_trait::async_trait;
use haul_conformance::pace::{PaceHarness, PaceWorld};
use haul_core::{
    JobId, Pace,
    pace::{Destination, Enter, Entry, Left, Permit, Rules, Verdict, Why},
};
use haul_redis::{RedisDispatch, RedisPace};
use haul_testkit::redis::{Cluster, Options, Server};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use uuid::Uuid;

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

/// The servers of one promise, and two processes' connections to them.
struct World {
    servers: Arc<Servers>,
    handles: Vec<Arc<RedisPace>>,
    turn: AtomicUsize,
}

impl World {
    async fn on(servers: &Arc<Servers>, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld> {
        servers.flush();
        let mut handles = Vec::new();
        for _ in 0..2 {
            handles.push(Arc::new(connect(&servers.urls()).await.pace().on_clock(time_us.clone())));
        }
        Arc::new(Self { servers: servers.clone(), handles, turn: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl PaceWorld for World {
    fn pace(&self) -> Arc<dyn Pace> {
        self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len()].clone()
    }
    async fn lose(&self) {
        self.servers.flush();
    }
}

#[derive(Default)]
struct Alone(OnceCell<Arc<Servers>>);

#[async_trait]
impl PaceHarness for Alone {
    async fn fresh(&self, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld> {
        let start = async || Arc::new(Servers::Alone(Server::start(&Options::default()).unwrap()));
        World::on(self.0.get_or_init(start).await, time_us).await
    }
}

#[derive(Default)]
struct Clustered(OnceCell<Arc<Servers>>);

#[async_trait]
impl PaceHarness for Clustered {
    async fn fresh(&self, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld> {
        World::on(self.0.get_or_init(async || Arc::new(Servers::cluster().await)).await, time_us).await
    }
}

mod alone {
    use super::Alone;
    haul_conformance::pace_tests!(Alone::default());
}

mod clustered {
    use super::Clustered;
    haul_conformance::pace_tests!(Clustered::default());
}

struct Calls {
    dispatch: RedisDispatch,
    pace: RedisPace,
    to: Destination,
    rules: Rules,
}

impl Calls {
    async fn on(server: &Server) -> Self {
        let dispatch = connect(&server.url()).await;
        let rules = Rules { failures: 1, in_flight: 1, permit: Duration::from_secs(1), ..Rules::default() };
        Self { pace: dispatch.pace(), dispatch, to: Destination::new("http://a.example:80").unwrap(), rules }
    }

    async fn enter(&self) -> Enter {
        let job = JobId(Uuid::new_v4());
        let entry = Entry { destination: &self.to, job, permit: Uuid::new_v4(), rules: &self.rules };
        self.pace.enter(&entry).await.unwrap()
    }

    async fn permit(&self) -> Option<Permit> {
        match self.enter().await {
            Enter::Go(permit) => Some(permit),
            Enter::Wait(..) => None,
        }
    }
}

#[tokio::test]
async fn on_the_servers_clock_permits_of_a_killed_worker_come_back_and_breakers_half_open() {
    let server = Server::start(&Options::default()).unwrap();
    let calls = Calls::on(&server).await;
    let lost = calls.permit().await.unwrap();
    assert!(matches!(calls.enter().await, Enter::Wait(wait, Why::Busy) if wait < Duration::from_secs(1)));
    let permit = eventually(async || calls.permit().await).await;
    assert_eq!(calls.pace.leave(&lost, Verdict::AtFault(None), &calls.rules).await.unwrap(), Left::NotHeld);
    let left = calls.pace.leave(&permit, Verdict::AtFault(None), &calls.rules).await.unwrap();
    assert!(matches!(left, Left::Changed(_)));
    assert!(matches!(calls.enter().await, Enter::Wait(_, Why::Open)));
    assert!(eventually(async || calls.permit().await).await.is_probe);
    assert!(calls.dispatch.pace().list(10).await.unwrap()[0].in_flight == 1, "all share one truth");
}

#[tokio::test]
async fn everything_that_is_kept_expires() {
    let server = Server::start(&Options::default()).unwrap();
    let calls = Calls::on(&server).await;
    let permit = calls.permit().await.unwrap();
    calls.enter().await;
    assert!(calls.pace.extend(&permit, &calls.rules).await.unwrap());
    calls.pace.leave(&permit, Verdict::AtFault(None), &calls.rules).await.unwrap();
    for _ in 0..3 {
        calls.enter().await;
    }
    let keys = server.cli(&["KEYS", "haul:pace*"]).unwrap();
    assert!(keys.lines().count() >= 3, "{keys}");
    for key in keys.lines() {
        let ttl: i64 = server.cli(&["TTL", key]).unwrap().parse().unwrap();
        assert!((1..=4 * 3_600).contains(&ttl), "{key} is kept for {ttl} s");
    }
}

#[tokio::test]
async fn a_list_of_destinations_that_is_full_lets_others_through_uncounted() {
    let server = Server::start(&Options::default()).unwrap();
    let fill = "for i = 1, 10000 do redis.call('ZADD', 'haul:pace', 9e15, 'http://h' .. i .. ':80') end";
    server.cli(&["EVAL", fill, "0"]).unwrap();
    let calls = Calls::on(&server).await;
    for _ in 0..3 {
        let permit = calls.permit().await.unwrap();
        let left = calls.pace.leave(&permit, Verdict::AtFault(None), &calls.rules).await.unwrap();
        assert_eq!(left, Left::NotHeld);
    }
}
