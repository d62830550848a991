//! A private Redis on a free loopback port, alone, as a cluster, or behind Sentinels.
//!
//! Promise: never evicts (Haul refuses one that does), allows `DEBUG` from this machine, and keeps its port and
//! data from [`Server::kill`] to [`Server::restart`]. `cargo xtask test` installs it where it is missing.
//!
//! It will not emulate power loss: a killed Redis keeps what it wrote. Copy files in and out of
//! [`Server::directory`] for that.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::place;
use crate::supervised::{Spec, Supervised};

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(60);
/// From the death of a master to a new one that everybody knows.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The name under which Sentinels watch the master.
const MASTER_NAME: &str = "haul";
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What differs from one test's Redis to another's.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Write an append-only file, synced every second: what production is told to do.
    pub append_only: bool,
    /// Further settings as on its command line, such as `["--maxmemory", "10mb"]`.
    pub settings: Vec<String>,
}

/// A running Redis. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Server {
    process: Supervised,
    port: u16,
}

impl Server {
    /// Starts a Redis of its own.
    ///
    /// # Errors
    /// When Redis is not installed, or does not get ready within 30 s.
    pub fn start(options: &Options) -> Result<Self> {
        place::on_path("redis-server").context("no Redis is installed: `cargo xtask test` installs it")?;
        place::on_free_port(|port| Self::start_on(port, options))
    }

    fn start_on(port: u16, options: &Options) -> Result<Self> {
        let directory = place::directory("redis")?;
        let port_text = port.to_string();
        let append_only = if options.append_only { "yes" } else { "no" };
        let mut command: Vec<String> = [
            ["redis-server", "--port", &port_text].as_slice(),
            &["--bind", "127.0.0.1", "--save", "", "--appendonly", append_only, "--appendfsync", "everysec"],
            &["--maxmemory-policy", "noeviction", "--enable-debug-command", "local"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        command.extend(options.settings.iter().cloned());
        let mut server = Self {
            process: Supervised::new(Spec {
                name: format!("redis-server on port {port}"),
                directory,
                last_signal: "KILL",
                command,
            })?,
            port,
        };
        server.restart()?;
        Ok(server)
    }

    /// Where a client connects: `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.process.directory()
    }

    /// Runs one command by `redis-cli` and returns what it prints.
    ///
    /// # Errors
    /// When it cannot be reached, answers with an error, or not within 30 s.
    pub fn cli(&self, command: &[&str]) -> Result<String> {
        place::output(place::client("redis-cli").args(["-e", "-p", &self.port.to_string()]).args(command))
    }

    /// Kills it, as `kill -9` does, and returns when it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.wait_exit(STOP_TIMEOUT).map(drop)
    }

    /// Starts it again on the same port and data, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it runs, or does not get ready within 30 s.
    pub fn restart(&mut self) -> Result<()> {
        let since = self.process.line_count();
        self.process.start()?;
        self.process.wait_line(since, READY_TIMEOUT, |line| line.contains("Ready to accept connections")).map(drop)
    }

    /// Stops its clock: connections stay open and nothing is answered, until [`Server::resume`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal("STOP")
    }

    /// Undoes [`Server::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal("CONT")
    }
}

/// A running Redis Cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its servers, masters first. A test may kill and restart them.
    pub servers: Vec<Server>,
    masters: usize,
}

impl Cluster {
    /// Starts a cluster of `masters` (3 or more), each with `replicas` replicas, and waits until every server
    /// finds it whole.
    ///
    /// # Errors
    /// When Redis is not installed, or the cluster is not whole within a minute.
    pub fn start(masters: usize, replicas: usize) -> Result<Self> {
        ensure!(masters >= 3, "Redis makes no cluster of fewer than 3 masters");
        let servers = (0..masters * (1 + replicas)).map(|_| Self::server()).collect::<Result<Vec<_>>>()?;
        let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        place::output(
            place::client("redis-cli")
                .args(["--cluster-yes", "--cluster-replicas", &replicas.to_string(), "--cluster", "create"])
                .args(addresses),
        )?;
        let cluster = Self { servers, masters };
        cluster.wait_whole()?;
        Ok(cluster)
    }

    fn server() -> Result<Server> {
        let bus = place::free_port()?.to_string();
        let settings = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "2000",
            "--cluster-port",
            &bus,
            "--repl-diskless-sync-delay",
            "0",
        ];
        Server::start(&Options { append_only: false, settings: settings.map(str::to_owned).to_vec() })
    }

    /// Where a cluster client connects first: the servers' URLs, separated by commas.
    #[must_use]
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// Kills one of the masters it was started with, as `kill -9` does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_master(&mut self, n: usize) -> Result<()> {
        ensure!(n < self.masters, "it was started with {} masters", self.masters);
        self.servers[n].kill()
    }

    /// Waits until every other server finds that master failed and all slots served all the same: a replica has taken over.
    ///
    /// # Errors
    /// When that is not so within a minute.
    pub fn wait_failed_over(&self, n: usize) -> Result<()> {
        let failed = format!("127.0.0.1:{}@", self.servers[n].port);
        for server in self.servers.iter().filter(|server| server.process.pid().is_some()) {
            eventually(FAILOVER_TIMEOUT, "the cluster has failed over", || {
                let state = server.cli(&["CLUSTER", "INFO"])?;
                let nodes = server.cli(&["CLUSTER", "NODES"])?;
                let is_out = nodes
                    .lines()
                    .any(|line| line.contains(&failed) && (line.contains("fail") || line.contains("slave")));
                let is_done = is_out && state.contains("cluster_state:ok") && state.contains("cluster_slots_ok:16384");
                Ok(is_done.then_some(()))
            })?;
        }
        Ok(())
    }

    /// Waits until every server sees all servers in their roles and all slots served, and every replica follows its master.
    ///
    /// # Errors
    /// When that is not so within a minute: what the last server asked said instead.
    pub fn wait_whole(&self) -> Result<()> {
        let end = Instant::now() + CLUSTER_TIMEOUT;
        for server in &self.servers {
            loop {
                let (whole, seen) = self.sees_whole(server)?;
                if whole {
                    break;
                }
                ensure!(Instant::now() < end, "the cluster is not whole after {CLUSTER_TIMEOUT:?}: {seen}");
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    fn sees_whole(&self, server: &Server) -> Result<(bool, String)> {
        let state = server.cli(&["CLUSTER", "INFO"])? + &server.cli(&["INFO", "replication"])?;
        let nodes = server.cli(&["CLUSTER", "NODES"])?;
        let replicas = nodes.lines().filter(|line| line.contains("slave")).count();
        let whole = nodes.lines().count() == self.servers.len()
            && replicas == self.servers.len() - self.masters
            && state.contains("cluster_state:ok")
            && state.contains("cluster_slots_ok:16384")
            && !state.contains("master_link_status:down");
        Ok((whole, state + &nodes))
    }
}

/// A master, its replicas, and the Sentinels that watch them.
#[derive(Debug)]
pub struct Sentinel {
    /// The servers, at first the master first. A test may kill and restart them.
    pub servers: Vec<Server>,
    /// The Sentinels. A test may kill, pause and restart them.
    pub sentinels: Vec<Watcher>,
}

/// A running Sentinel process.
#[derive(Debug)]
pub struct Watcher {
    process: Supervised,
    port: u16,
}

impl Sentinel {
    /// Starts a master with `replicas` replicas and that many Sentinels, and waits until they know of each other. More than
    /// half of the Sentinels have to agree on a failover, which begins when a master was silent for a second.
    ///
    /// # Errors
    /// When Redis is not installed, or they do not know of each other within a minute.
    pub fn start(replicas: usize, sentinels: usize) -> Result<Self> {
        ensure!(replicas >= 1 && sentinels >= 1, "there is no failover without a replica and a Sentinel");
        let settings = |more: &[&str]| Options {
            settings: ["--repl-diskless-sync-delay", "0"].iter().chain(more).map(|&word| word.to_owned()).collect(),
            ..Options::default()
        };
        let master = Server::start(&settings(&[]))?;
        let port = master.port.to_string();
        let mut servers = vec![master];
        for _ in 0..replicas {
            let replica = Server::start(&settings(&["--replicaof", "127.0.0.1", &port]))?;
            eventually(READY_TIMEOUT, "the replica follows its master", || {
                Ok(replica.cli(&["INFO", "replication"])?.contains("master_link_status:up").then_some(()))
            })?;
            servers.push(replica);
        }
        let watch = |_| place::on_free_port(|watcher| Watcher::start_on(watcher, &port, sentinels / 2 + 1));
        let watchers = (0..sentinels).map(watch).collect::<Result<Vec<_>>>()?;
        let started = Self { servers, sentinels: watchers };
        let others = format!("num-other-sentinels\n{}\n", sentinels - 1);
        let slaves = format!("num-slaves\n{replicas}\n");
        for watcher in &started.sentinels {
            eventually(CLUSTER_TIMEOUT, "the Sentinels know of each other", || {
                let seen = watcher.cli(&["SENTINEL", "MASTER", MASTER_NAME])?;
                Ok((seen.contains(&others) && seen.contains(&slaves)).then_some(()))
            })?;
        }
        Ok(started)
    }

    /// Where a client connects: `redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT/haul`.
    #[must_use]
    pub fn url(&self) -> String {
        let watchers: Vec<_> = self.sentinels.iter().map(|watcher| format!("127.0.0.1:{}", watcher.port)).collect();
        format!("redis+sentinel://{}/{MASTER_NAME}", watchers.join(","))
    }

    /// The place in `servers` of the master that most Sentinels name, when it is one.
    ///
    /// # Errors
    /// When a running Sentinel or that server does not answer.
    pub fn master(&self) -> Result<Option<usize>> {
        let Some(place) = self.named()? else { return Ok(None) };
        if self.servers[place].process.pid().is_none() {
            return Ok(None);
        }
        let is_master = self.servers[place].cli(&["INFO", "replication"])?.contains("role:master");
        Ok(is_master.then_some(place))
    }

    fn named(&self) -> Result<Option<usize>> {
        let mut votes = vec![0; self.servers.len()];
        for watcher in self.sentinels.iter().filter(|watcher| watcher.process.pid().is_some()) {
            let named = watcher.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME])?;
            let place = self.servers.iter().position(|server| named.ends_with(&format!("\n{}", server.port)));
            votes[place.with_context(|| format!("no server of ours: {named}"))?] += 1;
        }
        Ok(votes.iter().position(|&votes| votes * 2 > self.sentinels.len()))
    }

    /// Kills the master, as `kill -9` does, and returns its place in `servers`.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_master(&mut self) -> Result<usize> {
        let place = self.master()?.context("there is no master")?;
        self.servers[place].kill()?;
        Ok(place)
    }

    /// Waits until most Sentinels name another master than `before`, and returns its place in `servers`.
    ///
    /// # Errors
    /// When they do not within a minute.
    pub fn wait_failed_over(&self, before: usize) -> Result<usize> {
        eventually(FAILOVER_TIMEOUT, "the Sentinels have failed over", || {
            // The old one may be in no state to be asked.
            if self.named()? == Some(before) { Ok(None) } else { self.master() }
        })
    }
}

impl Watcher {
    fn start_on(port: u16, master: &str, quorum: usize) -> Result<Self> {
        let directory = place::directory("sentinel")?;
        // It keeps what it knows in its own configuration file.
        let file = directory.join("sentinel.conf");
        let settings = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("sentinel monitor {MASTER_NAME} 127.0.0.1 {master} {quorum}"),
            format!("sentinel down-after-milliseconds {MASTER_NAME} 1000"),
            format!("sentinel failover-timeout {MASTER_NAME} 6000"),
        ];
        std::fs::write(&file, settings.join("\n"))?;
        let command = ["redis-server".to_owned(), file.display().to_string(), "--sentinel".to_owned()];
        let name = format!("redis-sentinel on port {port}");
        let spec = Spec { name, directory, last_signal: "KILL", command: command.to_vec() };
        let mut watcher = Self { process: Supervised::new(spec)?, port };
        watcher.restart()?;
        Ok(watcher)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs one command by `redis-cli` and returns what it prints.
    ///
    /// # Errors
    /// When it cannot be reached, answers with an error, or not within 30 s.
    pub fn cli(&self, command: &[&str]) -> Result<String> {
        place::output(place::client("redis-cli").args(["-e", "-p", &self.port.to_string()]).args(command))
    }

    /// Kills it, as `kill -9` does, and returns when it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.wait_exit(STOP_TIMEOUT).map(drop)
    }

    /// Starts it again with what it knew, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it runs, or does not get ready within 30 s.
    pub fn restart(&mut self) -> Result<()> {
        let since = self.process.line_count();
        self.process.start()?;
        self.process.wait_line(since, READY_TIMEOUT, |line| line.contains("Sentinel ID is")).map(drop)
    }
}

/// Looks until it sees something.
fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        ensure!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_only_redis_keeps_its_port_and_data_when_it_is_killed() {
        let mut server = Server::start(&Options { append_only: true, ..Options::default() }).expect("start");
        server.cli(&["SET", "kept", "7"]).expect("set");
        server.kill().expect("kill");
        assert!(server.cli(&["PING"]).is_err());
        server.restart().expect("restart");
        assert_eq!(server.cli(&["GET", "kept"]).expect("get"), "7");
        assert_eq!(server.cli(&["CONFIG", "GET", "maxmemory-policy"]).expect("config"), "maxmemory-policy\nnoeviction");
        assert!(server.cli(&["NO", "SUCH"]).is_err());
    }

    #[test]
    fn a_cluster_serves_every_slot_and_a_replica_follows_its_master() {
        let cluster = Cluster::start(3, 1).expect("start");
        let url = cluster.urls();
        assert_eq!(url.matches("redis://127.0.0.1:").count(), 6);
        for key in ["a", "b", "c", "d"] {
            // `-c` follows redirections: some of these keys live on another server.
            cluster.servers[0].cli(&["-c", "SET", key, "7"]).expect("set");
        }
        let replica = &cluster.servers[5];
        assert!(replica.cli(&["INFO", "replication"]).expect("info").contains("master_link_status:up"));
    }

    #[test]
    fn the_sentinels_replace_a_master_that_is_killed_and_demote_it_when_it_is_back() {
        let mut sentinel = Sentinel::start(1, 3).expect("start");
        assert_eq!(sentinel.url().matches("127.0.0.1:").count(), 3);
        assert_eq!(sentinel.master().expect("a master"), Some(0));
        let killed = sentinel.kill_master().expect("kill");
        assert_eq!(sentinel.wait_failed_over(killed).expect("failed over"), 1);
        sentinel.servers[killed].restart().expect("restart");
        eventually(FAILOVER_TIMEOUT, "it follows its successor", || {
            let replication = sentinel.servers[killed].cli(&["INFO", "replication"])?;
            Ok(replication.contains("role:slave").then_some(()))
        })
        .expect("demoted");
    }

    #[test]
    fn a_cluster_puts_a_replica_in_the_place_of_a_master_that_is_killed() {
        let mut cluster = Cluster::start(3, 1).expect("start");
        cluster.kill_master(1).expect("kill");
        cluster.wait_failed_over(1).expect("failed over");
        cluster.servers[1].restart().expect("restart");
        cluster.wait_whole().expect("whole again");
    }
}
