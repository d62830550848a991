//! The engine: apalis runs what the pump brings. The only file that names it.
//!
//! apalis gets an in-memory source and does what it is good at: it holds the slots, drives the running attempts, and ends
//! cleanly when the source does. It sees no I/O: an error of its source would be fatal to every running handler, so
//! the pump keeps those to itself, and this source cannot fail. Its own storages, retries and heartbeats are not used.

use crate::{
    attempt::{self, Ended, Start},
    claims::Claims,
    recorder::Recorder,
    registry::House,
};
use apalis::prelude::{Backend, Task, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_core::backend::{BackendConfig, finalize::Ephemeral};
use futures::{FutureExt, future::BoxFuture};
use std::{
    convert::Infallible,
    error::Error,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc;
use tower::{Layer, Service};

/// Runs what comes through `starts`, `slots` at a time, until the channel is closed and everything has ended.
pub(crate) fn run(
    slots: usize,
    starts: mpsc::Receiver<Start>,
    claims: Arc<Claims>,
    house: Arc<House>,
    recorder: Arc<Recorder>,
) -> BoxFuture<'static, Result<(), Box<dyn Error + Send + Sync>>> {
    let worker = WorkerBuilder::new("haul")
        .backend(Source { starts, recorder })
        .concurrency(slots)
        .build(Attempts { claims, house });
    worker.run().map(|ended| ended.map_err(Into::into)).boxed()
}

/// Drains the channel that the pump fills.
struct Source {
    starts: mpsc::Receiver<Start>,
    recorder: Arc<Recorder>,
}

impl Backend for Source {
    type Task = Task<Start>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Start>, Infallible>>> {
        let next = std::task::ready!(self.starts.poll_recv(cx));
        if next.is_none()
            && let Err(error) = worker.stop()
        {
            // apalis ends only when it was told to stop *and* its source has ended.
            tracing::error!(%error, "the engine could not be told to stop");
        }
        Poll::Ready(next.map(|start| Ok(Task::new(start))))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Source {
    type Args = Start;
    type Id = ();
    type Kind = Ephemeral;
    type Config = ();
    type Layer = RecordLayer;

    fn config(&self) -> &() {
        &()
    }
    fn middleware(&mut self, _: &mut WorkerContext) -> RecordLayer {
        RecordLayer(self.recorder.clone())
    }
}

/// Finds the handler and runs the attempt.
struct Attempts {
    claims: Arc<Claims>,
    house: Arc<House>,
}

impl Service<Task<Start>> for Attempts {
    type Response = Option<Ended>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Option<Ended>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, task: Task<Start>) -> Self::Future {
        let (claims, house) = (self.claims.clone(), self.house.clone());
        async move { Ok(attempt::run(task.args, &claims, house).await) }.boxed()
    }
}

/// Hands what an attempt left behind to the recorder. Sits outside of the slots: one is free again when its handler has
/// ended, not when its record is committed.
struct RecordLayer(Arc<Recorder>);

struct Record<S>(S, Arc<Recorder>);

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, attempts: S) -> Record<S> {
        Record(attempts, self.0.clone())
    }
}

impl<S> Service<Task<Start>> for Record<S>
where
    S: Service<Task<Start>, Response = Option<Ended>>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }
    fn call(&mut self, task: Task<Start>) -> Self::Future {
        let (running, recorder) = (self.0.call(task), self.1.clone());
        async move {
            let ended = running.await?;
            if let Some(ended) = ended {
                recorder.take(ended).await;
            }
            Ok(())
        }
        .boxed()
    }
}
