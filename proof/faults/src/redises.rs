//! The Redis of a run: one server, a cluster, or a master behind Sentinels.

use anyhow::{Result, bail};
use haul_testkit::redis::{Cluster, Options, Sentinel, Server};

/// What a run needs.
#[derive(Debug, Clone)]
pub enum RedisSetup {
    /// One server.
    Alone(Options),
    /// Three masters with a replica each.
    Cluster,
    /// A master with two replicas, watched by three Sentinels.
    Sentinel,
}

/// What a run has.
pub enum Redis {
    /// One server.
    Alone(Server),
    /// A cluster.
    Cluster(Cluster),
    /// A master behind Sentinels.
    Sentinel(Sentinel),
}

impl Redis {
    pub(crate) fn start(setup: &RedisSetup) -> Result<Self> {
        Ok(match setup {
            RedisSetup::Alone(options) => Self::Alone(Server::start(options)?),
            RedisSetup::Cluster => Self::Cluster(Cluster::start(3, 1)?),
            RedisSetup::Sentinel => Self::Sentinel(Sentinel::start(2, 3)?),
        })
    }

    /// The one server.
    pub fn alone(&mut self) -> Result<&mut Server> {
        match self {
            Self::Alone(server) => Ok(server),
            Self::Cluster(_) | Self::Sentinel(_) => bail!("this run's Redis is more than one server"),
        }
    }

    /// The URL for clients: of one server, through a proxy at `port` when there is one.
    pub(crate) fn url(&self, port: Option<u16>) -> String {
        match (self, port) {
            (Self::Alone(_), Some(port)) => format!("redis://127.0.0.1:{port}"),
            (Self::Alone(server), None) => server.url(),
            (Self::Cluster(cluster), _) => cluster.urls(),
            (Self::Sentinel(sentinel), _) => sentinel.url(),
        }
    }
}
