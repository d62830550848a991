//! The suites accept the reference, and reject every adapter that breaks a promise.

mod accepted;
mod broken_dispatch;
mod broken_ledger;
mod rejected;
mod worlds;
