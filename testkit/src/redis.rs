//! A private Redis on a free loopback port, alone or as a cluster.
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
                std::thread::sleep(Duration::from_millis(50));
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
}
