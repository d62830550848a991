//! One line that changes, on a terminal; a few lines that stay, anywhere else.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often there is something new.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// Tells how far it is, on standard error.
pub(super) struct Progress {
    is_terminal: bool,
    begun: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), begun: Instant::now() }
    }

    /// What stays, and when it was said.
    pub(super) fn say(&self, line: &str) {
        self.end();
        eprintln!("{:5.1} s  {line}", self.begun.elapsed().as_secs_f64());
    }

    /// What the next one replaces; nothing where lines stay.
    pub(super) fn show(&self, line: &str) {
        if self.is_terminal {
            eprint!("\r\x1b[2K{line}");
            // Lost with the terminal, and with nothing else.
            drop(stderr().flush());
        }
    }

    /// Leaves an empty line behind.
    pub(super) fn end(&self) {
        self.show("");
    }
}
