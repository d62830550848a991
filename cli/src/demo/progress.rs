//! One line that changes, on a terminal; a few lines that stay, anywhere else.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

/// How often there is something new.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// Tells how far it is, on standard error.
pub(super) struct Progress {
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal() }
    }

    /// What stays.
    pub(super) fn say(&self, line: &str) {
        self.end();
        eprintln!("{line}");
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
