//! The watch over the servers that a link leads to.
//!
//! Every second, and at once when a call fails, it looks whether they are still those that may be let in (a failover
//! brings another, an operator may change one) and, behind Sentinels, who the master is. A master that was replaced may go on
//! answering, cut off from its successor: no error would ever tell.

use crate::{
    door::Server,
    link::{Wire, ask, failed, in_time},
    sentinel::Sentinels,
};
use haul_core::{
    dispatch::{DispatchError, Result},
    telemetry::DISPATCH_EVICTS,
};
use parking_lot::RwLock;
use redis::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often at most, however many calls fail.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What the watch and the calls tell each other.
#[derive(Default)]
pub(crate) struct Verdict {
    is_refused: AtomicBool,
    why: RwLock<String>,
    doubt: Notify,
}

impl Verdict {
    /// Whether calls may be made.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_refused.load(Ordering::Acquire) {
            return Err(DispatchError::Misconfigured(self.why.read().clone()));
        }
        Ok(())
    }

    /// A call failed: the server may be another one by now.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }

    fn set(&self, admitted: Result<()>) {
        match admitted {
            Ok(()) => {
                if self.is_refused.swap(false, Ordering::AcqRel) {
                    tracing::info!("Redis is used again");
                }
            }
            Err(refusal) => {
                *self.why.write() = refusal.to_string();
                if !self.is_refused.swap(true, Ordering::AcqRel) {
                    tracing::error!("Redis is not used until this is mended: {refusal}");
                }
            }
        }
    }
}

/// The watch over one link.
pub(crate) struct Guard {
    pub(crate) wire: Arc<Wire>,
    pub(crate) sentinels: Option<Sentinels>,
    pub(crate) verdict: Arc<Verdict>,
    /// The servers for connections of other purposes.
    pub(crate) servers: watch::Sender<Vec<Client>>,
}

impl Guard {
    pub(crate) async fn run(self) {
        loop {
            sleep(LOOK_PAUSE).await;
            // Too late is as good as a doubt.
            timeout(LOOK_EVERY - LOOK_PAUSE, self.verdict.doubt.notified()).await.ok();
            if let Err(error) = self.look().await {
                // Whoever calls hears of it too.
                tracing::debug!(error = &error as &dyn std::error::Error, "Redis could not be looked at");
            }
        }
    }

    async fn look(&self) -> Result<()> {
        let timeouts = self.wire.timeouts();
        if let (Some(sentinels), Wire::One(one)) = (&self.sentinels, &*self.wire) {
            let master = sentinels.master().await?;
            if !one.leads_to(&master) {
                let info = ask(&master, timeouts).await?;
                let server = Server::read(&info);
                if server.is_master() {
                    one.lead_to(master.clone()).map_err(failed)?;
                    tracing::warn!(master = %master.get_connection_info().addr(), "the Sentinels name another master");
                    self.verdict.set(server.admit());
                    self.servers.send_replace(vec![master]);
                }
                return Ok(());
            }
        }
        let infos = in_time(timeouts.connect, self.wire.infos()).await?;
        let servers = || infos.iter().map(|info| Server::read(info));
        metrics::gauge!(DISPATCH_EVICTS).set(if servers().any(|server| server.evicts()) { 1 } else { 0 });
        self.verdict.set(servers().try_for_each(|server| server.admit()));
        if let Wire::One(one) = &*self.wire
            && !servers().all(|server| server.is_master())
        {
            one.reconnect().map_err(failed)?;
        }
        Ok(())
    }
}
