//! A running worker: what is started, in which order it ends, and what may end it.
//!
//! Draining goes: claim nothing more; give back at once what has not started; let running handlers end for as long as
//! `drain` allows, then tell them to stop, then give their jobs back; write the last records; tell the dispatch. Nothing
//! waits for a lease to expire.

use crate::{
    apalis,
    attempt::STOP_GRACE,
    builder::WorkerBuilder,
    cancel,
    claims::Claims,
    lanes::Lanes,
    leases::Leases,
    load::Loader,
    meters::WorkerMeters,
    pace::AHEAD_MAX,
    pulse,
    pump::{self, CLAIM_MAX, Pump},
    reach::Reach,
    recorder::{COMMITS_IN_FLIGHT, Recorder},
    registry::{House, Registry},
    settler::Settler,
    stop::Why,
    suspects::{Isolation, Lane, Line},
    tasks::spawn,
};
use haul_core::{Dispatch, Ledger, config::WorkerConfig};
use std::{
    error::Error,
    future::Future,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{
    select,
    sync::{Notify, mpsc},
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long the last claim may take to be answered.
const LAST_CLAIM_MAX: Duration = Duration::from_secs(5);
/// How long the last records may take.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// How long the dispatch may take to hear of the last leases.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// Wake-ups that may wait for the pump.
const WAKES_WAITING: usize = 16;

/// Why a worker ended although it was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Handlers that cannot be stopped hold half of the slots or more: only a new process gets rid of them.
    #[error("{stuck} of {slots} slots are held by handlers that ran out of time and cannot be stopped")]
    Stuck {
        /// Handlers that are stuck.
        stuck: usize,
        /// Slots of this worker.
        slots: usize,
    },
    /// A part of the worker itself failed.
    #[error("the worker's {part} ended unexpectedly")]
    Broken {
        /// Which part.
        part: &'static str,
        /// Why, where that is known.
        #[source]
        cause: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// Runs jobs. Made by [`Worker::builder`].
pub struct Worker {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) config: WorkerConfig,
    pub(crate) repair_signal: Arc<Notify>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) house: Arc<House>,
    pub(crate) busy: Arc<AtomicUsize>,
}

/// The parts that go on while the worker drains. Dropping them aborts them.
struct Crew {
    house: Arc<House>,
    claims: Arc<Claims>,
    settler: Arc<Settler>,
    listening: Part,
    engine: Part,
    recorders: Vec<Part>,
    settling: Part,
    cancelling: Part,
    beating: Part,
    /// Suspects beside the slots, where they run alone.
    isolating: Option<Part>,
    leases: AbortOnDropHandle<usize>,
}

type Part = AbortOnDropHandle<Result<(), Box<dyn Error + Send + Sync>>>;

fn part(running: impl Future<Output = ()> + Send + 'static) -> Part {
    AbortOnDropHandle::new(spawn(async move {
        running.await;
        Ok(())
    }))
}

fn broken(part: &'static str, ended: Result<Result<(), Box<dyn Error + Send + Sync>>, JoinError>) -> WorkerError {
    let cause = match ended {
        Ok(result) => result.err(),
        Err(error) => Some(error.into()),
    };
    WorkerError::Broken { part, cause }
}

impl Worker {
    /// Begins a worker: give it a ledger, a dispatch and handlers.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }

    /// What it was built with.
    pub fn config(&self) -> &WorkerConfig {
        &self.config
    }

    /// Keeps `busy` at how many of its slots are in use.
    #[must_use]
    pub fn telling_busy(self, busy: Arc<AtomicUsize>) -> Self {
        Self { busy, ..self }
    }

    /// Works until `shutdown`, then drains. An error means that it had to end by itself, drained too.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let drain = self.config.drain.as_duration();
        let slots = self.config.concurrency;
        let stop_pumping = CancellationToken::new();
        let (mut crew, mut pumping) = self.start(stop_pumping.clone());
        tracing::info!(slots, "the worker runs");
        let ended = select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            ended = &mut pumping => Err(broken("pump", ended)),
            stopped = crew.until_something_ends(slots) => Err(stopped),
        };
        if let Err(error) = &ended {
            tracing::error!(%error, "the worker ends");
        }
        stop_pumping.cancel();
        if !pumping.is_finished() && timeout(LAST_CLAIM_MAX, &mut pumping).await.is_err() {
            tracing::warn!("the dispatch did not answer a claim in time: what it gave is left to expire");
        }
        drop(pumping);
        crew.drain(drain).await;
        tracing::info!("the worker has ended");
        ended
    }

    fn start(self, stop_pumping: CancellationToken) -> (Crew, Part) {
        let Self { ledger, dispatch, config, repair_signal, isolation, registry, house, busy } = self;
        let (slots, lease) = (config.concurrency, house.lease);
        let claims = Arc::new(Claims::default());
        let ledger_reach = Arc::new(Reach::new("ledger"));
        let dispatch_reach = Arc::new(Reach::new("dispatch"));
        let settler = Arc::new(Settler::new(dispatch.clone(), ledger.clone(), dispatch_reach.clone(), lease));
        let (recorder, commits) = Recorder::new(
            ledger.clone(),
            dispatch.clone(),
            claims.clone(),
            settler.clone(),
            house.clone(),
            ledger_reach.clone(),
            config.commit_rows_max,
        );
        let (starts, started) = mpsc::channel(slots + AHEAD_MAX + CLAIM_MAX);
        let engine = apalis::run(slots, started, claims.clone(), house.clone(), recorder.clone());
        let line = isolation.is_some().then(Arc::<Line>::default);
        let isolating = isolation.zip(line.clone()).map(|(isolation, line)| {
            let lane = Lane {
                line,
                at_once: config.suspects,
                claims: claims.clone(),
                house: house.clone(),
                recorder: recorder.clone(),
                starts: starts.downgrade(),
                meters: WorkerMeters::new(),
            };
            part(lane.run(isolation))
        });
        let loader = Arc::new(Loader {
            ledger: ledger.clone(),
            claims: claims.clone(),
            settler: settler.clone(),
            recorder: recorder.clone(),
            registry: registry.clone(),
            house: house.clone(),
            reach: ledger_reach.clone(),
            starts,
            suspects: line,
        });
        let kinds = registry.kinds();
        let pump = Pump {
            ledger: ledger.clone(),
            dispatch: dispatch.clone(),
            process: house.process,
            claims: claims.clone(),
            registry,
            loader,
            ledger_reach,
            dispatch_reach: dispatch_reach.clone(),
            repair_signal: repair_signal.clone(),
            meters: WorkerMeters::new(),
            busy,
            lease,
            slots,
            recording_max: config.commit_rows_max * 4,
            lanes: Lanes::new(&config.queues, kinds.clone()),
            stop: stop_pumping,
            state: pump::State::new(),
        };
        let (wakes, woken) = mpsc::channel(WAKES_WAITING);
        let listening = part(pump::listen(dispatch.clone(), house.process, kinds, wakes));
        let pumping = part(pump.run(woken));
        let recorders = (0..COMMITS_IN_FLIGHT).map(|_| part(recorder.clone().run(commits.clone())));
        let beating = pulse::keep(house.pulse.clone(), dispatch.clone(), claims.clone(), lease);
        let leases = Leases {
            pulse: house.pulse.clone(),
            dispatch,
            claims: claims.clone(),
            settler: settler.clone(),
            reach: dispatch_reach,
            repair_signal,
            lease,
            slots,
        };
        let settling = settler.clone();
        let crew = Crew {
            beating: part(beating),
            isolating,
            cancelling: part(cancel::watch(ledger, claims.clone())),
            house,
            listening,
            claims,
            settler,
            engine: AbortOnDropHandle::new(spawn(engine)),
            recorders: recorders.collect(),
            settling: part(async move { settling.run().await }),
            leases: AbortOnDropHandle::new(spawn(async move { leases.run().await })),
        };
        (crew, pumping)
    }
}

impl Crew {
    /// Ends when a part has ended, which none of them should.
    async fn until_something_ends(&mut self, slots: usize) -> WorkerError {
        let recorders = futures::future::select_all(self.recorders.iter_mut());
        let isolating = futures::future::OptionFuture::from(self.isolating.as_mut());
        select! {
            biased;
            ended = &mut self.listening => broken("listener", ended),
            ended = &mut self.engine => broken("engine", ended),
            (ended, _, _) = recorders => broken("recorder", ended),
            ended = &mut self.settling => broken("settler", ended),
            ended = &mut self.beating => broken("pulse", ended),
            Some(ended) = isolating => broken("suspects' lane", ended),
            ended = &mut self.cancelling => broken("cancel watch", ended),
            ended = &mut self.leases => match ended {
                Ok(stuck) => WorkerError::Stuck { stuck, slots },
                Err(error) => broken("lease keeper", Err(error)),
            },
        }
    }

    async fn drain(self, drain: Duration) {
        let until = Instant::now() + drain;
        self.settler.settle(self.claims.give_back_unstarted());
        let running = self.claims.counts().at_work();
        if running > 0 {
            tracing::info!(running, ?drain, "waiting for running handlers");
        }
        if timeout_at(until, self.nothing_runs()).await.is_err() {
            self.claims.stop_all(Why::Draining);
            // A little longer than the handlers have, so that their ends are seen.
            if timeout(STOP_GRACE + STOP_GRACE / 2, self.nothing_runs()).await.is_err() {
                tracing::warn!(
                    running = self.claims.counts().at_work(),
                    "handlers do not end; their jobs are given back"
                );
            }
        }
        self.settler.settle(self.claims.give_up_running(self.house.mint.clock().now()));
        if timeout(FLUSH_MAX, self.everything_is_recorded()).await.is_err() {
            let unrecorded = self.claims.counts().recording;
            tracing::error!(unrecorded, "the ledger did not answer in time: these attempts will run again");
        }
        if timeout(SETTLE_MAX, self.settler.drained()).await.is_err() {
            tracing::warn!("the dispatch did not answer in time: leases are left to expire");
        }
    }

    async fn nothing_runs(&self) {
        while self.claims.counts().at_work() > 0 {
            self.claims.changed().await;
        }
    }

    async fn everything_is_recorded(&self) {
        while self.claims.counts().recording > 0 {
            self.claims.changed().await;
        }
    }
}
