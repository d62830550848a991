//! Real little servers for tests: Postgres, Redis, an HTTP sink, a fault proxy, and Haul itself.
//!
//! Everything listens on a free port of 127.0.0.1, keeps its files in a directory of its own, and is gone when its
//! value is dropped, and also when the test process is killed. Nothing here is a mock: what a test sees is what the real server does.
//!
//! | module | what it starts |
//! | --- | --- |
//! | [`postgres`] | a private Postgres, one per test process, with an empty database per test |
//! | [`redis`] | a private Redis, alone, as a cluster, or behind Sentinels |
//! | [`http`] | an HTTP server that plays a third party, and a client |
//! | [`collector`] | a collector of OpenTelemetry, which keeps the spans that it is sent |
//! | [`net`] | a proxy that cuts, stalls and delays connections |
//! | [`process`] | the `haul` binary itself |
//! | [`provider`], [`receiver`], [`smtp`] | a payment provider, a receiver of webhooks and a mail server (from `haul-parties`, which `haul demo` uses, too) |
//! | [`secret`], [`logs`] | nothing: secrets that are found wherever they show, and where what processes write is kept to be searched |
//! | [`wait`] | nothing: it waits for what comes true |
//!
//! This crate knows no other crate of Haul but `haul-parties`, which knows none, and speaks to databases through their
//! own command-line clients, so that nothing is tested with itself.

pub mod collector;
pub mod http;
pub mod logs;
pub mod net;
pub mod place;
pub mod postgres;
pub mod process;
pub mod redis;
mod supervised;
pub mod wait;

pub use haul_parties::{provider, receiver, secret, smtp};
pub use supervised::Exit;
