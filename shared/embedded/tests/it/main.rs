//! The two adapters: what every adapter promises, and what is particular to these.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod memory;
mod pace;
mod sqlite;
