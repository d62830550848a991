//! Queues and kinds: known from the first job on, with what operators set of them.

use super::{
    error::{corrupt, ledger_error},
    job::{kind, queue_ref},
    rows::Rows,
    writer::{Tx, Writer},
};
use haul_core::{
    Job, Kind, Queue, QueueChange, QueueRef, QueueSettings, Tenant, Timestamp,
    ledger::{LedgerError, QueueInfo, Result},
    limits::{KINDS_PER_QUEUE_MAX, QUEUES_MAX},
};
use sqlx::sqlite::SqlitePool;
use std::collections::{BTreeSet, HashMap, HashSet};

type Kinds = HashMap<Tenant, HashMap<Queue, HashSet<Kind>>>;

/// The queues and kinds of the jobs that are not known yet, or a refusal when they would be too many.
pub(super) fn unknown(known: &Kinds, jobs: &[&Job]) -> Result<BTreeSet<(QueueRef, Kind)>> {
    let mut unknown = BTreeSet::new();
    for job in jobs {
        let kinds = known.get(&job.tenant).and_then(|queues| queues.get(&job.queue));
        if !kinds.is_some_and(|kinds| kinds.contains(&job.kind)) {
            unknown.insert((job.queue_ref(), job.kind.clone()));
        }
    }
    let (mut kinds_added, mut queues_added) = (HashMap::new(), HashMap::new());
    for (queue, _) in &unknown {
        let queues = known.get(&queue.tenant);
        let kinds = queues.and_then(|queues| queues.get(&queue.queue));
        let added = kinds_added.entry(queue).or_insert(0);
        *added += 1;
        if *added == 1 && kinds.is_none() {
            let added: &mut usize = queues_added.entry(&queue.tenant).or_default();
            *added += 1;
            if queues.map_or(0, HashMap::len) + *added > QUEUES_MAX {
                let limit = format!("the tenant has {QUEUES_MAX} queues, more are not allowed");
                return Err(LedgerError::LimitReached(limit));
            }
        }
        if kinds.map_or(0, HashSet::len) + *added > KINDS_PER_QUEUE_MAX {
            let limit = format!("the queue {queue} has {KINDS_PER_QUEUE_MAX} kinds, more are not allowed");
            return Err(LedgerError::LimitReached(limit));
        }
    }
    Ok(unknown)
}

/// Makes queues and kinds known.
pub(super) async fn learn(tx: &mut Tx<'_>, unknown: BTreeSet<(QueueRef, Kind)>, now: Timestamp) -> Result<()> {
    let mut rows = Rows::default();
    for (queue, kind) in &unknown {
        rows.add(|row| {
            row.name(queue.tenant.as_str()).name(queue.queue.as_str()).name(kind.as_str());
        });
    }
    let now = now.as_ms();
    for chunk in rows.chunks() {
        let queues = sqlx::query_file!("sql/queues_learn.sql", chunk.rows, now);
        queues.execute(&mut tx.conn).await.map_err(ledger_error)?;
        let kinds = sqlx::query_file!("sql/kinds_learn.sql", chunk.rows);
        kinds.execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    for (queue, kind) in unknown {
        tx.kinds.entry(queue.tenant).or_default().entry(queue.queue).or_default().insert(kind);
    }
    Ok(())
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<QueueInfo>> {
    let mut queues: Vec<QueueInfo> = Vec::new();
    for row in sqlx::query_file!("sql/queues.sql").fetch_all(readers).await.map_err(ledger_error)? {
        let queue = queue_ref(row.tenant, row.name)?;
        let kind = kind(row.kind)?;
        match queues.last_mut().filter(|last| last.queue == queue) {
            Some(last) => last.kinds.push(kind),
            None => {
                let created_at = Timestamp::from_ms(row.created_at);
                let settings = settings(row.paused, row.slots)?;
                queues.push(QueueInfo { queue, settings, created_at, kinds: vec![kind] });
            }
        }
    }
    Ok(queues)
}

pub(super) async fn configure(
    writer: &Writer,
    queue: &QueueRef,
    change: &QueueChange,
) -> Result<Option<QueueSettings>> {
    change.check()?;
    let mut tx = writer.begin().await?;
    let (tenant, name) = (queue.tenant.as_str(), queue.queue.as_str());
    let update = sqlx::query_file!("sql/queues_configure.sql", tenant, name, change.paused, change.slots);
    let row = update.fetch_optional(&mut tx.conn).await.map_err(ledger_error)?;
    tx.commit().await?;
    row.map(|row| settings(row.paused, row.slots)).transpose()
}

fn settings(paused: bool, slots: i64) -> Result<QueueSettings> {
    Ok(QueueSettings { paused, slots: u16::try_from(slots).map_err(corrupt)? })
}
