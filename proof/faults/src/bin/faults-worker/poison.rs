//! Handlers that end their process.

use crate::effects::Outside;
use haul::{HandlerError, JobContext};
use haul_faults::work::Work;

/// Aborts.
pub(crate) async fn abort(job: JobContext, work: Work) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    std::process::abort()
}

/// Recurses until there is no stack left.
pub(crate) async fn overflow(job: JobContext, work: Work) -> Result<(), HandlerError> {
    job.data::<Outside>()?.begin(&job, &work).await;
    let depth = deeper(0);
    Err(HandlerError::do_not_retry(format!("the stack had no end, even {depth} calls deep")))
}

fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 256]);
    if depth == u64::MAX {
        return depth;
    }
    // Not a tail call: what is here is needed afterwards.
    deeper(depth + 1).wrapping_add(here[std::hint::black_box(7)])
}
