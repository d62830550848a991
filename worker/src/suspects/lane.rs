//! The suspects' way beside the slots: so many at once, whatever the other jobs do.
//!
//! Suspects take no slot, and a full set of slots does not keep them waiting. What waits for too long goes back to the
//! dispatch, as a suspect, for a worker that has less to do.

use super::{
    Isolation, Line,
    pool::Pool,
    run::{self, Tried},
};
use crate::{
    attempt::Start, claims::Claims, meters::WorkerMeters, recorder::Recorder, registry::House, tasks::of_this_process,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// How long a suspect waits whose process did not come up.
const PAUSE: Duration = Duration::from_millis(500);
/// How often processes without work are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs suspects.
pub(crate) struct Lane {
    pub(crate) line: Arc<Line>,
    pub(crate) at_once: usize,
    pub(crate) claims: Arc<Claims>,
    pub(crate) house: Arc<House>,
    pub(crate) recorder: Arc<Recorder>,
    /// The way of all other jobs. Weak, so that the engine ends when nothing more can come.
    pub(crate) starts: mpsc::WeakSender<Start>,
    pub(crate) meters: WorkerMeters,
}

impl Lane {
    /// Works until it is dropped: then all processes of suspects are gone.
    pub(crate) async fn run(self, isolation: Isolation) {
        let (lane, pool) = (Arc::new(self), Arc::new(Pool::new(isolation)));
        let mut running = JoinSet::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_idle = false;
        loop {
            select! {
                biased;
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a suspect's task ended unexpectedly; its lease is left to expire");
                    }
                    has_idle = true;
                }
                start = lane.line.next(), if running.len() < lane.at_once => {
                    let (lane, pool) = (lane.clone(), pool.clone());
                    running.spawn(of_this_process(async move { lane.bring(start, &pool).await }));
                }
                _ = looks.tick(), if has_idle => has_idle = pool.end_idle(),
            }
            #[expect(clippy::cast_precision_loss, reason = "some hundreds at most")]
            lane.meters.suspects_running.set(running.len() as f64);
        }
    }

    /// Brings a suspect to its end, or to where other jobs run.
    async fn bring(&self, start: Start, pool: &Pool) {
        sleep(start.due.since(self.house.mint.clock().now())).await;
        let mut wants_new = start.crashes > 0;
        while self.claims.has(start.claim) {
            if pool.is_given_up() {
                return self.rejoin(start).await;
            }
            if let Some(process) = pool.get(wants_new).await {
                match run::run(&start, process, &self.claims, &self.house, pool).await {
                    Tried::Ended(ended) => return self.recorder.take(*ended).await,
                    Tried::GivenBack => return,
                    Tried::NotBegun => {}
                    Tried::InDoubt => {
                        wants_new = true;
                        continue;
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn rejoin(&self, start: Start) {
        if !self.claims.rejoin(start.claim) {
            return;
        }
        let Some(starts) = self.starts.upgrade() else { return };
        if let Err(unsent) = starts.send(start).await {
            // The engine has ended; what waits is given back by the one who ends the worker.
            tracing::debug!(job_id = %unsent.0.claim.job, "a suspect came too late to start");
        }
    }
}
