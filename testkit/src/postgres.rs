//! A private Postgres on a free loopback port.
//!
//! Promise: durable like the real thing (`fsync` stays on, because Haul refuses a server that lies), found on its
//! own (the newest installed version from 15 on), run as the user `postgres` when the test runs as root, and gone
//! with the test process. `cargo xtask test` installs it where it is missing.
//!
//! It will not drop databases: they go away with the server.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::place;
use crate::supervised::{Spec, Supervised};

const VERSION_MIN: u32 = 15;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes the data directory `$1` when there is none yet, then becomes the server.
const START: &str = r#"
data=$1 bin=$2
shift 2
if [ ! -s "$data/PG_VERSION" ]; then
    "$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --pgdata="$data" || exit
fi
exec "$bin/postgres" -D "$data" "$@"
"#;

/// A running server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Server {
    process: Supervised,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
}

/// The one server of this test process, started at the first call.
///
/// # Panics
/// When it cannot be started: the message says why.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| match Server::start() {
        Ok(server) => server,
        Err(error) => panic!("the tests' Postgres did not start: {error:#}"),
    })
}

impl Server {
    /// Starts a server of its own: for a test that stops it, or a tool. Others use [`shared`].
    ///
    /// # Errors
    /// When Postgres is not installed, or does not get ready within a minute.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`Server::start`], with settings such as `max_connections=20`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let programs = programs()?;
        place::on_free_port(|port| Self::start_on(port, &programs, settings))
    }

    fn start_on(port: u16, programs: &Path, settings: &[&str]) -> Result<Self> {
        let directory = place::directory("postgres")?;
        let data = directory.join("data");
        std::fs::create_dir(&data)?;
        let mut command = Vec::new();
        // `initdb` and `postgres` refuse to run as root.
        if let Some((user, group)) = user_when_root()? {
            // The server's user has to pass through the directory, which stays ours.
            std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
            chown(&data, Some(user), Some(group))?;
            command.extend([
                "setpriv".to_owned(),
                format!("--reuid={user}"),
                format!("--regid={group}"),
                "--clear-groups".to_owned(),
            ]);
        }
        let strings = ["sh", "-c", START, "postgres"];
        command.extend(strings.map(str::to_owned));
        command.extend([data.display().to_string(), programs.display().to_string()]);
        let always = [
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            "unix_socket_directories=",
            "max_connections=300",
            "log_min_messages=warning",
        ];
        // Of two that name the same setting, the later counts.
        for setting in always.iter().chain(settings) {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let mut server = Self {
            process: Supervised::new(Spec {
                name: format!("postgres on port {port}"),
                directory,
                // Immediate shutdown: KILL would leave its children and a shared memory segment behind.
                last_signal: "QUIT",
                command,
            })?,
            programs: programs.to_owned(),
            port,
            databases: AtomicU32::new(0),
        };
        server.restart()?;
        Ok(server)
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    /// When it cannot be made: the message says why.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        if let Err(error) = self.psql("postgres", &format!("CREATE DATABASE {name}")) {
            panic!("{error:#}");
        }
        self.url(&name)
    }

    /// Runs SQL in a database by `psql` and returns what it prints: rows as lines, columns parted by `|`.
    ///
    /// # Errors
    /// With what the server said, at the first statement that fails.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.run_psql(&self.url(database), &["-c", sql])
    }

    /// Runs a file of SQL in one transaction, as [`Server::psql`] does.
    ///
    /// # Errors
    /// With what the server said, at the first statement that fails.
    pub fn psql_file(&self, database: &str, file: &Path) -> Result<String> {
        let file = file.display().to_string();
        self.run_psql(&self.url(database), &["--single-transaction", "-f", &file])
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it at once, without a checkpoint: connections break, and the next start recovers from its log.
    ///
    /// # Errors
    /// When it does not run, or does not end within 20 s.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal("QUIT")?;
        self.process.wait_exit(STOP_TIMEOUT).map(drop)
    }

    /// Starts it again on the same port and data, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it runs, or does not get ready within a minute.
    pub fn restart(&mut self) -> Result<()> {
        let since = self.process.line_count();
        self.process.start()?;
        self.process
            .wait_line(since, READY_TIMEOUT, |line| line.ends_with("database system is ready to accept connections"))
            .map(drop)
    }

    /// Stops the clock of all its processes: connections stay open and nothing is answered, until [`Server::resume`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> Result<()> {
        // The parent first, so that no child comes to be in between.
        self.process.signal("STOP")?;
        self.signal_children("STOP")
    }

    /// Undoes [`Server::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> Result<()> {
        self.signal_children("CONT")?;
        self.process.signal("CONT")
    }

    /// `kill -9` of one of its processes, by the id that `pg_stat_activity` shows. The server takes that for a crash:
    /// it ends every connection and recovers from its log.
    ///
    /// # Errors
    /// When there is no such process, or it is none of this server's.
    pub fn kill_backend(&self, pid: u32) -> Result<()> {
        ensure!(self.children()?.contains(&pid), "{pid} is no process of the Postgres on port {}", self.port);
        send("KILL", &[pid])
    }

    fn signal_children(&self, signal: &str) -> Result<()> {
        send(signal, &self.children()?)
    }

    /// The processes of the server but the first.
    fn children(&self) -> Result<Vec<u32>> {
        let parent = self.process.pid().context("it does not run")?;
        let mut children = Vec::new();
        for entry in std::fs::read_dir("/proc").context("no /proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
            // One that ended in the meantime has no file any more.
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let its_parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
            if its_parent.is_some_and(|its| its.trim() == parent.to_string()) {
                children.push(pid);
            }
        }
        Ok(children)
    }

    /// A `psql` that is still to be started, which runs this SQL in a database: for what is to go on meanwhile.
    #[must_use]
    pub fn client(&self, database: &str, sql: &str) -> Command {
        let mut psql = self.psql_on(&self.url(database));
        psql.args(["-c", sql]);
        psql
    }

    fn run_psql(&self, url: &str, arguments: &[&str]) -> Result<String> {
        place::output(self.psql_on(url).args(arguments))
    }

    fn psql_on(&self, url: &str) -> Command {
        let mut psql = place::client(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]);
        psql
    }
}

fn send(signal: &str, pids: &[u32]) -> Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    let pids = pids.iter().map(u32::to_string);
    // The shell's own: a program named `kill` is not everywhere.
    place::output(Command::new("sh").args(["-c", "kill -s \"$@\"", "kill", signal]).args(pids)).map(drop)
}

/// Whether a Postgres is installed that is new enough.
#[must_use]
pub fn is_installed() -> bool {
    programs().is_ok()
}

/// The directory of the newest installed Postgres that is new enough.
fn programs() -> Result<PathBuf> {
    let debian = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<u32> = match std::fs::read_dir(debian) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|version| *version >= VERSION_MIN)
            .collect(),
        Err(_) => Vec::new(),
    };
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let installed = versions.into_iter().map(|version| debian.join(version.to_string()).join("bin"));
    let on_path = place::on_path("initdb").and_then(|file| file.parent().map(Path::to_owned));
    installed
        .chain(on_path)
        .find(|bin| bin.join("postgres").exists() && bin.join("psql").exists())
        .with_context(|| format!("no Postgres {VERSION_MIN} or newer is installed: `cargo xtask test` installs it"))
}

/// The user and group to run as, when we are root.
fn user_when_root() -> Result<Option<(u32, u32)>> {
    let number = |arguments: &[&str]| -> Result<u32> {
        let text = place::output(Command::new("id").args(arguments))?;
        text.parse().with_context(|| format!("`id {}` says {text:?}", arguments.join(" ")))
    };
    if number(&["-u"])? != 0 {
        return Ok(None);
    }
    let user = number(&["-u", "postgres"]).context("root needs a user named postgres")?;
    Ok(Some((user, number(&["-g", "postgres"])?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_empty_and_the_server_is_durable() {
        let url = shared().database();
        let name = url.rsplit('/').next().expect("a name");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(shared().psql(name, tables).expect("count"), "0");
        assert_eq!(shared().psql(name, "SHOW fsync").expect("show"), "on");
    }

    #[test]
    fn a_paused_server_answers_later_and_a_killed_backend_is_a_crash_that_it_recovers_from() {
        let mut server = Server::start_with(&["max_connections=20"]).expect("start");
        assert_eq!(server.psql("postgres", "SHOW max_connections").expect("show"), "20");
        server.psql("postgres", "CREATE TABLE kept AS SELECT 7 AS n").expect("create");
        server.pause().expect("pause");
        let url = server.url("postgres");
        let psql = server.programs.join("psql");
        let asking = std::thread::spawn(move || {
            place::output(place::client(psql).args(["-X", "-A", "-t", "-d", &url, "-c", "SELECT pg_backend_pid()"]))
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!asking.is_finished());
        server.resume().expect("resume");
        asking.join().expect("a result").expect("an answer");

        let checkpointer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
        let pid = server.psql("postgres", checkpointer).expect("pid").parse().expect("a number");
        let since = server.process.line_count();
        server.kill_backend(pid).expect("kill");
        let ready = |line: &str| line.ends_with("database system is ready to accept connections");
        server.process.wait_line(since, READY_TIMEOUT, ready).expect("it recovers");
        assert_eq!(server.psql("postgres", "SELECT n FROM kept").expect("read"), "7");
        assert!(server.kill_backend(1).is_err());
    }

    #[test]
    fn committed_rows_survive_an_immediate_stop_and_the_data_goes_with_the_server() {
        let mut server = Server::start().expect("start");
        server.psql("postgres", "CREATE TABLE kept AS SELECT 7 AS n").expect("create");
        server.stop().expect("stop");
        assert!(server.psql("postgres", "SELECT 1").is_err());
        server.restart().expect("restart");
        let kept = server.psql("postgres", "SELECT n FROM kept").expect("read");
        assert_eq!(kept, "7");

        let directory = server.process.directory().to_owned();
        assert!(directory.exists());
        drop(server);
        assert!(!directory.exists());
    }
}
