//! Overlap: what a tick does while the job of an earlier one is unfinished.
//!
//! Only the word is here. Whether a job is unfinished is known to the ledger, which decides in the transaction that fires
//! the tick.

use crate::words::words;

words! {
    /// What a tick does while the job of an earlier tick of the same schedule has no outcome yet.
    Overlap {
        /// Its job is accepted beside the other one.
        Allow = "allow",
        /// It passes without a job.
        Skip = "skip",
        /// Its job waits for the other one's outcome. One may wait: further ticks pass without a job.
        Queue = "queue",
    }
}
