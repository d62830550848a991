//! The suites accept the reference, and reject every adapter that breaks a promise.

mod accepted;
mod broken_books;
mod broken_dispatch;
mod broken_endpoints;
mod broken_fleet;
mod broken_ledger;
mod broken_maintenance;
mod broken_pace;
mod broken_schedules;
mod broken_statistics;
mod fallback_pace;
mod model_provider;
mod pace;
mod payments;
mod rejected;
mod worlds;
