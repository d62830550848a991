//! One attempt of a suspect: brought to a process, watched over there, and what the process's death means.

use super::{
    pool::Pool,
    process::{Death, Process},
    wire::{self, Order, Report, Task},
};
use crate::{
    attempt::{End, Ended, Start, describe, judge, supervise},
    claims::Claims,
    context::JobContext,
    error::HandlerError,
    pulse,
    registry::{Done, House},
    stop::Stop,
};
use haul_core::{
    JobError, policy,
    trace::{OpenSpan, SpanKind, TraceContext},
};
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::unix::OwnedWriteHalf,
    select,
    time::{Instant, interval, sleep, timeout},
};

/// How long a process may take from the order to the handler's beginning: it may have to reach the ledger first.
const BEGIN_MAX: Duration = Duration::from_secs(30);
/// How long this process has to live on before it may say that the other one crashed: whoever ends both of them (an
/// operator, a container's end) must not make a crash of it.
const SURVIVE: Duration = Duration::from_millis(500);
/// How long the last words of a process that has ended may be on their way.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// What became of the try to run a suspect in a process.
pub(super) enum Tried {
    /// The attempt has ended.
    Ended(Box<Ended>),
    /// Its claim was given back before it could start.
    GivenBack,
    /// It did not begin, through no fault of its own: try again.
    NotBegun,
    /// The process has died, and may have died of a suspect before this one: try again, in a new one.
    InDoubt,
}

/// Whether the handler has begun.
enum Begun {
    Yes,
    /// The ledger is not within reach, from there.
    NotNow,
    No(String),
}

/// Runs one attempt in the process.
pub(super) async fn run(
    start: &Start,
    mut process: Process,
    claims: &Claims,
    house: &Arc<House>,
    pool: &Pool,
) -> Tried {
    let job = &start.job;
    let stop = Stop::default();
    let allowed = policy::time_allowed(job, house.mint.clock().now());
    if !claims.start(start.claim, BEGIN_MAX + allowed, &stop) {
        pool.put_back(process);
        return Tried::GivenBack;
    }
    let (is_used, crashes) = (process.is_used, start.crashes);
    let context = JobContext::new(job.clone(), start.attempt, stop.token().clone(), house.clone());
    let traced = OpenSpan::begin(job.options.trace, SpanKind::Consumer);
    let begun = select! {
        biased;
        () = stop.token().cancelled() => None,
        begun = begin(&mut process, &context, traced.as_ref().map(OpenSpan::context)) => Some(begun),
    };
    let meters = &start.route.meters;
    let again = |tried| if claims.wait(&[start.claim]) == [true] { tried } else { Tried::GivenBack };
    let result = match begun {
        None => None,
        Some(Begun::Yes) => {
            pool.begun();
            let now = house.mint.clock().now();
            let allowed = policy::time_allowed(job, now);
            meters.wait_seconds.record(now.since(start.due.max(job.created_at())));
            let began = Instant::now();
            // A job that has crashed before leaves nothing behind for others.
            let pool = (crashes == 0).then_some(pool);
            let running = Box::pin(finish(process, &context, pool));
            let result = supervise(running, &house.pulse, &stop, allowed).await;
            meters.run_seconds.record(began.elapsed());
            result
        }
        Some(not_begun) => {
            match not_begun {
                // What an earlier suspect has left behind says nothing about the program.
                Begun::No(why) if !is_used => pool.failed(&why),
                Begun::NotNow => pool.put_back(process),
                Begun::No(_) | Begun::Yes => {}
            }
            return again(Tried::NotBegun);
        }
    };
    let told = stop.told();
    let mut is_in_doubt = false;
    if told.is_none() && matches!(&result, Some(Err(error)) if error.is_crash()) {
        is_in_doubt = is_used;
        if !is_in_doubt {
            meters.crashes.increment(1);
        }
    }
    let end: End = judge(result, told, job, allowed);
    if let Some(traced) = traced {
        traced.end(|| describe(&context, &end));
    }
    if is_in_doubt {
        return again(Tried::InDoubt);
    }
    Tried::Ended(Box::new(Ended { claim: start.claim, route: start.route.clone(), context, crashes, end }))
}

async fn begin(process: &mut Process, context: &JobContext, place: Option<TraceContext>) -> Begun {
    let (job, house) = (context.job(), context.house());
    let task = Task::new(job, place, context.attempt(), house.process, house.mint.clock().now());
    let asked = async {
        process.order(&Order::Run(Box::new(task)), std::slice::from_ref(&job.payload)).await?;
        process.report().await
    };
    match timeout(BEGIN_MAX, asked).await {
        Ok(Ok((Report::Begun, _))) => Begun::Yes,
        Ok(Ok((Report::Refused { reason, may_pass: true }, _))) => {
            tracing::debug!(job_id = %job.id, "a suspect waits: {reason}");
            Begun::NotNow
        }
        Ok(Ok((Report::Refused { reason, may_pass: false }, _))) => Begun::No(reason),
        Ok(Ok(_)) => Begun::No("it answered out of turn".to_owned()),
        Ok(Err(error)) => Begun::No(format!("it was lost before the handler began: {error}")),
        Err(_) => Begun::No(format!("it did not begin within {} s", BEGIN_MAX.as_secs())),
    }
}

/// Watches over a handler that has begun, until it has ended or its process has died. Dropping this kills the process.
async fn finish(mut process: Process, context: &JobContext, pool: Option<&Pool>) -> Result<Done, HandlerError> {
    let reported = watch(&mut process, context).await.and_then(|(report, raw)| match report {
        Report::Ended(ending) => ending.read(raw),
        _ => Err(io::ErrorKind::InvalidData.into()),
    });
    match reported {
        Ok((result, follow_ups)) => {
            context.take_over(follow_ups);
            if let Some(pool) = pool {
                process.is_used = true;
                pool.put_back(process);
            }
            result
        }
        Err(_) => {
            let death = process.death().await.unwrap_or(Death::CutOff);
            drop(process);
            sleep(SURVIVE).await;
            Err(HandlerError::crash(JobError::new(death.describe())))
        }
    }
}

/// Passes on what the process has to know, until it has reported the end or is gone.
async fn watch(process: &mut Process, context: &JobContext) -> io::Result<(Report, bytes::Bytes)> {
    let house = context.house();
    let (read, write, child) = process.split();
    let mut reported = pin!(wire::read(read));
    let mut gone = pin!(child.wait());
    let mut stopped = pin!(context.cancelled());
    let mut is_told = false;
    let mut beats = interval(house.lease / pulse::BEATS);
    loop {
        select! {
            biased;
            reported = &mut reported => return reported,
            // Other processes may hold its socket open: what it started before it came to be ours.
            _ = &mut gone => return match timeout(LAST_WORDS_MAX, reported).await {
                Ok(reported) => reported,
                Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            },
            () = &mut stopped, if !is_told => {
                is_told = true;
                tell(write, &Order::Stop).await;
            }
            _ = beats.tick() => tell(write, &Order::Beat { now_ms: house.mint.clock().now().as_ms() }).await,
        }
    }
}

/// A process that does not listen any more shows that by its end.
async fn tell(write: &mut OwnedWriteHalf, order: &Order) {
    let told = match wire::encode(order, &[]) {
        Ok(frame) => write.write_all(&frame).await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "a suspect's process does not listen");
    }
}
