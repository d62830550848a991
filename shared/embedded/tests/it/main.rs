//! What is particular to these adapters; what every adapter promises is checked by the conformance suite.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod memory;
