//! A defect on demand, to show that the checker of `cargo xtask faults` finds it: `HAUL_BROKEN=acknowledge-early`.

use super::{Admitted, Committer, NewJob, Verdict};
use std::time::Duration;

/// Says that all rows are accepted, and has them committed a moment later.
pub(super) async fn accept_all(committer: &Committer, jobs: &[NewJob]) -> Vec<Verdict> {
    #[expect(clippy::disallowed_methods, reason = "a switch of a build that is broken on purpose; no setting of Haul")]
    let is_on = std::env::var("HAUL_BROKEN").is_ok_and(|defect| defect == "acknowledge-early");
    if !is_on {
        return committer.accept_all(jobs).await;
    }
    let (committer, later) = (committer.clone(), jobs.to_vec());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        committer.accept_all(&later).await
    });
    jobs.iter().map(|job| Ok(Admitted { id: job.job.id, replayed: false })).collect()
}
