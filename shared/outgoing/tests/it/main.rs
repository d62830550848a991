//! The guard: what it refuses, however it is spelled, resolved or redirected to; and what it lets through.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod addresses;
mod calls;
mod forbidden;
mod names;
mod redirects;
mod tls;
mod world;
