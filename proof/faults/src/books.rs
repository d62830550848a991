//! The ledger, seen from outside: triggers that log every write, and the dump at the end, all by `psql`.

use crate::evidence::{Dump, JobRow, Table, TickRow, Written};
use anyhow::{Context, Result};
use haul_testkit::postgres::Server;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// What is added to a migrated database: the log of every write to outcomes and failures, in the same transaction as
/// the write, and the table of the handler `ledger-effect`.
const SETUP: &str = "
CREATE SCHEMA faults;
CREATE TABLE faults.tick (job uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE FUNCTION faults.log_tick() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO faults.tick (job) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER log_tick AFTER INSERT ON haul.job FOR EACH ROW WHEN (NEW.options LIKE '%haul.tick%')
    EXECUTE FUNCTION faults.log_tick();
CREATE TABLE faults.row (job uuid NOT NULL, ref text NOT NULL);
CREATE TABLE faults.log (
    seq bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), written text NOT NULL,
    operation text NOT NULL, job uuid NOT NULL, attempt integer NOT NULL, state smallint NOT NULL);
CREATE FUNCTION faults.log_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    it haul.outcome;
BEGIN
    IF TG_OP = 'DELETE' THEN it := OLD; ELSE it := NEW; END IF;
    INSERT INTO faults.log (written, operation, job, attempt, state)
    VALUES ('outcome', TG_OP, it.id, it.attempt, it.state);
    RETURN NULL;
END $$;
CREATE FUNCTION faults.log_failure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    it haul.failure;
BEGIN
    IF TG_OP = 'DELETE' THEN it := OLD; ELSE it := NEW; END IF;
    INSERT INTO faults.log (written, operation, job, attempt, state)
    VALUES ('failure', TG_OP, it.job, it.attempt, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON haul.outcome FOR EACH ROW EXECUTE FUNCTION faults.log_outcome();
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON haul.failure FOR EACH ROW EXECUTE FUNCTION faults.log_failure();
";

/// How long a connection is waited for.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// Jobs that a client of the run submitted; others were filled in beside them.
const OURS: &str = "queue = 'default'";

/// The Postgres of a run: one that all runs share, or one of its own that it may break.
pub enum Postgres {
    /// Shared.
    Shared(&'static Server),
    /// Its own.
    Own(Server),
}

/// The ledger of a run: one database.
pub struct Books {
    /// The server.
    pub postgres: Postgres,
    name: String,
}

impl Books {
    /// An empty database on this server.
    #[must_use]
    pub fn new(postgres: Postgres) -> Self {
        let server = match &postgres {
            Postgres::Shared(server) => server,
            Postgres::Own(server) => server,
        };
        let url = server.database();
        let name = url.rsplit('/').next().unwrap_or_default().to_owned();
        Self { postgres, name }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        match &self.postgres {
            Postgres::Shared(server) => server,
            Postgres::Own(server) => server,
        }
    }

    /// The server, to be broken.
    pub fn own(&mut self) -> Result<&mut Server> {
        match &mut self.postgres {
            Postgres::Own(server) => Ok(server),
            Postgres::Shared(_) => anyhow::bail!("this run's Postgres is shared: it must not be broken"),
        }
    }

    /// Its URL at a port: the server's, or that of a proxy before it.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name)
    }

    /// Runs SQL in it. Waits while the server has no connection left: whoever took the last ones on purpose is still about
    /// to give them back, and nothing was run yet.
    pub fn sql(&self, sql: &str) -> Result<String> {
        let end = Instant::now() + CONNECTION_MAX;
        loop {
            match self.server().psql(&self.name, sql) {
                Err(error) if error.to_string().contains("too many clients") && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                answer => return answer,
            }
        }
    }

    /// A client of its own that runs this SQL: for what is to go on meanwhile.
    #[must_use]
    pub fn client(&self, sql: &str) -> Command {
        self.server().client(&self.name, sql)
    }

    /// Begins the log. The database has to be migrated.
    pub fn begin(&self) -> Result<()> {
        self.sql(SETUP).map(drop)
    }

    /// How many jobs of the run have no outcome; those that are due later than `due_within` from now are not counted.
    pub fn unsettled(&self, due_within: &str) -> Result<u64> {
        let count = self.sql(&format!(
            "SELECT count(*) FROM haul.job WHERE {OURS} AND run_at < clock_timestamp() + interval '{due_within}'
             AND NOT EXISTS (SELECT FROM haul.outcome WHERE outcome.id = job.id)"
        ))?;
        count.parse().with_context(|| format!("psql says {count:?}"))
    }

    /// Everything about the run's jobs.
    pub fn dump(&self) -> Result<Dump> {
        let jobs = self.sql(&format!(
            "SELECT id, kind, (extract(epoch FROM run_at) * 1000)::bigint,
                coalesce(payload ->> 'ref', payload -> 'body' ->> 'ref', '')
             FROM (SELECT id, kind, run_at, convert_from(payload, 'UTF8')::jsonb AS payload
                FROM haul.job WHERE {OURS}) AS job ORDER BY id"
        ))?;
        let jobs = rows(&jobs, |[id, kind, run_at, key]| {
            let run_at_ms = run_at.parse().ok()?;
            Some(JobRow { id: id.to_owned(), key: key.to_owned(), kind: kind.to_owned(), run_at_ms })
        })?;
        let log = self.sql(
            "SELECT (extract(epoch FROM at) * 1000)::bigint, written, operation, job, attempt, state
             FROM faults.log ORDER BY seq",
        )?;
        let log = rows(&log, |[at, table, operation, job, attempt, state]| {
            let table = if table == "outcome" { Table::Outcome } else { Table::Failure };
            let (operation, job) = (operation.to_owned(), job.to_owned());
            let (at_ms, attempt, state) = (at.parse().ok()?, attempt.parse().ok()?, state.parse().ok()?);
            Some(Written { at_ms, table, operation, job, attempt, state })
        })?;
        let outcomes = self.sql(&format!(
            "SELECT outcome.id, state FROM haul.outcome JOIN haul.job ON job.id = outcome.id WHERE {OURS}"
        ))?;
        let outcomes = rows(&outcomes, |[id, state]| Some((id.to_owned(), state.parse().ok()?)))?;
        let own_rows = rows(&self.sql("SELECT job FROM faults.row")?, |[job]| Some(job.to_owned()))?;
        let ticks = self.sql(
            "SELECT tags ->> 'haul.schedule', tags ->> 'haul.tick',
                extract(epoch FROM (left(tags ->> 'haul.tick', 19) || 'Z')::timestamptz)::bigint, id,
                floor(extract(epoch FROM at) * 1000)::bigint
             FROM (SELECT id, options::jsonb -> 'tags' AS tags FROM haul.job WHERE options LIKE '%haul.tick%') AS job
                LEFT JOIN faults.tick ON tick.job = job.id ORDER BY id",
        )?;
        let ticks = rows(&ticks, |[schedule, tick, due, job, at]| {
            let (due_s, at_ms) = (due.parse().ok()?, at.parse().ok()?);
            Some(TickRow { schedule: schedule.to_owned(), tick: tick.to_owned(), due_s, job: job.to_owned(), at_ms })
        })?;
        Ok(Dump { jobs, log, outcomes: outcomes.into_iter().collect(), rows: own_rows, ticks })
    }
}

/// Reads lines of columns, as `psql -A -t` prints them.
pub(crate) fn rows<T, const N: usize>(printed: &str, read: impl Fn([&str; N]) -> Option<T>) -> Result<Vec<T>> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('|').collect();
        let columns: Option<[&str; N]> = columns.try_into().ok();
        columns.and_then(&read).with_context(|| format!("psql says {line:?}"))
    };
    printed.lines().map(row).collect()
}
