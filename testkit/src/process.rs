//! The real `haul` binary, or a user's own, as a process that a test can kill.
//!
//! Promise: it sees nothing of the settings that the test process was started with, keeps its data in a directory of its own,
//! and ends with the test. It will not build the binary: `cargo xtask test` does, before the tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::Instant;

use crate::http::Client;
use crate::logs;
use crate::place;
use crate::supervised::{Exit, Spec, Supervised};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_EVERY: Duration = Duration::from_millis(20);
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// What to start: `haul(&["up"]).env("DATABASE_URL", &url).start()`.
#[derive(Debug, Clone)]
pub struct Command {
    program: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The `haul` binary with these arguments.
///
/// `HAUL_BIN` names it; otherwise it is the one in the target directory that the test itself was built into.
#[must_use]
pub fn haul(arguments: &[&str]) -> Command {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Command { program: None, arguments, environment: Vec::new() }
}

/// A program of the target directory's other than `haul`, such as an example: `program("examples/ship-orders", &[])`.
#[must_use]
pub fn program(file: impl Into<PathBuf>, arguments: &[&str]) -> Command {
    Command { program: Some(file.into()), ..haul(arguments) }
}

/// How a process that ran to its end ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Command {
    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a role and waits, up to a minute, until `/readyz` says that it is ready.
    ///
    /// # Errors
    /// When it is not by then, or has exited: with what it wrote last.
    pub async fn start(&self) -> Result<Haul> {
        let haul = self.spawn()?;
        haul.wait_ready().await?;
        Ok(haul)
    }

    /// Starts a role and does not wait.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn spawn(&self) -> Result<Haul> {
        // Two roles of one process listen on two ports; which is which stays the same when it is started again.
        let api = place::free_port()?;
        let ops = place::free_port()?;
        // Tests count jobs and schedules from none; whoever wants those that come along says so.
        let mut environment = vec![("HAUL_MAINTENANCE_SCHEDULES".to_owned(), "false".to_owned())];
        environment.extend(self.environment.iter().cloned());
        environment.push(("HAUL_LISTEN".to_owned(), format!("127.0.0.1:{api}")));
        environment.push(("HAUL_OPS_LISTEN".to_owned(), format!("127.0.0.1:{ops}")));
        let directory = place::directory("process")?;
        let mut haul = Haul {
            process: Supervised::new(Spec {
                name: format!("{:?} on port {api}", self.arguments),
                directory,
                last_signal: "KILL",
                command: self.command_line(&environment)?,
            })?,
            started_at_line: 0,
            url: format!("http://127.0.0.1:{api}"),
            ops_url: format!("http://127.0.0.1:{ops}"),
        };
        haul.restart()?;
        Ok(haul)
    }

    /// Runs a command such as `haul get` to its end, half a minute at most.
    ///
    /// # Errors
    /// When there is no such program. Any exit code is a result.
    pub fn run(&self) -> Result<Finished> {
        let line = self.command_line(&self.environment)?;
        let output = place::client("env").args(&line[1..]).output().context("it did not start")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        logs::keep("command", &output.stderr)?;
        Ok(Finished { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// `env`, the environment without and with, and the program.
    fn command_line(&self, environment: &[(String, String)]) -> Result<Vec<String>> {
        #[expect(clippy::disallowed_methods, reason = "to keep the test's own settings from the process")]
        let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let settings =
            inherited.filter(|name| name.starts_with("HAUL_") || matches!(name.as_str(), "DATABASE_URL" | "REDIS_URL"));
        let mut line = vec!["env".to_owned()];
        line.extend(settings.flat_map(|name| ["-u".to_owned(), name]));
        line.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        line.push(self.file()?.display().to_string());
        line.extend(self.arguments.iter().cloned());
        Ok(line)
    }

    fn file(&self) -> Result<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "names the binary under test; no setting of Haul")]
        let named = std::env::var_os("HAUL_BIN").map(PathBuf::from);
        let file = match (&self.program, named) {
            (Some(program), _) => target_directory()?.join(program),
            (None, Some(named)) => named,
            (None, None) => target_directory()?.join("haul"),
        };
        ensure!(file.is_file(), "{} is not built: `cargo xtask test` builds it", file.display());
        Ok(file)
    }
}

/// Where the binaries of the test's own build are: `target/debug` or the like.
fn target_directory() -> Result<PathBuf> {
    let test = std::env::current_exe().context("the test's own file is unknown")?;
    let mut parents = test.ancestors().skip(1);
    let found = parents.find(|parent| parent.file_name().is_some_and(|name| name != "deps" && name != "examples"));
    found.map(Path::to_owned).with_context(|| format!("{} is in no target directory", test.display()))
}

/// A running process. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Haul {
    process: Supervised,
    started_at_line: usize,
    url: String,
    ops_url: String,
}

impl Haul {
    /// Where its API listens, when it has one: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it serves `/healthz`, `/readyz` and `/metrics`.
    #[must_use]
    pub fn ops_url(&self) -> &str {
        &self.ops_url
    }

    /// A client of its API.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Its working directory; `haul up` keeps its data in `haul-data` there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.process.directory()
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Waits, up to a minute, until `/readyz` says that it is ready.
    ///
    /// # Errors
    /// When it is not by then, or has exited: with what it wrote last.
    pub async fn wait_ready(&self) -> Result<()> {
        let client = Client::new(&self.ops_url);
        let end = Instant::now() + READY_TIMEOUT;
        loop {
            let seen = match client.get("/readyz").await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
                Err(error) => format!("{error:#}"),
            };
            if let Some(exit) = self.process.exit() {
                bail!("it exited with {} before it was ready\n{}", exit.code, self.process.tail());
            }
            ensure!(Instant::now() < end, "it is not ready after {READY_TIMEOUT:?}: {seen}\n{}", self.process.tail());
            tokio::time::sleep(READY_EVERY).await;
        }
    }

    /// Sends it a signal: `TERM` to drain it, `STOP` and `CONT` to pause it, `KILL`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// `kill -9`; returns when it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.wait_exit(KILL_TIMEOUT).map(drop)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait_exit(&self, limit: Duration) -> Result<Exit> {
        self.process.wait_exit(limit)
    }

    /// Starts it again, with the same ports and data, and does not wait.
    ///
    /// # Errors
    /// When it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.started_at_line = self.process.line_count();
        self.process.start()
    }

    /// What it wrote, to standard output and error, since the beginning: the last 20,000 lines.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Waits for a line of its output, since it was last started, that has `part` in it.
    ///
    /// # Errors
    /// When none comes within `limit`, or it exits without: with what it wrote last.
    pub fn wait_output(&self, part: &str, limit: Duration) -> Result<String> {
        self.process.wait_line(self.started_at_line, limit, |line| line.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_settings_and_can_be_killed_and_started_again() {
        let script =
            format!("echo {CANARY}; echo listen=$HAUL_LISTEN queue=$HAUL_QUEUE; exec sleep 60", CANARY = logs::CANARY);
        let mut process = program("/bin/sh", &["-c", &script]).env("HAUL_QUEUE", "q").spawn().expect("spawn");
        let limit = Duration::from_secs(10);
        let line = process.wait_output("listen=", limit).expect("a line");
        assert_eq!(line, format!("listen={} queue=q", process.url().trim_start_matches("http://")));

        process.kill().expect("kill");
        assert_eq!(process.wait_exit(limit).expect("exit"), Exit { code: 128 + 9 });
        assert!(process.signal("TERM").is_err());
        process.restart().expect("restart");
        assert_eq!(process.wait_output("listen=", limit).expect("again"), line);
        process.signal("TERM").expect("signal");
        assert_eq!(process.wait_exit(limit).expect("exit"), Exit { code: 128 + 15 });
    }

    #[test]
    fn a_command_runs_to_its_end_whatever_its_code() {
        let finished = program("/bin/sh", &["-c", "echo out; echo err >&2; exit 3"]).run().expect("run");
        assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }
}
