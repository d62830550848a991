//! Haul without any service: the ledger in SQLite, the dispatch in this process's memory.
//!
//! [`SqliteLedger`] is the truth in a directory that it locks; [`MemoryDispatch`] is the hint, rebuilt from a ledger at
//! every start. Together they are what `haul up` runs on; the dispatch also serves a single process on Postgres, and without
//! the feature `sqlite` it is all there is here.

#[cfg(feature = "sqlite")]
mod ledger;
mod memory;
mod pace;

#[cfg(feature = "sqlite")]
pub use ledger::{OpenError, SqliteLedger};
pub use memory::MemoryDispatch;
pub use pace::MemoryPace;
