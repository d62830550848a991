//! Who the master is, as the Sentinels see it.
//!
//! All of them are asked, and the one with the newest configuration is believed: behind a cut in the network, one that has
//! missed a failover would lead to a master that was replaced.

use crate::{
    address::SentinelAddress,
    link::{Timeouts, manager_config},
};
use futures::{StreamExt, stream::FuturesUnordered};
use haul_core::dispatch::{DispatchError, Result};
use redis::{Client, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::ConnectionManager};
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long the others are waited for when one has answered.
const OTHERS_MAX: Duration = Duration::from_millis(250);

/// Sentinels, and the master that they watch.
pub(crate) struct Sentinels {
    address: Box<SentinelAddress>,
    connections: Vec<ConnectionManager>,
    timeouts: Timeouts,
}

/// What one Sentinel says.
struct Answer {
    /// The number of the failover that made this master one.
    epoch: u64,
    host: String,
    port: u16,
}

impl Sentinels {
    /// Connects when it is asked, and again whenever that is needed.
    pub(crate) fn open(address: Box<SentinelAddress>, timeouts: Timeouts) -> RedisResult<Self> {
        let connect = |sentinel: &ConnectionInfo| {
            ConnectionManager::new_lazy_with_config(Client::open(sentinel.clone())?, manager_config(timeouts))
        };
        let connections = address.sentinels.iter().map(connect).collect::<RedisResult<_>>()?;
        Ok(Self { address, connections, timeouts })
    }

    /// The way to the master. Whether it is one, and takes us, is for the caller to see.
    pub(crate) async fn master(&self) -> Result<Client> {
        let mut answers: FuturesUnordered<_> = self.connections.iter().map(|sentinel| self.ask(sentinel)).collect();
        let mut until = Instant::now() + self.timeouts.connect + self.timeouts.response;
        let (mut newest, mut error): (Option<Answer>, Option<RedisError>) = (None, None);
        // Whoever is too late is not heard.
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            match answer {
                Ok(answer) if newest.as_ref().is_none_or(|newest| newest.epoch < answer.epoch) => newest = Some(answer),
                Ok(_) => {}
                Err(other) => error = Some(other),
            }
            if newest.is_some() {
                until = until.min(Instant::now() + OTHERS_MAX);
            }
        }
        match (newest, error) {
            (Some(Answer { host, port, .. }), _) => {
                Client::open(self.address.master_at(host, port)).map_err(|error| self.failed(error))
            }
            (None, Some(error)) => Err(self.failed(error)),
            (None, None) => Err(DispatchError::Unavailable("no Sentinel answered in time".into())),
        }
    }

    async fn ask(&self, sentinel: &ConnectionManager) -> RedisResult<Answer> {
        let mut sentinel = sentinel.clone();
        let mut query = redis::cmd("SENTINEL");
        let seen: HashMap<String, String> =
            query.arg("MASTER").arg(&self.address.name).query_async(&mut sentinel).await?;
        // After the epoch, so that the address is at least as new. `SENTINEL MASTER` has an address too, but in the Sentinel that
        // leads a failover that is the old one until every replica follows.
        let mut query = redis::cmd("SENTINEL");
        let (host, port) =
            query.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.address.name).query_async(&mut sentinel).await?;
        let epoch = seen.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        Ok(Answer { epoch, host, port })
    }

    fn failed(&self, error: RedisError) -> DispatchError {
        let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if refused || error.kind() == ErrorKind::AuthenticationFailed {
            return DispatchError::Misconfigured(format!(
                "a Sentinel refuses us: {error}. Its own user and password are given as \
                 ?sentinel_username=...&sentinel_password=... at the end of REDIS_URL"
            ));
        }
        if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) {
            let says = error.detail().unwrap_or_default();
            if says.contains("No such master") {
                return DispatchError::Misconfigured(format!(
                    "the Sentinels in REDIS_URL watch no master named {:?}",
                    self.address.name
                ));
            }
            if says.contains("unknown command") {
                return DispatchError::Misconfigured(
                    "REDIS_URL begins with redis+sentinel://, but a server in it is no Sentinel".into(),
                );
            }
        }
        DispatchError::Unavailable(error.into())
    }
}
