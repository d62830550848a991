//! A process of Haul, from its start to its end: what all roles need around them.
//!
//! [`Process::start`] sets up logs, metrics, spans, TLS, signals and the ops listener, before any store is reached, so that a
//! process that waits for its stores can be seen waiting. [`Process::run`] reaches the stores, begins the roles that need
//! them, and keeps upkeep going until the last role has drained. A role that fails takes the others down with it, and its
//! error is the process's: a supervisor starts it anew.

use crate::{
    chain::chain,
    doors::Doors,
    lookout::Lookout,
    plan::Plan,
    settings::Settings,
    signals,
    stores::{OpenError, Stores, Watch},
    telemetry::{Metrics, Page, TelemetryError, log_filter, spans, start_logging},
    tls,
    upkeep::{Tell, Upkeep},
};
use haul_api::ops::OpsDeps;
use haul_core::{
    ProcessId, Readiness,
    config::WorkerConfig,
    fleet::{About, Report, Work},
    ledger::PoolUse,
    telemetry,
};
use haul_handlers::EquipmentError;
use haul_worker::{BuildError, ServeError};
use parking_lot::Mutex;
use secrecy::SecretString;
use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    task::{self, JoinError, JoinSet},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long upkeep and the ops listener may take to end, after the last role has.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// Why a process could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Logs or metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; another Haul may be running there")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A store refused us.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The handlers cannot be put together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What the built-in kinds need cannot be had.
    #[error(transparent)]
    Equipment(#[from] EquipmentError),
    /// This process is there for suspects, and cannot run them.
    #[error(transparent)]
    Suspects(#[from] ServeError),
    /// A role failed.
    #[error("the {role} failed")]
    Role {
        /// Which role.
        role: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A role at work: ends when the shutdown token is cancelled and it has drained, or when it fails.
pub struct Role {
    name: &'static str,
    work: Pin<Box<dyn Future<Output = RoleEnd> + Send>>,
}

type RoleEnd = Result<(), Box<dyn Error + Send + Sync>>;

impl Role {
    /// A role by this name.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        Self { name, work: Box::pin(async move { work.await.map_err(Into::into) }) }
    }
}

/// What surrounds the roles of a process.
pub struct Process {
    id: ProcessId,
    role: String,
    about: Arc<Mutex<About>>,
    busy: Arc<AtomicUsize>,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: CancellationToken,
    /// Cancelled after the last role has ended.
    end: CancellationToken,
    background: TaskTracker,
    roles: JoinSet<RoleEnd>,
    names: HashMap<task::Id, &'static str>,
    failure: Option<ProcessError>,
}

impl Process {
    /// Sets everything up. `role` is what the process tells about itself.
    pub async fn start(role: &str, settings: &Settings) -> Result<Self, ProcessError> {
        start_logging(&settings.config.log)?;
        tls::install();
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let process = Self {
            id: ProcessId::random(),
            role: role.to_owned(),
            about: Arc::new(Mutex::new(About {
                host: host_name(),
                pid: std::process::id(),
                version: VERSION.to_owned(),
                work: None,
                schedules: false,
            })),
            busy: Arc::default(),
            readiness: Readiness::new(),
            metrics: Metrics::start(&settings.config.metrics, role),
            shutdown: CancellationToken::new(),
            end: CancellationToken::new(),
            background: TaskTracker::new(),
            roles: JoinSet::new(),
            names: HashMap::new(),
            failure: None,
        };
        process.readiness.set_unready("stores", "not reached yet");
        let labels = [("version", VERSION.to_owned()), ("role", role.to_owned())];
        metrics::gauge!(telemetry::BUILD_INFO, &labels).set(1);
        signals::listen(process.shutdown.clone()).map_err(ProcessError::Signals)?;
        if let Some(address) = settings.config.ops_listen {
            process.serve_ops(address, settings.config.admin_key.clone()).await?;
        }
        process.in_background(process.metrics.clone().fold());
        let origin = spans::Origin { process: process.id, role, host: &host_name(), version: VERSION };
        if let Some(courier) = spans::start(&settings.config, &settings.secrets, &origin)? {
            process.background.spawn(courier.run(process.end.clone()));
        }
        Ok(process)
    }

    /// Who this process is.
    pub fn id(&self) -> ProcessId {
        self.id
    }
    /// The checks that `/readyz` shows.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }
    /// What `/metrics` shows.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    /// Cancelled when the roles are to drain and end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// What others are told of its worker from now on. What is given back is to hold how many of its slots are in use.
    pub fn tell_work(&self, config: &WorkerConfig) -> Arc<AtomicUsize> {
        let queues = config.queues.iter().map(|(queue, _)| queue.to_string()).collect();
        let slots = u32::try_from(config.concurrency).unwrap_or(u32::MAX);
        self.about.lock().work = Some(Work { queues, slots, busy: 0 });
        self.busy.clone()
    }

    /// A scheduler runs here: what is common to all processes is looked at, when it is this one's turn.
    pub fn watch_over(&self, stores: &Stores) {
        self.about.lock().schedules = true;
        if self.metrics.are_on() {
            self.in_background(Lookout::new(self.id, stores.clone(), &self.metrics).run());
        }
    }

    fn teller(&self) -> Tell {
        let (id, role, about, busy) = (self.id, self.role.clone(), self.about.clone(), self.busy.clone());
        Arc::new(move || {
            let mut about = about.lock().clone();
            if let Some(work) = &mut about.work {
                work.busy = u32::try_from(busy.load(Relaxed)).unwrap_or(u32::MAX);
            }
            Report { id, role: role.clone(), about }
        })
    }

    /// Begins a role.
    pub fn begin(&mut self, role: Role) {
        self.names.insert(self.roles.spawn(role.work).id(), role.name);
    }

    /// Reaches the stores, opens the doors, begins the roles that `on_open` gives, and keeps upkeep going until all roles
    /// have ended: after a signal, or after the first failure, which is returned.
    pub async fn run(
        mut self,
        plan: &Plan,
        doors: &Doors,
        on_open: impl FnOnce(&Self, &Stores) -> Result<Vec<Role>, BuildError>,
    ) -> Result<(), ProcessError> {
        let readiness = self.readiness.clone();
        let shutdown = self.shutdown.clone();
        let mut opening = pin!(Stores::open(plan, doors.clock().clone(), &readiness));
        let mut on_open = Some(on_open);
        loop {
            tokio::select! {
                Some(ended) = self.roles.join_next_with_id() => self.note_end(ended),
                opened = &mut opening, if on_open.is_some() => {
                    let begun = match (opened, on_open.take()) {
                        (Ok((stores, watch)), Some(on_open)) => {
                            let stores = if self.metrics.are_on() { self.measured(stores) } else { stores };
                            self.open(doors, &stores, watch);
                            on_open(&self, &stores).map_err(ProcessError::from)
                        }
                        (Ok(_), None) => Ok(Vec::new()),
                        (Err(error), _) => Err(error.into()),
                    };
                    match begun {
                        Ok(roles) => roles.into_iter().for_each(|role| self.begin(role)),
                        Err(error) => self.fail(error),
                    }
                }
                // Told to end while the stores are not reached yet: they are no longer wanted.
                () = shutdown.cancelled(), if on_open.is_some() => on_open = None,
                else => break,
            }
        }
        self.end.cancel();
        self.background.close();
        if timeout(LAST_BREATH, self.background.wait()).await.is_err() {
            tracing::warn!("upkeep did not end within {} s and is dropped", LAST_BREATH.as_secs());
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn measured(&self, stores: Stores) -> Stores {
        let pools = stores.pools.clone();
        self.metrics.show("pools", Arc::new(move |page| write_pools(page, &pools())));
        stores.measured()
    }

    fn open(&self, doors: &Doors, stores: &Stores, watch: Option<Watch>) {
        let (ledger, clock) = (stores.ledger.clone(), stores.clock.clone());
        let upkeep = Upkeep::new(ledger, stores.fleet.clone(), clock, self.teller(), self.readiness.clone());
        self.background.spawn(upkeep.run(self.end.clone()));
        if let Some(watch) = watch {
            self.in_background(watch);
        }
        doors.open(stores);
        self.readiness.set_ready("stores");
    }

    fn note_end(&mut self, ended: Result<(task::Id, RoleEnd), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(panic) => (panic.id(), Err(panic.into())),
        };
        let role = self.names.get(&id).copied().unwrap_or("role");
        match result {
            Ok(()) => self.shutdown.cancel(),
            Err(source) => self.fail(ProcessError::Role { role, source }),
        }
    }

    /// The first failure is the process's; the others are logged only.
    fn fail(&mut self, error: ProcessError) {
        tracing::error!("{}", chain(&error));
        self.failure.get_or_insert(error);
        self.shutdown.cancel();
    }

    /// Runs something beside the roles until the last of them has ended; dropped then.
    fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.background.spawn(async move {
            tokio::select! {
                () = work => {}
                () = end.cancelled() => {}
            }
        });
    }

    async fn serve_ops(&self, address: SocketAddr, admin_key: Option<SecretString>) -> Result<(), ProcessError> {
        let (listener, address) = listen(address).await?;
        tracing::info!("health and metrics are served on http://{address}");
        let metrics = self.metrics.clone();
        let deps = OpsDeps {
            readiness: self.readiness.clone(),
            render_metrics: Arc::new(move || metrics.render()),
            log_filter: log_filter(),
            admin_key,
        };
        let serving = haul_api::ops::serve(listener, deps, self.end.clone());
        self.background.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("health and metrics are no longer served: {}", chain(&error));
            }
        });
        Ok(())
    }
}

fn write_pools(page: &mut Page, pools: &[PoolUse]) {
    for PoolUse { pool, idle, used, .. } in pools {
        page.put(telemetry::LEDGER_CONNECTIONS, &[("pool", pool), ("state", "idle")], idle);
        page.put(telemetry::LEDGER_CONNECTIONS, &[("pool", pool), ("state", "used")], used);
    }
    for PoolUse { pool, max, .. } in pools {
        page.put(telemetry::LEDGER_CONNECTIONS_MAX, &[("pool", pool)], max);
    }
}

/// What this machine calls itself.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Binds a listener and tells where it listens: the port may have been 0.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ProcessError> {
    let failed = |source| ProcessError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
