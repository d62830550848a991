//! For simulations only: workers as processes that can be stopped, and chance that can be repeated.
//!
//! All simulated processes share one thread and one runtime. A [`Process`] stands between the runtime and the tasks of
//! one worker, whoever spawned them: stopped, none of them is polled, while timers and the others go on, as with SIGSTOP.

use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

thread_local! {
    static CHANCE: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

tokio::task_local! {
    static PROCESS: Process;
}

/// Makes the jitter of all workers on this thread a function of the seed.
pub fn seed_chance(seed: u64) {
    CHANCE.with_borrow_mut(|chance| *chance = Some(StdRng::seed_from_u64(seed)));
}

pub(crate) fn share() -> Option<f64> {
    CHANCE.with_borrow_mut(|chance| chance.as_mut().map(Rng::random))
}

/// Tasks that stop and go on together. Clones are the same process.
#[derive(Clone, Debug, Default)]
pub struct Process(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    held_up: Vec<Waker>,
}

impl Process {
    /// One that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on none of its tasks is polled.
    pub fn stop(&self) {
        self.0.lock().is_stopped = true;
    }

    /// Its tasks go on with whatever came to pass meanwhile.
    pub fn go_on(&self) {
        let held_up = {
            let mut state = self.0.lock();
            state.is_stopped = false;
            std::mem::take(&mut state.held_up)
        };
        held_up.into_iter().for_each(Waker::wake);
    }

    /// Makes the future, and every task that a worker spawns within it, a part of this process.
    pub fn run<F: Future + Send + 'static>(&self, future: F) -> impl Future<Output = F::Output> + Send + use<F> {
        PROCESS.scope(self.clone(), Task { process: self.clone(), future: future.boxed() })
    }

    /// Keeps the waker while it is stopped. `false` when it runs.
    fn hold_up(&self, waker: &Waker) -> bool {
        let mut state = self.0.lock();
        if state.is_stopped {
            state.held_up.push(waker.clone());
        }
        state.is_stopped
    }
}

/// The same future, as a part of the process that its spawner belongs to, if to any.
pub(crate) fn of_this_process<F: Future + Send + 'static>(future: F) -> BoxFuture<'static, F::Output> {
    match PROCESS.try_with(Process::clone) {
        Ok(process) => process.run(future).boxed(),
        Err(_) => future.boxed(),
    }
}

struct Task<T> {
    process: Process,
    future: BoxFuture<'static, T>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if self.process.hold_up(cx.waker()) {
            return Poll::Pending;
        }
        self.future.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn what_a_stopped_process_spawned_is_held_up_too_and_finds_its_timers_elapsed() {
        let process = Process::new();
        let began = Instant::now();
        let outer = tokio::spawn(process.run(async move {
            let inner = crate::tasks::spawn(async move {
                sleep(Duration::from_secs(1)).await;
                began.elapsed()
            });
            inner.await.unwrap()
        }));
        tokio::task::yield_now().await;
        process.stop();
        sleep(Duration::from_secs(10)).await;
        assert!(!outer.is_finished());
        process.go_on();
        assert_eq!(outer.await.unwrap().as_secs(), 10);
    }
}
