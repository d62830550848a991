//! The ledger in PostgreSQL 15 or later: the truth about every job, in the schema `haul`.
//!
//! [`PostgresLedger`] is the `Ledger` of `haul-core`; what its methods promise is written there and checked by the
//! suite of `haul-conformance`. Only here exist: [`migrate()`], [`enqueue()`] for users' own transactions, the
//! [`Transaction`] of transactional handlers, and [`ExclusiveLock`] for a process that keeps its dispatch in memory.
//!
//! Every statement is a file under `sql/`, checked at compile time, and says in its head what it is given and what zero
//! rows mean. Every call is bounded in time: by the server, and by this side when the server is silent. Nothing here
//! retries; a caller that is told [`Unavailable`](haul_core::ledger::LedgerError::Unavailable) sends the same rows
//! again.

mod accept;
mod books;
mod cancel;
mod caution;
mod closing;
mod columns;
mod connect;
mod endpoints;
mod enqueue;
mod error;
mod events;
mod fleet;
mod keys;
mod ledger;
mod list;
mod load;
mod lock;
mod migrate;
mod options;
mod partitions;
mod pool;
mod queues;
mod receipts;
mod record;
mod retention;
mod rows;
mod schedules;
mod statistics;
mod transaction;
mod unsettled;

pub use connect::ConnectError;
pub use enqueue::{Enqueue, EnqueueError, enqueue};
pub use ledger::PostgresLedger;
pub use lock::{ExclusiveLock, LockError};
pub use migrate::{MigrateError, migrate};
pub use options::PostgresOptions;
pub use transaction::Transaction;
