//! Loading jobs before they run, and asking which have ended.

use crate::{
    columns::IdColumn,
    pool::{Connections, ask},
    rows::{self, JobRow},
};
use haul_core::{
    FinalState, JobId,
    ledger::{Loaded, Result},
};

pub(crate) async fn load(connections: &Connections, ids: &[JobId]) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::with_capacity(ids.len());
    for part in IdColumn::young_and_old(ids) {
        let rows =
            ask!(connections, c => sqlx::query_file!("sql/load.sql", &part.ids, part.low, part.high).fetch_all(c))?;
        for row in rows {
            let job = JobRow {
                id: row.id,
                run_at: row.run_at,
                priority: row.priority,
                tenant: row.tenant,
                queue: row.queue,
                kind: row.kind,
                payload: row.payload,
                options: row.options,
            };
            let job = job.decode()?;
            loaded.push(Loaded {
                failures: row.failures.map_or(Ok(0), |failures| rows::count(row.id, failures))?,
                crashes: row.crashes.map_or(Ok(0), |crashes| rows::count(row.id, crashes))?,
                due: row.retry_at.map_or(job.run_at, rows::time),
                outcome: row.state.map(|state| rows::state(row.id, state)).transpose()?,
                job,
            });
        }
    }
    Ok(loaded)
}

pub(crate) async fn settled(connections: &Connections, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>> {
    let mut settled = Vec::new();
    for part in IdColumn::young_and_old(ids) {
        let rows =
            ask!(connections, c => sqlx::query_file!("sql/settled.sql", &part.ids, part.low, part.high).fetch_all(c))?;
        for row in rows {
            settled.push((JobId(row.id), rows::state(row.id, row.state)?));
        }
    }
    Ok(settled)
}
