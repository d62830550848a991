//! The suites accept the reference, and reject every adapter that breaks a promise.

mod accepted;
