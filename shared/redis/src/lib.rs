//! The dispatch in Redis 7, Valkey or Redis Cluster, also behind Sentinels.
//!
//! [`RedisDispatch`] keeps the promises of [`haul_core::Dispatch`] with one Lua script per operation, in `lua/`: each is
//! atomic, declares every key it touches, reads the server's clock, and does a bounded amount of work. All keys of a
//! queue share one hash tag (`haul:{tenant/queue}:...`), so that a queue is one slot of a cluster, unless it is split over
//! several. `lua/prelude.lua` says what the keys are.
//!
//! [`RedisPace`] keeps those of [`haul_core::Pace`] in the same way, with the scripts in `lua/pace/`: a destination is one
//! slot of a cluster (`haul:pace:{https://host:443}:...`).
//!
//! It will not wait for a server that is not there yet (the caller retries [`RedisDispatch::connect`]), will not retry a
//! call (a failed one has an unknown effect, which leases cover), and keeps nothing in Redis that the ledger could not
//! bring back.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `address` | `REDIS_URL` |
//! | `door` | which servers are let in: the version, the eviction policy, cluster or not |
//! | `sentinel` | who the master is |
//! | `guard` | that the servers are still those that were let in, and still the masters |
//! | `link` | the connection: reconnects, timeouts, what an error means |
//! | `slots`, `spread` | queues that are split over several slots |
//! | `script`, `keys`, `tickets` | how a call is put into one command |
//! | `replies`, `scan` | how the longer answers are read |
//! | `dispatch` | the operations |
//! | `pace` | pace: the breaker, the rate and the line of each destination |
//! | `wakeups` | the pub/sub connection behind `wait` |

mod address;
mod dispatch;
mod door;
mod guard;
mod keys;
mod link;
mod pace;
mod replies;
mod scan;
mod script;
mod sentinel;
mod slots;
mod spread;
mod tickets;
mod wakeups;

pub use dispatch::RedisDispatch;
pub use link::Timeouts;
pub use pace::RedisPace;
