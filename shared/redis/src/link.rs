//! The connection to one server or to a cluster.
//!
//! It reconnects by itself, and every call ends within [`Timeouts::response`]. What a call that failed has done is
//! unknown: nothing here sends it again. A cluster's client does, for a few times within the limit, because nodes redirect
//! and hand over slots; every script may run twice.

use crate::{address, door::Server, script::Call};
use haul_core::dispatch::{DispatchError, Result};
use parking_lot::RwLock;
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};
use secrecy::SecretString;
use std::{collections::HashMap, future::Future, time::Duration};
use tokio::time::timeout;

/// How long the network may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until a call is answered, reconnecting included.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), response: Duration::from_secs(3) }
    }
}

/// The connection.
pub(crate) struct Link {
    wire: Wire,
    timeouts: Timeouts,
}

enum Wire {
    One(Box<One>),
    Cluster(ClusterConnection),
}

/// One server, to which the connection can be made anew.
struct One {
    client: Client,
    config: ConnectionManagerConfig,
    manager: RwLock<ConnectionManager>,
}

impl Link {
    /// Connects and looks at the server. Returns the nodes, for connections of other purposes.
    pub(crate) async fn open(url: &SecretString, timeouts: Timeouts) -> Result<(Self, Vec<Client>)> {
        let nodes = address::parse(url, timeouts)?;
        let clients = nodes.iter().cloned().map(Client::open).collect::<RedisResult<Vec<_>>>().map_err(failed)?;
        let info = ask_any(&clients, timeouts).await?;
        let server = Server::read(&info);
        let wire = if server.is_cluster() {
            Wire::Cluster(open_cluster(nodes, timeouts).await?)
        } else {
            server.admit()?;
            if clients.len() > 1 {
                return Err(DispatchError::Misconfigured(
                    "REDIS_URL names several servers, but they are no Redis Cluster; name one".into(),
                ));
            }
            Wire::One(Box::new(One::new(clients[0].clone(), timeouts).map_err(failed)?))
        };
        Ok((Self { wire, timeouts }, clients))
    }

    /// Whether keys of different queues must not meet in one call.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.wire, Wire::Cluster(_))
    }

    /// Calls a script.
    pub(crate) async fn call<T: FromRedisValue>(&self, call: &Call) -> Result<T> {
        let answer = async {
            match self.query(call.cmd()).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.query(&call.with_text()).await
                }
                answer => answer,
            }
        };
        in_time(self.timeouts.response, answer).await
    }

    async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        match &self.wire {
            Wire::Cluster(cluster) => cmd.query_async(&mut cluster.clone()).await,
            Wire::One(one) => {
                let mut manager = one.manager.read().clone();
                let answer = cmd.query_async(&mut manager).await;
                if answer.as_ref().is_err_and(|error: &RedisError| is_replica(error)) {
                    one.reconnect()?;
                }
                answer
            }
        }
    }
}

impl One {
    fn new(client: Client, timeouts: Timeouts) -> RedisResult<Self> {
        // Few and quick attempts: callers retry, and must not hang for a server that is known to be down.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.response))
            .set_number_of_retries(2)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(200));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self { client, config, manager: RwLock::new(manager) })
    }

    /// Leaves a server that has become a replica: the address may lead to its successor by now.
    fn reconnect(&self) -> RedisResult<()> {
        let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone())?;
        *self.manager.write() = manager;
        Ok(())
    }
}

/// `INFO` of the first node that answers.
async fn ask_any(clients: &[Client], timeouts: Timeouts) -> Result<String> {
    let mut last = None;
    for client in clients {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.response));
        let asked = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            redis::cmd("INFO").query_async(&mut connection).await
        };
        match in_time(timeouts.connect + timeouts.response, asked).await {
            Err(error @ DispatchError::Unavailable(_)) => last = Some(error),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(|| DispatchError::Misconfigured("REDIS_URL names no server".into())))
}

async fn open_cluster(nodes: Vec<ConnectionInfo>, timeouts: Timeouts) -> Result<ClusterConnection> {
    let tcp = nodes[0].tcp_settings().clone();
    let client = ClusterClientBuilder::new(nodes)
        .connection_timeout(timeouts.connect)
        .response_timeout(timeouts.response)
        .tcp_settings(tcp)
        .retries(3)
        .min_retry_wait(20)
        .max_retry_wait(500)
        .build()
        .map_err(failed)?;
    let looked_at = async {
        let mut cluster = client.get_async_connection().await?;
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = cluster.route_command(redis::cmd("INFO"), masters).await?;
        Ok((cluster, redis::from_redis_value::<HashMap<String, String>>(answers)?))
    };
    let (cluster, infos) = in_time(timeouts.connect + timeouts.response, looked_at).await?;
    for info in infos.values() {
        Server::read(info).admit()?;
    }
    Ok(cluster)
}

async fn in_time<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(failed),
        Err(elapsed) => Err(DispatchError::Unavailable(elapsed.into())),
    }
}

fn is_replica(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// What an error means to the caller. Whether the call took effect is unknown.
pub(crate) fn failed(error: RedisError) -> DispatchError {
    let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if refused || error.kind() == ErrorKind::AuthenticationFailed {
        return DispatchError::Misconfigured(format!(
            "Redis refuses us: {error}. The user in REDIS_URL needs the keys `haul:*`, the channels `haul:*` and the \
             commands of scripting, publish/subscribe, INFO and PING"
        ));
    }
    DispatchError::Unavailable(error.into())
}
