//! Cancelling: an outcome like any other, for jobs of one tenant that have none.

use crate::{
    columns::IdColumn,
    ledger::Shared,
    load, partitions,
    pool::{Connections, ask},
};
use haul_core::{
    JobId, Tenant, Timestamp,
    ledger::{Cancelled, Result},
};
use std::collections::HashMap;

pub(crate) async fn cancel(ledger: &Shared, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>> {
    let answer = send(&ledger.connections, tenant, ids, at).await;
    let mut found = if partitions::made_for(&ledger.connections, &answer, ids).await? {
        send(&ledger.connections, tenant, ids, at).await?
    } else {
        answer?
    };
    let before: Vec<JobId> = found.iter().filter(|(_, found)| !found.ended_now).map(|(id, _)| *id).collect();
    let mut states: HashMap<_, _> = load::settled(&ledger.connections, &before).await?.into_iter().collect();
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        answers.push(match found.get_mut(id) {
            None => Cancelled::Unknown,
            Some(found) if found.ended_now => {
                // Whoever comes next in the same call comes second.
                found.ended_now = false;
                states.insert(*id, haul_core::FinalState::Cancelled);
                Cancelled::Now
            }
            Some(found) => match states.get(id) {
                Some(state) => Cancelled::Already(*state),
                None if found.has_sent => Cancelled::TooLate,
                // An outcome stood in the way and then was not there: its day was dropped meanwhile.
                None => Cancelled::Unknown,
            },
        });
    }
    Ok(answers)
}

/// A job of the tenant.
struct Found {
    /// Whether it was ended by this call.
    ended_now: bool,
    /// Whether it sends for a payment.
    has_sent: bool,
}

/// The tenant's jobs among these, and what became of them.
async fn send(
    connections: &Connections,
    tenant: &Tenant,
    ids: &[JobId],
    at: Timestamp,
) -> Result<HashMap<JobId, Found>> {
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
        let ended_now = rows.iter().filter(|row| row.now).count();
        let others =
            (ended_now < part.ids.len()).then(|| part.without(rows.iter().filter(|row| row.now).map(|row| row.id)));
        found.extend(rows.into_iter().map(|row| (JobId(row.id), Found { ended_now: row.now, has_sent: row.has_sent })));
        // Unknown, ended before, or moved to outlive their day: see `load`.
        if let Some(others) = others {
            let rows = ask!(connections, c => {
                sqlx::query_file!("sql/cancel_kept.sql", tenant.as_str(), &others, at.to_chrono()).fetch_all(c)
            })?;
            found.extend(
                rows.into_iter().map(|row| (JobId(row.id), Found { ended_now: row.now, has_sent: row.has_sent })),
            );
        }
    }
    Ok(found)
}
