//! Loading jobs before they run, and asking which have ended.
//!
//! A job that outlives its day is moved from one place to another in one transaction, and never back: whoever does not
//! find it in the first place looks into the second afterwards, and misses nothing.

use crate::{
    columns::IdColumn,
    pool::{Connections, ask},
    rows::{self, JobRow},
};
use chrono::{DateTime, Utc};
use haul_core::{
    FinalState, JobId,
    ledger::{Loaded, Result},
};
use uuid::Uuid;

pub(crate) async fn load(connections: &Connections, ids: &[JobId]) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::with_capacity(ids.len());
    for part in IdColumn::young_and_old(ids) {
        let rows = ask!(connections, c => {
            sqlx::query_file_as!(Row, "sql/load.sql", &part.ids, part.low, part.high).fetch_all(c)
        })?;
        let missing = (rows.len() < part.ids.len()).then(|| part.without(rows.iter().map(|row| row.id)));
        for row in rows {
            loaded.push(row.decode()?);
        }
        if let Some(missing) = missing {
            let rows = ask!(connections, c => sqlx::query_file_as!(Row, "sql/load_kept.sql", &missing).fetch_all(c))?;
            for row in rows {
                loaded.push(row.decode()?);
            }
        }
    }
    Ok(loaded)
}

struct Row {
    id: Uuid,
    run_at: DateTime<Utc>,
    priority: i16,
    tenant: String,
    queue: String,
    kind: String,
    payload: Vec<u8>,
    options: Option<String>,
    state: Option<i16>,
    failures: Option<i64>,
    crashes: Option<i64>,
    retry_at: Option<DateTime<Utc>>,
}

impl Row {
    fn decode(self) -> Result<Loaded> {
        let id = self.id;
        let job = JobRow {
            id,
            run_at: self.run_at,
            priority: self.priority,
            tenant: self.tenant,
            queue: self.queue,
            kind: self.kind,
            payload: self.payload,
            options: self.options,
        };
        let job = job.decode()?;
        Ok(Loaded {
            failures: self.failures.map_or(Ok(0), |failures| rows::count(id, failures))?,
            crashes: self.crashes.map_or(Ok(0), |crashes| rows::count(id, crashes))?,
            due: self.retry_at.map_or(job.run_at, rows::time),
            outcome: self.state.map(|state| rows::state(id, state)).transpose()?,
            job,
        })
    }
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
