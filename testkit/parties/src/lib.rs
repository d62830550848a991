//! Third parties on loopback: what Haul's jobs talk to in tests, in `proof/faults` and in `haul demo`.
//!
//! Each is a real little server on a free port of 127.0.0.1 that misbehaves on request and keeps books of what it was made to
//! do. Its books are an account that Haul has no part in: this crate knows no other crate of Haul, so that nothing is
//! compared with itself. Everything is gone when its value is dropped.
//!
//! | module | what it plays |
//! | --- | --- |
//! | [`provider`] | a payment provider with Stripe's API |
//! | [`receiver`] | whoever is told of events by webhook |
//! | [`smtp`] | a mail server |
//! | [`secret`] | nothing: secrets that are found wherever they show |

mod chance;
pub mod provider;
pub mod receiver;
pub mod secret;
pub mod smtp;
#[cfg(feature = "tls")]
mod tls;
