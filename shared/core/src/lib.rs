//! The nouns and rules of Haul, without any I/O.
//!
//! Read in this order: [`job`] (what was asked), [`outcome`] (how it ended), [`policy`] (what an attempt's end means),
//! [`ledger`] (the truth) and [`dispatch`] (the hint about what to run next). Everything else serves these five.
//!
//! Nothing here opens a file, a socket or a thread; adapters and roles do. What may be asked of a ledger or a dispatch
//! is written at the two traits and proven by the suites of `haul-conformance`.

pub mod audit;
pub mod batch;
pub mod books;
pub mod config;
pub mod dispatch;
pub mod endpoints;
pub mod fleet;
pub mod id;
pub mod job;
pub mod ledger;
pub mod limits;
pub mod maintenance;
pub mod name;
pub mod outcome;
pub mod pace;
pub mod payment;
pub mod policy;
pub mod queue;
pub mod readiness;
pub mod schedules;
pub mod span;
pub mod statistics;
pub mod telemetry;
pub mod template;
pub mod time;
pub mod trace;

pub use books::Books;
pub use config::Config;
pub use dispatch::Dispatch;
pub use endpoints::Endpoints;
pub use fleet::Fleet;
pub use id::{IdMint, JobId, ProcessId};
pub use job::{Job, JobOptions, Priority};
pub use ledger::Ledger;
pub use maintenance::Maintenance;
pub use name::{Kind, Queue, QueueRef, ScheduleName, SourceName, Tenant};
pub use outcome::{Failure, FinalState, JobError, JobState, Outcome};
pub use pace::Pace;
pub use payment::{Payment, PaymentId};
pub use policy::RetryPolicy;
pub use queue::{QueueChange, QueueSettings};
pub use readiness::Readiness;
pub use schedules::Schedules;
pub use span::Span;
pub use statistics::Statistics;
pub use template::JobTemplate;
pub use time::{Clock, Timestamp};
pub use trace::TraceContext;
