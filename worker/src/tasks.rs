//! Where every task of a worker begins. A simulation stops and goes on with them as with one process.

use tokio::task::JoinHandle;

#[cfg(feature = "simulation")]
pub(crate) use crate::simulation::of_this_process;

/// The same future, as a part of the process that its spawner belongs to.
#[cfg(not(feature = "simulation"))]
pub(crate) fn of_this_process<F>(future: F) -> F {
    future
}

pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(of_this_process(future))
}
