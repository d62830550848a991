//! A server process under a small shell supervisor.
//!
//! Promise: the process is ended and its directory removed when the value is dropped, and also when the test
//! process dies in any other way (panic, `kill -9`, Ctrl-C), because the supervisor reads its orders from a pipe that only
//! this process holds open. A parent-death signal would not do: it follows the *thread* that spawned the child,
//! and every test runs in a thread of its own.
//!
//! It will not restart anything by itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::logs;

const SCRIPT: &str = include_str!("supervisor.sh");
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);
const LINES_KEPT_MAX: usize = 20_000;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code as a shell tells it: 128 + n after signal n.
    pub code: i32,
}

/// What a supervised process is and where it lives.
pub(crate) struct Spec<'a> {
    /// For messages: `redis-server on port 41234`.
    pub(crate) name: String,
    /// Its own directory, removed at the end.
    pub(crate) directory: PathBuf,
    /// The signal that ends it: `KILL` unless it leaves something behind then.
    pub(crate) last_signal: &'a str,
    /// The command and its arguments.
    pub(crate) command: Vec<String>,
}

/// A process that can be started, signalled and started again.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: String,
    directory: PathBuf,
    orders: Option<ChildStdin>,
    supervisor: Child,
    output: Arc<Output>,
}

/// The lines that the process wrote, shared with the thread that reads them.
#[derive(Debug, Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The newest lines, each with its number since the beginning.
    lines: VecDeque<(usize, String)>,
    count: usize,
    /// The pid while the process runs.
    pid: Option<u32>,
    exit: Option<Exit>,
    closed: bool,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut state = self.lock();
        if let Some(pid) = line.strip_prefix("supervisor: started ") {
            state.pid = pid.parse().ok();
            state.exit = None;
        } else if let Some(code) = line.strip_prefix("supervisor: exited ") {
            state.pid = None;
            state.exit = code.parse().ok().map(|code| Exit { code });
        }
        if state.lines.len() == LINES_KEPT_MAX {
            state.lines.pop_front();
        }
        let number = state.count;
        state.lines.push_back((number, line));
        state.count += 1;
        self.changed.notify_all();
    }

    /// Waits until `look` finds what it looks for, or the time is over, or no more output can come.
    fn wait<T>(&self, limit: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Supervised {
    /// Begins the supervisor; the process itself begins with [`Supervised::start`].
    pub(crate) fn new(spec: Spec<'_>) -> Result<Self> {
        // As a file, and not as an argument, for the sake of who reads a list of processes.
        let script = spec.directory.join("supervisor.sh");
        std::fs::write(&script, SCRIPT)?;
        let mut supervisor = Command::new("sh")
            .arg(&script)
            .arg(&spec.directory)
            .arg(spec.last_signal)
            .args(&spec.command)
            .current_dir(&spec.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{}: its supervisor did not start", spec.name))?;
        let orders = supervisor.stdin.take();
        let stdout = supervisor.stdout.take().context("no pipe")?;
        let output = Arc::new(Output::default());
        let (writer, log) = (Arc::clone(&output), logs::file(&spec.name)?);
        std::thread::spawn(move || read_lines(BufReader::new(stdout), &writer, log));
        Ok(Self { name: spec.name, directory: spec.directory, orders, supervisor, output })
    }

    /// Starts the process, and returns once it runs (which does not mean that it is ready).
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.pid().is_some() {
            bail!("{} runs already", self.name);
        }
        let since = self.line_count();
        self.order("start")?;
        self.wait_line(since, ORDER_TIMEOUT, |line| line.starts_with("supervisor: started ")).map(drop)
    }

    /// Sends a signal such as `KILL` or `STOP`, and returns once it is sent.
    pub(crate) fn signal(&mut self, signal: &str) -> Result<()> {
        let since = self.line_count();
        self.order(&format!("signal {signal}"))?;
        // The end of the process may be told before the signal that ended it.
        let answer = self.output.wait(ORDER_TIMEOUT, |state| {
            let lines = state.lines.iter().filter(|(number, _)| *number >= since).map(|(_, line)| line);
            let mut answers =
                lines.filter(|line| *line == "supervisor: nothing runs" || line.starts_with("supervisor: sent "));
            answers.next().cloned()
        });
        let answer = answer.with_context(|| format!("{}: its supervisor did not answer", self.name))?;
        if answer == "supervisor: nothing runs" {
            bail!("{} does not run: no {signal} was sent", self.name);
        }
        Ok(())
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_exit(&self, limit: Duration) -> Result<Exit> {
        self.output.wait(limit, |state| state.exit).with_context(|| format!("{} still runs after {limit:?}", self.name))
    }

    /// Waits for a line, from line number `since` on, that `wanted` accepts.
    ///
    /// Ends early, with the last lines in the error, when the process exits without having written it.
    pub(crate) fn wait_line(
        &self,
        since: usize,
        limit: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String> {
        let mut next = since;
        let found = self.output.wait(limit, |state| {
            for (number, line) in state.lines.iter().filter(|(number, _)| *number >= since) {
                if *number >= next {
                    next = number + 1;
                    if wanted(line) {
                        return Some(Ok(line.clone()));
                    }
                    if line.starts_with("supervisor: exited ") {
                        return Some(Err(line.clone()));
                    }
                }
            }
            None
        });
        match found {
            Some(Ok(line)) => Ok(line),
            Some(Err(line)) => bail!("{}: {line}\n{}", self.name, self.tail()),
            None => bail!("{}: the awaited line did not come within {limit:?}\n{}", self.name, self.tail()),
        }
    }

    /// How many lines were written so far: a mark for [`Supervised::wait_line`].
    pub(crate) fn line_count(&self) -> usize {
        self.output.lock().count
    }

    /// All lines that are kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        let state = self.output.lock();
        state.lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The pid while the process runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.output.lock().pid
    }

    /// The directory that is removed at the end.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How it ended, when it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.output.lock().exit
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn order(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("it is being dropped")?;
        writeln!(orders, "{order}").with_context(|| format!("{}: its supervisor is gone", self.name))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Its output ends when the process and the supervisor are gone.
        let closed = self.output.wait(ORDER_TIMEOUT, |state| state.closed.then_some(()));
        if closed.is_none() {
            eprintln!("{} did not end within {ORDER_TIMEOUT:?}", self.name);
            if let Err(error) = self.supervisor.kill() {
                eprintln!("{}: its supervisor was not killed: {error}", self.name);
            }
        }
        if let Err(error) = self.supervisor.wait() {
            eprintln!("{}: its supervisor was not reaped: {error}", self.name);
        }
    }
}

fn read_lines(mut from: impl BufRead, to: &Output, mut log: Option<File>) {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match from.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                if let Some(Err(error)) = log.as_mut().map(|log| log.write_all(&bytes)) {
                    eprintln!("what a process writes is no longer kept: {error}");
                    log = None;
                }
                to.push(String::from_utf8_lossy(&bytes).trim_end().to_owned());
            }
        }
    }
    to.lock().closed = true;
    to.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_and_its_directory_go_when_the_test_process_is_gone() {
        let directory = crate::place::directory("supervised").expect("a directory");
        let mut supervisor = Command::new("sh")
            .args(["-c", SCRIPT, "supervisor"])
            .arg(&directory)
            .args(["KILL", "sh", "-c", "while :; do echo noise; sleep 0.01; done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut lines = BufReader::new(supervisor.stdout.take().expect("stdout")).lines();
        let mut orders = supervisor.stdin.take().expect("stdin");
        writeln!(orders, "start").expect("start");
        assert!(lines.any(|line| line.expect("a line") == "noise"));
        // What the kernel does for a process that is killed: all its pipes close.
        drop((orders, lines));
        assert!(supervisor.wait().expect("wait").success());
        assert!(!directory.exists());
    }
}
