//! The worker: claims jobs, runs their handlers, records what came of each.
//!
//! ```no_run
//! # use haul_core::{Dispatch, IdMint, Ledger};
//! use haul_worker::{HandlerError, JobContext, NewJob, Worker};
//! use serde::{Deserialize, Serialize};
//! # use std::sync::Arc;
//!
//! #[derive(Deserialize)]
//! struct Order { id: u64 }
//! #[derive(Serialize)]
//! struct Mail { order: u64 }
//! struct Carrier;
//! # impl Carrier { async fn book(&self, _: u64) -> std::io::Result<String> { Ok(String::new()) } }
//!
//! // Any error is retried as the job's policy says, unless it says otherwise.
//! async fn ship(job: JobContext, order: Order) -> Result<String, HandlerError> {
//!     if order.id == 0 {
//!         return Err(HandlerError::do_not_retry("there is no order 0"));
//!     }
//!     let label = job.data::<Carrier>()?.book(order.id).await?;
//!     job.enqueue(NewJob::new("mail.send", &Mail { order: order.id }))?;
//!     Ok(label)
//! }
//!
//! # async fn example(
//! #     ledger: Arc<dyn Ledger>, dispatch: Arc<dyn Dispatch>, mint: Arc<IdMint>,
//! #     shutdown: tokio_util::sync::CancellationToken,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let worker = Worker::builder()
//!     .ledger(ledger)
//!     .dispatch(dispatch)
//!     .mint(mint)
//!     .data(Carrier)
//!     .handler("order.ship", ship)
//!     .build()?;
//! worker.run(shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! How a job passes through here: `pump` claims its ticket and `load` asks the ledger about it; `apalis` gives it a
//! slot; `attempt` runs its handler; `recorder` writes down how that ended; `settler` tells the dispatch. `claims` knows
//! everything that is on this way; `leases` and `cancel` watch over it; `suspects` runs those jobs elsewhere whose worker may
//! have died of them; `worker` starts and ends it all.

mod apalis;
mod attempt;
mod builder;
mod cancel;
mod chance;
mod claims;
mod context;
mod error;
mod follow_up;
mod lanes;
mod leases;
mod load;
mod meters;
mod pace;
mod pulse;
mod pump;
mod reach;
mod recorder;
mod registry;
mod settler;
#[cfg(feature = "simulation")]
pub mod simulation;
mod stop;
mod suspects;
mod tasks;
mod transactional;
mod worker;

pub use builder::{BuildError, WorkerBuilder};
pub use context::{JobContext, MissingData};
pub use error::HandlerError;
pub use follow_up::{EnqueueError, FOLLOW_UP_PAYLOAD_BYTES_MAX, NewJob};
pub use suspects::{Isolation, ServeError};
pub use transactional::TransactionalHandler;
pub use worker::{Worker, WorkerError};
