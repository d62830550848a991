//! Haul without any service: a dispatch in this process's memory.

mod memory;

pub use memory::MemoryDispatch;
