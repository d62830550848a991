//! Cancelling: an outcome like any other, for jobs of one tenant that have none.

use crate::{
    columns::IdColumn,
    error::corrupt,
    ledger::Shared,
    load, partitions,
    pool::{Connections, ask},
};
use haul_core::{
    JobId, Tenant, Timestamp,
    ledger::{Cancelled, Result},
};
use std::collections::HashMap;

/// An outcome stood in the way and then was not there: only a dropped partition does that.
#[derive(Debug, thiserror::Error)]
#[error("the outcome of job {0} cannot be read")]
struct Vanished(JobId);

pub(crate) async fn cancel(ledger: &Shared, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
    let answer = send(&ledger.connections, tenant, ids, at).await;
    let mut ended_now = if partitions::made_for(&ledger.connections, &answer, ids).await? {
        send(&ledger.connections, tenant, ids, at).await?
    } else {
        answer?
    };
    let before: Vec<JobId> = ended_now.iter().filter(|(_, now)| !**now).map(|(id, _)| *id).collect();
    let mut states: HashMap<_, _> = load::settled(&ledger.connections, &before).await?.into_iter().collect();
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        answers.push(match ended_now.get_mut(id) {
            None => Cancelled::Unknown,
            Some(now) if *now => {
                // Whoever comes next in the same call comes second.
                *now = false;
                states.insert(*id, haul_core::FinalState::Cancelled);
                Cancelled::Now
            }
            Some(_) => Cancelled::Already(*states.get(id).ok_or_else(|| corrupt(Vanished(*id)))?),
        });
    }
    Ok(answers)
}

/// The tenant's jobs among these, and whether they were ended by this call.
async fn send(
    connections: &Connections,
    tenant: &Tenant,
    ids: &[JobId],
    at: Timestamp,
) -> Result<HashMap<JobId, bool>> {
    let mut found = HashMap::new();
    for part in IdColumn::young_and_old(ids) {
        let rows = ask!(connections, c => sqlx::query_file!(
            "sql/cancel.sql",
            tenant.as_str(),
            &part.ids,
            part.low,
            part.high,
            at.to_chrono(),
        )
        .fetch_all(c))?;
        found.extend(rows.into_iter().map(|row| (JobId(row.id), row.now)));
    }
    Ok(found)
}
