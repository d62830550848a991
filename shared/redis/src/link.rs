//! The connection to one server, to the master behind Sentinels, or to a cluster.
//!
//! It reconnects by itself, and every call ends within [`Timeouts::response`]. What a call that failed has done is
//! unknown: nothing here sends it again. A cluster's client does, for a few times within the limit, because nodes redirect
//! and hand over slots; every script may run twice.

use crate::{
    address::{self, Address},
    door::Server,
    guard::{Guard, Verdict},
    script::Call,
    sentinel::Sentinels,
};
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
use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// Why a call has no answer.
pub(crate) enum CallError {
    /// The queue is split over so many slots; nothing was done.
    Slots(u16),
    /// Something else.
    Failed(DispatchError),
}

impl From<CallError> for DispatchError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Slots(_) => Self::Unavailable("the queue was just split anew".into()),
            CallError::Failed(error) => error,
        }
    }
}

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
    wire: Arc<Wire>,
    verdict: Arc<Verdict>,
    _guard: AbortOnDropHandle<()>,
}

/// What leads to the servers.
pub(crate) enum Wire {
    One(Box<One>),
    Cluster(Box<ClusterConnection>, Timeouts),
}

/// One server, to which the connection can be made anew.
pub(crate) struct One {
    leads_to: RwLock<(Client, ConnectionManager)>,
    timeouts: Timeouts,
}

impl Link {
    /// Connects and looks at the servers. Returns them too, for connections of other purposes: they may change.
    pub(crate) async fn open(url: &SecretString, timeouts: Timeouts) -> Result<(Self, watch::Receiver<Vec<Client>>)> {
        let (wire, clients, sentinels) = match address::parse(url, timeouts)? {
            Address::Servers(nodes) => {
                let (wire, clients) = open_servers(nodes, timeouts).await?;
                (wire, clients, None)
            }
            Address::Sentinels(address) => {
                let sentinels = Sentinels::open(address, timeouts).map_err(failed)?;
                let master = sentinels.master().await?;
                let info = ask(&master, timeouts).await?;
                let server = Server::read(&info);
                server.admit()?;
                if !server.is_master() {
                    return Err(DispatchError::Unavailable("the Sentinels name a server that is no master yet".into()));
                }
                (One::open(master.clone(), timeouts)?, vec![master], Some(sentinels))
            }
        };
        let (wire, verdict) = (Arc::new(wire), Arc::new(Verdict::default()));
        let (servers, seen) = watch::channel(clients);
        let guard = Guard { wire: wire.clone(), sentinels, verdict: verdict.clone(), servers };
        let guard = AbortOnDropHandle::new(tokio::spawn(guard.run()));
        Ok((Self { wire, verdict, _guard: guard }, seen))
    }

    /// Whether keys of different queues must not meet in one call.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(*self.wire, Wire::Cluster(..))
    }

    /// Calls a script.
    pub(crate) async fn call<T: FromRedisValue>(&self, call: Call) -> std::result::Result<T, CallError> {
        self.verdict.check().map_err(CallError::Failed)?;
        let call = call.seal();
        let answer = async {
            match self.wire.query(call.cmd()).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.wire.query(&call.with_text()).await
                }
                answer => answer,
            }
        };
        let error = match timeout(self.wire.timeouts().response, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if error.code() == Some("SLOTS") => return Err(CallError::Slots(slots(&error))),
            Ok(Err(error)) => failed(error),
            Err(elapsed) => DispatchError::Unavailable(elapsed.into()),
        };
        self.verdict.doubt();
        Err(CallError::Failed(error))
    }
}

impl Wire {
    pub(crate) fn timeouts(&self) -> Timeouts {
        match self {
            Self::One(one) => one.timeouts,
            Self::Cluster(_, timeouts) => *timeouts,
        }
    }

    async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        match self {
            Self::Cluster(cluster, _) => cmd.query_async(&mut (**cluster).clone()).await,
            Self::One(one) => {
                let mut manager = one.leads_to.read().1.clone();
                let answer = cmd.query_async(&mut manager).await;
                if answer.as_ref().is_err_and(|error: &RedisError| is_replica(error)) {
                    one.reconnect()?;
                }
                answer
            }
        }
    }

    /// What each master says about itself, in the sections that [`Server`] reads.
    pub(crate) async fn infos(&self) -> RedisResult<Vec<String>> {
        let mut info = redis::cmd("INFO");
        info.arg(&["server", "memory", "cluster", "replication"]);
        match self {
            Self::One(_) => Ok(vec![self.query(&info).await?]),
            Self::Cluster(cluster, _) => ask_masters(&mut (**cluster).clone(), info).await,
        }
    }
}

/// Few and quick attempts: callers retry, and must not hang for a server that is known to be down.
pub(crate) fn manager_config(timeouts: Timeouts) -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeouts.connect))
        .set_response_timeout(Some(timeouts.response))
        .set_number_of_retries(2)
        .set_min_delay(Duration::from_millis(50))
        .set_max_delay(Duration::from_millis(200))
}

impl One {
    fn open(client: Client, timeouts: Timeouts) -> Result<Wire> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), manager_config(timeouts));
        let leads_to = RwLock::new((client, manager.map_err(failed)?));
        Ok(Wire::One(Box::new(Self { leads_to, timeouts })))
    }

    pub(crate) fn leads_to(&self, client: &Client) -> bool {
        self.leads_to.read().0.get_connection_info().addr() == client.get_connection_info().addr()
    }

    /// From now on, calls go to this server. Those under way end by themselves.
    pub(crate) fn lead_to(&self, client: Client) -> RedisResult<()> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), manager_config(self.timeouts))?;
        *self.leads_to.write() = (client, manager);
        Ok(())
    }

    /// Leaves a server that has become a replica: the address may lead to its successor by now.
    pub(crate) fn reconnect(&self) -> RedisResult<()> {
        let client = self.leads_to.read().0.clone();
        self.lead_to(client)
    }
}

async fn open_servers(nodes: Vec<ConnectionInfo>, timeouts: Timeouts) -> Result<(Wire, Vec<Client>)> {
    let clients = nodes.iter().cloned().map(Client::open).collect::<RedisResult<Vec<_>>>().map_err(failed)?;
    let info = ask_any(&clients, timeouts).await?;
    let server = Server::read(&info);
    if server.is_cluster() {
        return Ok((open_cluster(nodes, timeouts).await?, clients));
    }
    server.admit()?;
    if clients.len() > 1 {
        return Err(DispatchError::Misconfigured(
            "REDIS_URL names several servers, but they are no Redis Cluster; name one".into(),
        ));
    }
    Ok((One::open(clients[0].clone(), timeouts)?, clients))
}

/// `INFO` of the first node that answers.
async fn ask_any(clients: &[Client], timeouts: Timeouts) -> Result<String> {
    let mut last = None;
    for client in clients {
        match ask(client, timeouts).await {
            Err(error @ DispatchError::Unavailable(_)) => last = Some(error),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(|| DispatchError::Misconfigured("REDIS_URL names no server".into())))
}

/// `INFO` of one server, over a connection of its own.
pub(crate) async fn ask(client: &Client, timeouts: Timeouts) -> Result<String> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeouts.connect))
        .set_response_timeout(Some(timeouts.response));
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("INFO").query_async(&mut connection).await
    };
    in_time(timeouts.connect + timeouts.response, asked).await
}

/// `INFO` of every master.
async fn ask_masters(cluster: &mut ClusterConnection, info: Cmd) -> RedisResult<Vec<String>> {
    let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let answers = cluster.route_command(info, masters).await?;
    Ok(redis::from_redis_value::<HashMap<String, String>>(answers)?.into_values().collect())
}

async fn open_cluster(nodes: Vec<ConnectionInfo>, timeouts: Timeouts) -> Result<Wire> {
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
        let infos = ask_masters(&mut cluster, redis::cmd("INFO")).await?;
        Ok((cluster, infos))
    };
    let (cluster, infos) = in_time(timeouts.connect + timeouts.response, looked_at).await?;
    for info in &infos {
        Server::read(info).admit()?;
    }
    Ok(Wire::Cluster(Box::new(cluster), timeouts))
}

/// Bounds an answer that may hang with its server.
pub(crate) async fn in_time<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(failed),
        Err(elapsed) => Err(DispatchError::Unavailable(elapsed.into())),
    }
}

/// The number behind the error `SLOTS`; redis may add where in the script it was made.
fn slots(error: &RedisError) -> u16 {
    let number = error.detail().and_then(|detail| detail.split([' ', ',']).next());
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
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
