//! From tickets to jobs: a ticket is only a hint, and the ledger says what to do with it.
//!
//! An attempt starts only when the ledger shows no outcome and the job is due. A ticket of a finished job, or of a job
//! that the ledger does not have (its transaction was rolled back), is settled; one that came too early is parked.

use crate::{
    attempt::Start,
    claims::{ClaimId, Claims, Route},
    lanes::Lane,
    meters::RouteMeters,
    reach::{Backoff, Reach},
    recorder::Recorder,
    registry::{House, Registry},
    settler::Settler,
    suspects,
};
use haul_core::{
    JobId, Kind, Ledger, QueueRef, Timestamp,
    dispatch::{Claimed, LeaseToken, Next},
    ledger::{LedgerError, Loaded},
    policy,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// A job that is due within this time is waited for here; a later one goes back. Covers clocks that differ a little.
const EARLY_MAX: Duration = Duration::from_secs(1);
/// How long a ticket rests that nothing here can be done with.
const ODD_PAUSE: Duration = Duration::from_secs(60);

/// Turns tickets into starts.
pub(crate) struct Loader {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) settler: Arc<Settler>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) house: Arc<House>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) starts: mpsc::Sender<Start>,
    /// Where suspects go, if not where all others do.
    pub(crate) suspects: Option<Arc<suspects::Line>>,
}

/// A claim on its way to its start.
struct OnTheWay {
    claim: ClaimId,
    route: Arc<Route>,
    is_suspect: bool,
}

impl Loader {
    /// Enters what a claim brought into the table; [`Loader::load`] goes on with it.
    pub(crate) fn take_in(
        &self,
        routes: &mut Routes,
        lane: &Lane,
        tickets: Vec<Claimed>,
        token: LeaseToken,
        expires: Instant,
    ) -> Arrived {
        let mut routed = Vec::with_capacity(tickets.len());
        let mut by_id = HashMap::with_capacity(tickets.len());
        for ticket in tickets {
            // A dispatch gives out the kinds that were asked for, and those have handlers.
            let Some(route) = routes.find(&self.registry, &lane.queue, &ticket.kind) else { continue };
            if ticket.suspect {
                route.meters.expired.increment(1);
            }
            by_id.insert(ticket.id, (route.clone(), ticket.suspect));
            routed.push((route, ticket));
        }
        let (fresh, refused) = self.claims.take_in(routed, token, expires, self.now());
        self.settler.settle(refused);
        let on_the_way = |claim: ClaimId| {
            let (route, is_suspect) = by_id.remove(&claim.job)?;
            Some(OnTheWay { claim, route, is_suspect })
        };
        Arrived(fresh.into_iter().filter_map(on_the_way).collect())
    }

    /// Loads jobs and hands over those that may start. Holds on to them while the ledger does not answer. May be aborted
    /// anywhere: what has not started stays in the table.
    pub(crate) async fn load(&self, arrived: Arrived) {
        let mut to_do = vec![arrived.0];
        let mut backoff = Backoff::default();
        while let Some(mut batch) = to_do.pop() {
            let ids: Vec<JobId> = batch.iter().map(|on_the_way| on_the_way.claim.job).collect();
            match self.ledger.load(&ids).await {
                Ok(loaded) => {
                    self.reach.answered();
                    self.sort(batch, loaded).await;
                }
                Err(error) if error.is_transient() => {
                    self.reach.failed(&error);
                    backoff.pause().await;
                    to_do.push(batch);
                }
                Err(_) if batch.len() > 1 => {
                    to_do.push(batch.split_off(batch.len() / 2));
                    to_do.push(batch);
                }
                Err(error) => self.set_aside(batch, &error),
            }
        }
    }

    async fn sort(&self, batch: Vec<OnTheWay>, loaded: Vec<Loaded>) {
        let now = self.now();
        let mut by_id: HashMap<JobId, OnTheWay> = batch.into_iter().map(|one| (one.claim.job, one)).collect();
        let (mut settled, mut ready, mut early) = (Vec::new(), Vec::with_capacity(loaded.len()), Vec::new());
        let mut suspects = Vec::new();
        for Loaded { job, failures, crashes, due, outcome } in loaded {
            let Some(OnTheWay { claim, route, is_suspect }) = by_id.remove(&job.id) else { continue };
            if outcome.is_some() {
                settled.push((claim, Next::Done));
            } else if job.kind != route.registered.kind {
                settled.push((claim, Next::Park(now.plus(ODD_PAUSE))));
            } else if let Some(error) = policy::past_deadline(&job, now) {
                self.recorder.bury(claim, route, &job, failures, error);
            } else if due.since(now) > EARLY_MAX {
                settled.push((claim, Next::Park(due)));
            } else {
                let line = self.suspects.as_ref().filter(|_| !route.registered.is_resident);
                let start = Start { claim, route, job, attempt: failures + 1, crashes, due };
                match line {
                    Some(line) if is_suspect || crashes > 0 || line.recalls(start.job.id) => suspects.push(start),
                    _ if due > now => early.push(start),
                    _ => ready.push(start),
                }
            }
        }
        settled.extend(by_id.into_values().map(|unknown| (unknown.claim, Next::Done)));
        settled.sort_unstable_by_key(|(claim, _)| claim.job);
        if !settled.is_empty() {
            self.settler.settle(self.claims.close_all(settled));
        }
        if let Some(line) = &self.suspects {
            self.settler.settle(line.take_in(suspects, &self.claims, now));
        }
        self.hand_over(ready).await;
        early.sort_by_key(|start| start.due);
        for start in early {
            sleep(start.due.since(self.now())).await;
            self.hand_over(vec![start]).await;
        }
    }

    async fn hand_over(&self, starts: Vec<Start>) {
        let claims: Vec<ClaimId> = starts.iter().map(|start| start.claim).collect();
        let still_here = self.claims.wait(&claims);
        for (start, is_here) in starts.into_iter().zip(still_here) {
            let id = start.claim.job;
            if is_here && self.starts.send(start).await.is_err() {
                // The engine has ended; what waits is given back by the one who ends the worker.
                tracing::debug!(job_id = %id, "a loaded job came too late to start");
            }
        }
    }

    fn set_aside(&self, batch: Vec<OnTheWay>, error: &LedgerError) {
        let later = self.now().plus(ODD_PAUSE);
        for on_the_way in &batch {
            tracing::error!(job_id = %on_the_way.claim.job, %error, "a job cannot be loaded; trying again in a minute");
        }
        let claims = batch.into_iter().map(|on_the_way| (on_the_way.claim, Next::Park(later)));
        self.settler.settle(self.claims.close_all(claims));
    }

    fn now(&self) -> Timestamp {
        self.house.mint.clock().now()
    }
}

/// What a claim brought, entered into the table.
pub(crate) struct Arrived(Vec<OnTheWay>);

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Routes that were met before.
#[derive(Default)]
pub(crate) struct Routes(HashMap<QueueRef, HashMap<Kind, Arc<Route>>>);

impl Routes {
    fn find(&mut self, registry: &Registry, queue: &QueueRef, kind: &Kind) -> Option<Arc<Route>> {
        if let Some(route) = self.0.get(queue).and_then(|routes| routes.get(kind)) {
            return Some(route.clone());
        }
        let registered = registry.get(kind)?.clone();
        let meters = RouteMeters::new(queue, kind);
        let route = Arc::new(Route { queue: queue.clone(), registered, meters });
        self.0.entry(queue.clone()).or_default().insert(kind.clone(), route.clone());
        Some(route)
    }
}
