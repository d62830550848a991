//! The built-in kinds, over the reference ledger and dispatch, against real little servers.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod email;
mod http_request;
mod pace;
mod pace_of_mail;
mod pace_of_payments;
mod provider;
mod secrets;
mod webhook;
mod world;
