//! A stage: real Postgres, Redis and Haul processes, a third party and clients, set up for one run.
//!
//! What a scenario does to it, it tells: [`Stage::strike`] and [`Stage::begin`] write down which fault landed and when.

use crate::{
    books::{Books, Postgres},
    evidence::{Event, Evidence, Fault, Reach, Step, now_ms},
    load::{Door, History, Load, Mix},
    party::Party,
    payments::Till,
    redises::{Redis, RedisSetup},
    timetable::Schedules,
};
use anyhow::{Context, Result, bail, ensure};
use haul_testkit::{
    http::Client,
    net::FaultProxy,
    postgres,
    process::{Command, Haul, program},
    redis::Options,
};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// What makes a process see another time (Debian's package `faketime` puts it there).
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// How long the dispatch is given to agree with the ledger, once nothing is left to be done (I4).
const REACH_MAX: Duration = Duration::from_secs(20);
/// How often what is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The binaries under test.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `haul`
    pub haul: PathBuf,
    /// `faults-worker`
    pub worker: PathBuf,
}

/// What a run needs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// A Postgres of its own, with these settings; otherwise one that all runs share.
    pub own_postgres: Option<Vec<&'static str>>,
    /// The Redis.
    pub redis: RedisSetup,
    /// How many workers.
    pub workers: usize,
    /// How many `haul scheduler`.
    pub schedulers: usize,
    /// How many schedules they are given, once everything runs.
    pub schedules: usize,
    /// Whether workers are `haul worker`, with the built-in kinds, and not `faults-worker`.
    pub builtin: bool,
    /// Whether there is a payment provider, in a storm.
    pub payments: bool,
    /// Whether there is a proxy between each process and each store.
    pub links: bool,
    /// The workers' lease.
    pub lease: &'static str,
    /// How many attempts a worker runs at a time.
    pub concurrency: usize,
    /// Whether a worker that ends by itself is started again, as a supervisor would.
    pub supervised: bool,
    /// How wrong the clocks of the API, of each worker and then of each scheduler are, such as `+10m`; none when they are
    /// right.
    pub skews: Vec<&'static str>,
    /// Further variables of every process.
    pub env: Vec<(&'static str, String)>,
    /// How long the run is given to settle every job once its faults are over.
    pub drain: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            own_postgres: None,
            redis: RedisSetup::Alone(Options { append_only: true, ..Options::default() }),
            workers: 2,
            schedulers: 0,
            schedules: 0,
            builtin: false,
            payments: false,
            links: false,
            lease: "2s",
            concurrency: 20,
            supervised: false,
            skews: Vec::new(),
            env: Vec::new(),
            drain: Duration::from_secs(60),
        }
    }
}

/// The network between one process and its stores.
pub struct Links {
    /// To Postgres.
    pub postgres: FaultProxy,
    /// To Redis.
    pub redis: FaultProxy,
}

/// A process of Haul, and its links.
pub struct Process {
    /// The process.
    pub haul: Haul,
    links: Option<Links>,
}

impl Process {
    /// The network between it and its stores.
    pub fn links(&self) -> Result<&Links> {
        self.links.as_ref().context("this run has no links")
    }
}

/// A stage with everything on it.
pub struct Stage {
    /// The ledger.
    pub books: Books,
    /// The dispatch.
    pub redis: Redis,
    /// The third party.
    pub party: Party,
    till: Option<Till>,
    /// `haul api`.
    pub api: Process,
    /// The workers.
    pub workers: Vec<Process>,
    /// The schedulers.
    pub schedulers: Vec<Process>,
    /// What they have to fire.
    pub schedules: Schedules,
    /// For whatever a scenario leaves to chance.
    pub rng: StdRng,
    door: Door,
    load: Option<Load>,
    seed: u64,
    faults: Vec<Fault>,
    drain: Duration,
    supervised: bool,
}

impl Stage {
    /// Starts everything and waits until it is ready. The history goes to `directory`.
    pub async fn set(setup: &Setup, programs: &Programs, directory: &Path, seed: u64) -> Result<Self> {
        let postgres = match &setup.own_postgres {
            None => Postgres::Shared(postgres::shared()),
            Some(settings) => Postgres::Own(postgres::Server::start_with(settings)?),
        };
        let books = Books::new(postgres);
        let redis = Redis::start(&setup.redis)?;
        let party = Party::start().await?;
        let till = if setup.payments { Some(Till::open(seed).await?) } else { None };
        let direct = books.url(books.server().port());
        let migrated = program(&programs.haul, &["migrate"]).env("DATABASE_URL", &direct).run()?;
        ensure!(migrated.code == Some(0), "haul migrate: {}", migrated.stderr);
        books.begin()?;

        let cast = Cast { setup, programs, books: &books, redis: &redis, party: &party, till: till.as_ref() };
        let mut skews = setup.skews.iter().copied();
        let api = cast.start("api", skews.next()).await?;
        let mut workers = Vec::new();
        for _ in 0..setup.workers {
            workers.push(cast.start("worker", skews.next()).await?);
        }
        let mut schedulers = Vec::new();
        for _ in 0..setup.schedulers {
            schedulers.push(cast.start("scheduler", skews.next()).await?);
        }
        for process in workers.iter().chain(&schedulers).chain([&api]) {
            process.haul.wait_ready().await?;
        }
        let mut schedules = Schedules::default();
        schedules.create(&books, setup.schedules)?;
        let history = directory.join("history.jsonl");
        let file = std::fs::File::create(&history).with_context(|| format!("no {}", history.display()))?;
        let door = Door::new(api.haul.client(), Arc::new(History::new(file)), party.url());
        let rng = StdRng::seed_from_u64(seed);
        let Setup { drain, supervised, .. } = *setup;
        let (load, faults) = (None, Vec::new());
        Ok(Self {
            books,
            redis,
            party,
            till,
            api,
            workers,
            schedulers,
            schedules,
            rng,
            door,
            load,
            seed,
            faults,
            drain,
            supervised,
        })
    }

    /// The payment provider.
    pub fn till(&self) -> Result<&Till> {
        self.till.as_ref().context("this run has no payments")
    }

    /// Where jobs are submitted one by one.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// A client of the API.
    #[must_use]
    pub fn client(&self) -> Client {
        self.api.haul.client()
    }

    /// Lets clients submit until [`Stage::hush`] or the end of the run.
    pub fn load(&mut self, mix: &Mix) {
        self.load = Some(Load::start(&self.door, mix, self.seed));
    }

    /// Ends the load. Returns when every submit is answered or given up.
    pub async fn hush(&mut self) -> Result<()> {
        match self.load.take() {
            Some(load) => load.stop().await,
            None => Ok(()),
        }
    }

    /// Waits until so many more submits are acknowledged.
    pub async fn acknowledged(&self, more: u64) -> Result<()> {
        let history = self.door.history();
        history.wait_acknowledged(history.acknowledged() + more, Duration::from_secs(60)).await
    }

    /// What the clients have written down so far.
    #[must_use]
    pub fn history(&self) -> Vec<Event> {
        self.door.history().events()
    }

    /// Every submit that was acknowledged so far: its key, its kind, its job.
    #[must_use]
    pub fn acknowledgements(&self) -> Vec<(String, String, String)> {
        let history = self.history();
        let evidence = Evidence { history, ..Evidence::default() };
        let submits = evidence.submits();
        let accepted = |(key, submit): (&&str, &crate::evidence::Submit)| {
            let (job, _) = submit.accepted.first()?;
            Some(((*key).to_owned(), submit.kind.clone(), job.clone()))
        };
        submits.iter().filter_map(accepted).collect()
    }

    /// Lets time pass under load.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Writes down a fault that is over at once.
    pub fn strike(&mut self, name: &str) {
        let at_ms = now_ms();
        self.faults.push(Fault { name: name.to_owned(), from_ms: at_ms, to_ms: at_ms });
    }

    /// Writes down that a fault begins; it lasts until [`Stage::end`], or to the end of the run.
    pub fn begin(&mut self, name: &str) {
        self.faults.push(Fault { name: name.to_owned(), from_ms: now_ms(), to_ms: i64::MAX });
    }

    /// Writes down that the last fault that began is over.
    pub fn end(&mut self) {
        if let Some(fault) = self.faults.iter_mut().rev().find(|fault| fault.to_ms == i64::MAX) {
            fault.to_ms = now_ms();
        }
    }

    /// `kill -9` of a worker.
    pub fn kill_worker(&mut self, worker: usize) -> Result<()> {
        self.workers[worker].haul.kill()?;
        self.strike(&format!("worker {worker} is killed"));
        Ok(())
    }

    /// `kill -9` of a worker, which is started again at once.
    pub fn replace_worker(&mut self, worker: usize) -> Result<()> {
        self.kill_worker(worker)?;
        self.workers[worker].haul.restart()
    }

    /// Waits until `look` sees what it waits for.
    pub async fn until(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + limit;
        while !look().await? {
            ensure!(Instant::now() < end, "not within {limit:?}: {what}");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts workers that have ended by themselves again, as a supervisor would, where there is one.
    pub fn lift(&mut self) -> Result<()> {
        let fallen = self.workers.iter_mut().filter(|worker| worker.haul.pid().is_none());
        fallen.take(if self.supervised { usize::MAX } else { 0 }).try_for_each(|worker| worker.haul.restart())
    }

    /// Ends the load, and lets everything settle, for as long as that may take.
    pub async fn conclude_load(&mut self) -> Result<()> {
        self.hush().await?;
        let end = Instant::now() + self.drain;
        while self.books.unsettled("15 minutes")? > 0 && Instant::now() < end {
            self.lift()?;
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Ends the load, lets everything settle, and gathers the evidence.
    pub async fn conclude(&mut self) -> Result<Evidence> {
        self.schedules.conclude(&self.books).await?;
        self.conclude_load().await?;
        let end_ms = now_ms();
        let reach = self.reach().await?;
        for fault in &mut self.faults {
            fault.to_ms = fault.to_ms.min(end_ms);
        }
        let (history, sends) = (self.history(), self.party.sends());
        let (ledger, faults) = (self.books.dump()?, self.faults.clone());
        let (timetable, pauses) = self.schedules.evidence();
        let payments = self.till.as_ref().map(|till| till.evidence(&self.books)).transpose()?;
        Ok(Evidence { history, sends, ledger, timetable, pauses, faults, reach: Some(reach), payments, end_ms })
    }

    /// Compares dispatch and ledger until they agree, or for as long as they may not.
    async fn reach(&self) -> Result<Reach> {
        let begun = Instant::now();
        loop {
            let unsettled = self.books.unsettled("100 years")?;
            let tickets = self.tickets().await;
            let waited = begun.elapsed();
            let agrees = tickets == Some(unsettled);
            let findings = if agrees { self.audit().await } else { None };
            if (agrees && findings == Some(0)) || waited > REACH_MAX {
                return Ok(Reach { unsettled, tickets, findings, waited_ms: u64::try_from(waited.as_millis())? });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What Haul's own audit finds when it compares every job with every ticket.
    async fn audit(&self) -> Option<u64> {
        let answer = self.client().post("/v1/audit", &serde_json::json!({})).await.ok()?;
        let report = answer.json().ok().filter(|report| answer.status == 200 && report["complete"] == true)?;
        let is_compared = |queue: &serde_json::Value| queue["compared"] == true;
        report["queues"].as_array()?.iter().all(is_compared).then(|| report["findings"].as_u64())?
    }

    /// All tickets of the run's queue, by the API's figures; none when it has no figures.
    pub async fn tickets(&self) -> Option<u64> {
        let answer = self.client().get("/v1/queues").await.ok()?.json().ok()?;
        let queue = answer["data"].as_array()?.iter().find(|queue| queue["name"] == "default")?.clone();
        ["ready", "delayed", "running"].iter().map(|figure| queue[figure].as_u64()).sum()
    }

    /// The processes that have ended, although nobody ended them for good.
    #[must_use]
    pub fn fallen(&self) -> Vec<String> {
        let fallen = |(name, process): (String, &Process)| process.haul.pid().is_none().then_some(name);
        self.named().filter_map(fallen).collect()
    }

    /// Keeps what each process wrote, a file each.
    pub fn keep_output(&self, directory: &Path) -> Result<()> {
        for (name, process) in self.named() {
            std::fs::write(directory.join(format!("{name}.log")), process.haul.output().join("\n"))?;
        }
        Ok(())
    }

    fn named(&self) -> impl Iterator<Item = (String, &Process)> {
        let workers = self.workers.iter().enumerate().map(|(n, worker)| (format!("worker-{n}"), worker));
        let schedulers = self.schedulers.iter().enumerate().map(|(n, it)| (format!("scheduler-{n}"), it));
        workers.chain(schedulers).chain([("api".to_owned(), &self.api)])
    }

    /// How many submits the clients could not tell the end of.
    #[must_use]
    pub fn unknowns(&self) -> usize {
        self.history().iter().filter(|event| matches!(event.step, Step::Unknown { .. })).count()
    }
}

/// What the processes of a run are started with.
struct Cast<'a> {
    setup: &'a Setup,
    programs: &'a Programs,
    books: &'a Books,
    redis: &'a Redis,
    party: &'a Party,
    till: Option<&'a Till>,
}

impl Cast<'_> {
    /// Starts `haul api`, or a worker; does not wait.
    async fn start(&self, role: &str, skew: Option<&str>) -> Result<Process> {
        let direct = self.books.server().port();
        let links = match (self.setup.links, self.redis) {
            (true, Redis::Alone(redis)) => {
                let (postgres, redis) = (FaultProxy::before(direct).await?, FaultProxy::before(redis.port()).await?);
                Some(Links { postgres, redis })
            }
            (true, _) => bail!("there are no links to more than one Redis"),
            (false, _) => None,
        };
        let command: Command = match role {
            "worker" if !self.setup.builtin => program(&self.programs.worker, &[]),
            role => program(&self.programs.haul, &[role]),
        };
        let mut command = command
            .env("DATABASE_URL", &self.books.url(links.as_ref().map_or(direct, |links| links.postgres.port())))
            .env("REDIS_URL", &self.redis.url(links.as_ref().map(|links| links.redis.port())))
            .env("FAULTS_PARTY", &self.party.url())
            .env("FAULTS_WITNESS", &self.party.witness_url())
            .env("HAUL_WORKER_LEASE", self.setup.lease)
            .env("HAUL_WORKER_CONCURRENCY", &self.setup.concurrency.to_string())
            // The third party runs on this machine.
            .env("HAUL_OUTGOING_ALLOW", "loopback")
            // And misbehaves on purpose: scenarios about something else want its every answer to be used.
            .env("HAUL_PACE_FAILURES", "1000000")
            .env("HAUL_PACE_WINDOW_CALLS", "1000000");
        if let Some(skew) = skew {
            let monotonic = ("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            for (name, value) in [("LD_PRELOAD", FAKETIME), ("FAKETIME", skew), monotonic] {
                command = command.env(name, value);
            }
        }
        for (name, value) in self.till.map(Till::env).into_iter().flatten() {
            command = command.env(name, &value);
        }
        for (name, value) in &self.setup.env {
            command = command.env(name, value);
        }
        Ok(Process { haul: command.spawn()?, links })
    }
}
