//! Calls at the pace that their destination can take: how a handler asks, and what it tells afterwards.
//!
//! [`Pacer::run`] is the one way to call a third party. It enters, makes the call, judges the destination by what came of it,
//! and leaves, however the call ends; a permit is extended while the call goes on. Whoever has to wait longer than a moment is
//! *deferred*: its slot is free for others, and no attempt is used up. What is shared by all workers, and the rules, are
//! described in [`haul_core::pace`].

use haul_core::{
    Pace,
    pace::{Breaker, Destination, Enter, Entry, Left, PaceRules, Permit, Rules, Verdict, Why},
    telemetry,
};
use haul_outgoing::{Answer, Call, CallError, Outgoing};
use haul_worker::{HandlerError, JobContext};
use http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::{
    pin, select,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use uuid::Uuid;

/// A wait that is spent in the slot: shorter than what a way through dispatch and ledger would cost.
const MOMENT: Duration = Duration::from_millis(100);
/// So often at most.
const MOMENTS_MAX: usize = 3;

/// Paces calls. Cheap to clone; every worker that `haul` puts together has one among its data.
#[derive(Clone)]
pub struct Pacer {
    pace: Arc<dyn Pace>,
    rules: Arc<PaceRules>,
}

impl Pacer {
    /// A pacer by these rules.
    pub fn new(pace: Arc<dyn Pace>, rules: PaceRules) -> Self {
        Self { pace, rules: Arc::new(rules) }
    }

    /// Makes a call when its destination can take it. `judge` says what the call has shown about the destination.
    ///
    /// # Errors
    /// The wish to be deferred, when it cannot. The call is not made then.
    pub async fn run<T>(
        &self,
        context: &JobContext,
        destination: &Destination,
        call: impl Future<Output = T>,
        judge: impl FnOnce(&T) -> Verdict,
    ) -> Result<T, HandlerError> {
        let rules = self.rules.of(destination);
        let Some(permit) = self.enter(context, destination, &rules).await? else { return Ok(call.await) };
        let began = Instant::now();
        let mut stay = Stay { pace: self.pace.clone(), rules, permit: Some(permit) };
        let every = rules.permit / 3;
        let mut renewal = interval_at(began + every, every);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pin!(call);
        let told_to_stop = context.cancelled();
        pin!(told_to_stop);
        loop {
            select! {
                biased;
                done = &mut call => {
                    let verdict = judge(&done);
                    stay.leave(verdict).await;
                    return Ok(done);
                }
                () = &mut told_to_stop => break,
                _ = renewal.tick() => stay.extend().await,
            }
        }
        // Whoever is told to stop at the end of its time has waited for the destination all that time.
        let out_of_time = began.elapsed() * 10 >= context.timeout() * 9;
        stay.leave(if out_of_time { Verdict::AtFault(None) } else { Verdict::Unknown }).await;
        Ok(call.await)
    }

    /// Sends a job away whose destination lets nobody through just now: before it does for nothing what precedes its call.
    /// Whoever passes has no permit yet.
    ///
    /// # Errors
    /// The wish to be deferred.
    pub(crate) async fn hold_back(&self, context: &JobContext, destination: &Destination) -> Result<(), HandlerError> {
        let rules = self.rules.of(destination);
        // Without an answer it is found out at the call itself.
        let Ok(Some(sight)) = self.pace.look(destination).await else { return Ok(()) };
        if sight.opens_in.is_some() || sight.in_flight >= u64::from(rules.in_flight) {
            // It gets its place in the line; or it may go by now, and looks again when it is ready.
            if let Some(permit) = self.enter(context, destination, &rules).await? {
                leave(&*self.pace, &permit, Verdict::Unknown, &rules).await;
            }
        }
        Ok(())
    }

    /// A permit; none when there is nobody to ask.
    async fn enter(
        &self,
        context: &JobContext,
        destination: &Destination,
        rules: &Rules,
    ) -> Result<Option<Permit>, HandlerError> {
        let mut moments = 0;
        loop {
            let entry = Entry { destination, job: context.job_id(), permit: Uuid::new_v4(), rules };
            match self.pace.enter(&entry).await {
                Ok(Enter::Go(permit)) => return Ok(Some(permit)),
                Ok(Enter::Wait(wait, why)) => {
                    count(why);
                    if wait > MOMENT || moments == MOMENTS_MAX || context.is_cancelled() {
                        return Err(HandlerError::defer(wait));
                    }
                    moments += 1;
                    sleep(wait).await;
                }
                Err(error) => {
                    // A hint must not hold up work.
                    tracing::warn!(%destination, %error, "a call is made without pace");
                    return Ok(None);
                }
            }
        }
    }
}

/// A permit that is held, and given back whatever becomes of its holder.
struct Stay {
    pace: Arc<dyn Pace>,
    rules: Rules,
    permit: Option<Permit>,
}

impl Stay {
    async fn extend(&mut self) {
        if let Some(permit) = &self.permit {
            match self.pace.extend(permit, &self.rules).await {
                Ok(true) => {}
                Ok(false) => tracing::debug!(destination = %permit.destination, "a call goes on without its permit"),
                Err(error) => tracing::debug!(%error, "a permit cannot be extended"),
            }
        }
    }

    async fn leave(&mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            leave(&*self.pace, &permit, verdict, &self.rules).await;
        }
    }
}

impl Drop for Stay {
    /// A handler that is dropped gives its permit back too. Without a runtime it expires.
    fn drop(&mut self) {
        let (Some(permit), Ok(runtime)) = (self.permit.take(), tokio::runtime::Handle::try_current()) else { return };
        let (pace, rules) = (self.pace.clone(), self.rules);
        runtime.spawn(async move { leave(&*pace, &permit, Verdict::Unknown, &rules).await });
    }
}

async fn leave(pace: &dyn Pace, permit: &Permit, verdict: Verdict, rules: &Rules) {
    let destination = &permit.destination;
    match pace.leave(permit, verdict, rules).await {
        Ok(Left::Changed(to)) => {
            metrics::counter!(telemetry::BREAKER_CHANGES_TOTAL, "to" => to.as_str()).increment(1);
            match to {
                Breaker::Open => tracing::warn!(%destination, "it fails too often, and is not called for a while"),
                _ => tracing::info!(%destination, "it works again"),
            }
        }
        Ok(Left::Done | Left::NotHeld) => {}
        Err(error) => tracing::debug!(%destination, %error, "a permit is left to expire"),
    }
}

fn count(why: Why) {
    metrics::counter!(telemetry::PACE_WAITS_TOTAL, "why" => why.as_str()).increment(1);
}

/// Makes a call at its destination's pace, where the worker has a [`Pacer`] and the destination has a name.
///
/// # Errors
/// The wish to be deferred, when the destination cannot take it now.
pub(crate) async fn at_pace<T>(
    context: &JobContext,
    destination: Option<&Destination>,
    call: impl Future<Output = T>,
    judge: impl FnOnce(&T) -> Verdict,
) -> Result<T, HandlerError> {
    // A suspect's process has no pacer: it makes one call, alone.
    match (context.data::<Pacer>(), destination) {
        (Ok(pacer), Some(destination)) => pacer.run(context, destination, call, judge).await,
        _ => Ok(call.await),
    }
}

/// Sends a call at its destination's pace, where the worker has a [`Pacer`]. `retry_after` reads the pause that an answer
/// asks for.
///
/// # Errors
/// The wish to be deferred, when the destination cannot take it now.
pub async fn paced(
    context: &JobContext,
    outgoing: &Outgoing,
    call: Call,
    retry_after: impl Fn(&Answer) -> Option<Duration>,
) -> Result<Result<Answer, CallError>, HandlerError> {
    let destination = Destination::new(call.target.destination().to_string()).ok();
    at_pace(context, destination.as_ref(), outgoing.send(call), |sent| judge(sent, retry_after)).await
}

/// What a call has shown about its destination. Whoever refuses a request works.
pub(crate) fn judge(sent: &Result<Answer, CallError>, retry_after: impl Fn(&Answer) -> Option<Duration>) -> Verdict {
    match sent {
        Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => Verdict::AtFault(retry_after(answer)),
        Ok(answer) if answer.status.is_server_error() => Verdict::AtFault(retry_after(answer)),
        Ok(answer) if answer.status == StatusCode::REQUEST_TIMEOUT => Verdict::AtFault(None),
        Ok(_) | Err(CallError::TooLarge { .. }) => Verdict::Works,
        Err(CallError::Refused(_)) => Verdict::Unknown,
        Err(CallError::NotSent { .. } | CallError::Unknown { .. }) => Verdict::AtFault(None),
    }
}
