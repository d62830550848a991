//! The HTTP API of Haul.
//!
//! Read in this order: `router` (every path), `routes/` (one file per operation), `json`, `fields` and `submit` (from
//! text to a job), `intake` and `commit` (many submits, few commits), `tickets` and `receipts` (on to the dispatch),
//! `problem` (every error) and `gate` (what every request passes). `server` wires them and ends them in order.
//!
//! It promises that a 2xx to a submit comes after the commit, that every error is problem+json from one list, and that
//! every queue, buffer, wait and retry is bounded. It runs no jobs and repairs nothing: it knows the traits of
//! `haul-core` only.

mod app;
mod auth;
mod body;
mod commit;
mod cursor;
mod draft;
mod endpoint;
mod etag;
mod fields;
mod filter;
mod gate;
mod headers;
mod http_server;
mod intake;
mod items;
mod json;
mod labels;
mod lines;
mod linger;
pub mod log;
mod openapi;
pub mod ops;
mod problem;
mod query;
mod reader;
mod receipts;
mod refusals;
mod router;
mod routes;
mod schedule;
mod server;
mod spool;
mod submit;
mod tickets;
mod traced;
mod view;
mod watch;

pub use auth::{Exposed, check_exposure};
pub use refusals::{NoRefusals, PayloadFault, Refusals};
pub use routes::payments::webhook::WebhookSecret;
pub use server::{Api, ApiDeps, RenderMetrics};
