//! Haul for those who write handlers in Rust, and the wiring that every process of Haul shares.
//!
//! ```no_run
//! use haul::{HandlerError, JobContext, Worker};
//!
//! #[derive(serde::Deserialize)]
//! struct Greeting { name: String }
//!
//! async fn greet(_job: JobContext, greeting: Greeting) -> Result<String, HandlerError> {
//!     Ok(format!("hello {}", greeting.name))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     Worker::from_env()?.handler("greet", greet).run().await?;
//!     Ok(())
//! }
//! ```
//!
//! That is a whole worker: it finds its stores by `DATABASE_URL` and `REDIS_URL`, claims jobs of its kinds, drains on
//! SIGTERM. `examples/ship-orders` goes on from here, with a handler in the job's own transaction
//! ([`Worker::transactional`]) and jobs that are enqueued in yours ([`postgres::enqueue()`]).
//!
//! The modules are for those who wire roles by themselves, as the `haul` binary does: [`settings`] are read, a [`plan`]
//! is made of them, a [`process`] is started, and roles run in it, behind [`doors`] until the [`stores`] are reached. Nothing here decides what
//! becomes of a job: ledger, dispatch and worker do.

mod chain;
mod connect;
pub mod doors;
mod lookout;
mod metered;
pub mod plan;
pub mod process;
pub mod scheduler;
pub mod settings;
mod signals;
pub mod stores;
pub mod suspects;
pub mod telemetry;
pub mod tls;
pub mod upkeep;
pub mod worker;

pub use chain::chain;
pub use haul_core::{JobId, Span, Timestamp};
/// The ledger in Postgres: enqueueing within your own transactions, and the transactions of transactional handlers.
pub use haul_postgres as postgres;
pub use haul_worker::{HandlerError, JobContext, NewJob};
pub use signals::EXIT_FORCED;
pub use worker::{RunError, Worker};
