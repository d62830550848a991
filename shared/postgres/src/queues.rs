//! Queues and kinds: known from the first job on, with what operators set of them.
//!
//! What this process has seen registered is remembered, so that accepting jobs of known kinds asks nothing. A batch
//! that names an unknown one becomes a transaction of several statements: it waits for its turn at the tenant's
//! registry, writes its rows, and registers what the rows that stayed name. Registrations are never taken back.

use crate::{
    error::corrupt,
    pool::{Connections, ask, in_time},
};
use haul_core::{
    Job, Kind, Queue, QueueChange, QueueRef, QueueSettings, Tenant,
    ledger::{LedgerError, QueueInfo, Result},
    limits::{KINDS_PER_QUEUE_MAX, QUEUES_MAX},
};
use parking_lot::RwLock;
use sqlx::{Connection, postgres::PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// Queues remembered in all; beyond, the memory starts anew.
const REMEMBERED_MAX: usize = 50_000;

/// The registry, as far as this process knows it.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    known: RwLock<HashMap<Tenant, HashMap<Queue, HashSet<Kind>>>>,
}

/// A queue and a kind in it.
type Name = (Tenant, Queue, Kind);

/// Queues of tenants, and the kinds to register in each.
type Wanted = BTreeMap<Tenant, BTreeMap<Queue, BTreeSet<Kind>>>;

/// What a batch names and this process does not know. Never empty.
pub(crate) struct Unknown(Wanted);

impl Queues {
    /// What of these is unknown, if anything is.
    pub(crate) fn unknown<'a>(
        &self,
        names: impl Iterator<Item = (&'a Tenant, &'a Queue, &'a Kind)>,
    ) -> Option<Unknown> {
        let known = self.known.read();
        let mut unknown = Wanted::new();
        for (tenant, queue, kind) in names {
            let kinds = known.get(tenant).and_then(|queues| queues.get(queue));
            if !kinds.is_some_and(|kinds| kinds.contains(kind)) {
                insert(&mut unknown, (tenant.clone(), queue.clone(), kind.clone()));
            }
        }
        (!unknown.is_empty()).then_some(Unknown(unknown))
    }

    /// [`Queues::unknown`] of jobs.
    pub(crate) fn unknown_of<'a>(&self, jobs: impl Iterator<Item = &'a Job>) -> Option<Unknown> {
        self.unknown(jobs.map(|job| (&job.tenant, &job.queue, &job.kind)))
    }

    /// Takes note of what is registered for good.
    pub(crate) fn remember(&self, registered: Registered) {
        let mut known = self.known.write();
        if known.values().map(HashMap::len).sum::<usize>() > REMEMBERED_MAX {
            known.clear();
        }
        for (tenant, queues) in registered.0 {
            let known = known.entry(tenant).or_default();
            for (queue, kinds) in queues {
                known.entry(queue).or_default().extend(kinds);
            }
        }
    }

    /// Registers what jobs name that were accepted without asking us: whatever the limits, they are there.
    pub(crate) async fn admit(&self, connections: &Connections, unknown: Unknown) -> Result<()> {
        let mut lent = connections.lend().await?;
        let patience = lent.patience();
        let write = async {
            let mut transaction = lent.connection().begin().await?;
            unknown.wait_for_turn(&mut transaction).await?;
            for (tenant, queues) in &unknown.0 {
                write(&mut transaction, tenant, queues).await?;
            }
            transaction.commit().await
        };
        in_time(patience, write).await?;
        lent.give_back();
        self.remember(Registered(unknown.0));
        Ok(())
    }
}

fn insert(wanted: &mut Wanted, (tenant, queue, kind): Name) {
    wanted.entry(tenant).or_default().entry(queue).or_default().insert(kind);
}

/// What a transaction has registered; true once it is committed.
#[must_use = "what is not remembered is registered again"]
pub(crate) struct Registered(Wanted);

impl Unknown {
    /// The first statements of the transaction: lets one transaction at a time register for a tenant, so that limits
    /// hold and nothing deadlocks.
    pub(crate) async fn wait_for_turn(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let tenants: Vec<&str> = self.0.keys().map(Tenant::as_str).collect();
        sqlx::query_file!("sql/lock_registry.sql", &tenants as &[&str]).fetch_all(connection).await?;
        Ok(())
    }

    /// The last statements before the commit: registers what the jobs that stay name, if the limits allow it. If not,
    /// the transaction is to be rolled back.
    pub(crate) async fn register<'a>(
        self,
        connection: &mut PgConnection,
        patience: Duration,
        jobs: impl Iterator<Item = &'a Job>,
    ) -> Result<Registered> {
        let mut wanted = Wanted::new();
        for job in jobs {
            let kinds = self.0.get(&job.tenant).and_then(|queues| queues.get(&job.queue));
            if kinds.is_some_and(|kinds| kinds.contains(&job.kind)) {
                insert(&mut wanted, (job.tenant.clone(), job.queue.clone(), job.kind.clone()));
            }
        }
        for (tenant, queues) in &wanted {
            if let Some(refusal) = in_time(patience, over_limit(connection, tenant, queues)).await? {
                return Err(LedgerError::LimitReached(refusal));
            }
            in_time(patience, write(connection, tenant, queues)).await?;
        }
        Ok(Registered(wanted))
    }
}

async fn write(
    connection: &mut PgConnection,
    tenant: &Tenant,
    wanted: &BTreeMap<Queue, BTreeSet<Kind>>,
) -> sqlx::Result<()> {
    let names: Vec<&str> = wanted.keys().map(Queue::as_str).collect();
    let pairs = wanted.iter().flat_map(|(queue, kinds)| kinds.iter().map(|kind| (queue.as_str(), kind.as_str())));
    let (queues, kinds): (Vec<&str>, Vec<&str>) = pairs.unzip();
    sqlx::query_file!("sql/register_queues.sql", tenant.as_str(), &names as &[&str]).execute(&mut *connection).await?;
    sqlx::query_file!("sql/register_kinds.sql", tenant.as_str(), &queues as &[&str], &kinds as &[&str])
        .execute(connection)
        .await?;
    Ok(())
}

/// What is wrong with registering these, if anything is.
async fn over_limit(
    connection: &mut PgConnection,
    tenant: &Tenant,
    wanted: &BTreeMap<Queue, BTreeSet<Kind>>,
) -> sqlx::Result<Option<String>> {
    let names: Vec<&str> = wanted.keys().map(Queue::as_str).collect();
    let queues = sqlx::query_file!("sql/count_queues.sql", tenant.as_str(), &names as &[&str]);
    let queues = queues.fetch_one(&mut *connection).await?;
    if exceeds(queues.known, queues.asked, names.len(), QUEUES_MAX) {
        return Ok(Some(format!("the tenant has {} queues, at most {QUEUES_MAX} are allowed", queues.known)));
    }
    for (queue, kinds) in wanted {
        let names: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
        let kinds = sqlx::query_file!("sql/count_kinds.sql", tenant.as_str(), queue.as_str(), &names as &[&str]);
        let kinds = kinds.fetch_one(&mut *connection).await?;
        if exceeds(kinds.known, kinds.asked, names.len(), KINDS_PER_QUEUE_MAX) {
            let known = kinds.known;
            return Ok(Some(format!("the queue {queue} has {known} kinds, at most {KINDS_PER_QUEUE_MAX} are allowed")));
        }
    }
    Ok(None)
}

/// Whether adding those of the `asked` that are not known yet leads beyond the limit. Adding none never does.
fn exceeds(known: i64, asked_known: i64, asked: usize, max: usize) -> bool {
    let added = asked.saturating_sub(usize::try_from(asked_known).unwrap_or(0));
    added > 0 && usize::try_from(known).unwrap_or(0).saturating_add(added) > max
}

pub(crate) async fn queues(connections: &Connections) -> Result<Vec<QueueInfo>> {
    let rows = ask!(connections, c => sqlx::query_file!("sql/queues.sql").fetch_all(c))?;
    let mut infos = Vec::with_capacity(rows.len());
    for row in rows {
        let tenant = Tenant::new(row.tenant).map_err(corrupt)?;
        let queue = QueueRef { tenant, queue: Queue::new(row.name).map_err(corrupt)? };
        let kinds = row.kinds.into_iter().map(Kind::new).collect::<std::result::Result<_, _>>().map_err(corrupt)?;
        let settings = settings(row.paused, row.slots)?;
        infos.push(QueueInfo { queue, settings, created_at: row.created_at.into(), kinds });
    }
    Ok(infos)
}

pub(crate) async fn configure(
    connections: &Connections,
    queue: &QueueRef,
    change: &QueueChange,
) -> Result<Option<QueueSettings>> {
    change.check()?;
    let (tenant, name, paused) = (queue.tenant.as_str(), queue.queue.as_str(), change.paused);
    let slots = change.slots.map(i16::try_from).transpose().map_err(corrupt)?;
    let update = sqlx::query_file!("sql/configure_queue.sql", tenant, name, paused, slots);
    let row = ask!(connections, c => update.fetch_optional(c))?;
    row.map(|row| settings(row.paused, row.slots)).transpose()
}

fn settings(paused: bool, slots: i16) -> Result<QueueSettings> {
    Ok(QueueSettings { paused, slots: u16::try_from(slots).map_err(corrupt)? })
}
