//! Pace: how fast, and whether, destinations are called. One truth for all workers.
//!
//! Handlers call third parties that fail, hang, and ask for patience. For each *destination* (scheme, host and port) a
//! store of pace keeps a circuit breaker, a request rate, the calls in flight, and the line of those who wait. Whoever wants
//! to call [enters](Pace::enter): it gets a [`Permit`], or is told for how long to stay away. It [leaves](Pace::leave) with
//! a [`Verdict`] about the destination.
//!
//! A store of pace is no truth about jobs: losing all of it forgets counts, no more. A call that fails has an *unknown*
//! effect; permits expire, and an expired one leaves no trace.
//!
//! What an adapter promises is written at each method, the rules of it all in [`machine`], and the pace suite of
//! `haul-conformance` compares adapters with that.

mod destination;
mod fallback;
pub mod machine;
mod rules;

pub use destination::{Destination, DestinationError};
pub use fallback::FallbackPace;
pub use rules::{HostRules, PaceRules, Rules};

use crate::id::JobId;
use async_trait::async_trait;
use std::time::Duration;
use uuid::Uuid;

/// Why a store of pace has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PaceError {
    /// Not reachable, or the answer was lost: whether it took effect is unknown.
    #[error("the store of pace is not reachable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A store's answer.
pub type Result<T> = std::result::Result<T, PaceError>;

/// Somebody who wants to call a destination.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Whom.
    pub destination: &'a Destination,
    /// For which job: it keeps its place in the line from one entry to the next.
    pub job: JobId,
    /// A new id for the permit. Its bytes are also the chance by which pauses are spread.
    pub permit: Uuid,
    /// What holds for this destination. The newest word rules.
    pub rules: &'a Rules,
}

/// What an entry is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enter {
    /// Call it, and leave.
    Go(Permit),
    /// Come back after that time. The times of those who wait are spread, in order.
    Wait(Duration, Why),
}

/// Why a call has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The destination has failed too often: nobody calls it for a while.
    Open,
    /// It was unwell, and others are trying it just now.
    Probing,
    /// It asked for a pause.
    Asked,
    /// As many calls as it may have are in flight.
    Busy,
    /// Its requests per second are used up.
    Rate,
    /// Others were here before.
    Line,
}

impl Why {
    /// All reasons.
    pub const ALL: [Self; 6] = [Self::Open, Self::Probing, Self::Asked, Self::Busy, Self::Rate, Self::Line];

    /// The word for it in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Probing => "probing",
            Self::Asked => "asked",
            Self::Busy => "busy",
            Self::Rate => "rate",
            Self::Line => "line",
        }
    }
}

/// The right to make one call, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Whom it is for.
    pub destination: Destination,
    /// The id that the entry gave it.
    pub id: Uuid,
    /// The breaker's number of changes when it was given: what is learnt by older permits says nothing about it now.
    pub epoch: u64,
    /// When it was given, in microseconds on the store's clock.
    pub since_us: u64,
    /// Whether it tries a destination that was unwell.
    pub is_probe: bool,
}

/// What a call has shown about its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works: it answered, be it that it refused this request.
    Works,
    /// It is at fault: no connection, no answer in time, a 5xx, or it asked for a pause, which is kept by everybody.
    AtFault(Option<Duration>),
    /// Nothing was learnt: we refused to send, or gave up for reasons of our own.
    Unknown,
}

/// The three states of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Breaker {
    /// Calls go through.
    #[default]
    Closed,
    /// None do.
    Open,
    /// A few do, to find out.
    HalfOpen,
}

impl Breaker {
    /// The word for it in the API, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What leaving has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The permit was not held any longer, or never: nothing.
    NotHeld,
    /// The permit is given back.
    Done,
    /// And the breaker has changed.
    Changed(Breaker),
}

/// A destination, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Which.
    pub destination: Destination,
    /// Its breaker. Open ones whose time has come are half-open from the next entry on.
    pub breaker: Breaker,
    /// For how long the breaker has been like that.
    pub unchanged_for: Duration,
    /// Failures in a row.
    pub failures: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Jobs in the line.
    pub waiting: u64,
    /// For how long nobody is let through, if nobody is.
    pub opens_in: Option<Duration>,
}

/// How fast, and whether, destinations are called.
#[async_trait]
pub trait Pace: Send + Sync + 'static {
    /// Lets a call through or says when to come back, by the rules in [`machine`]. A store that keeps
    /// [`DESTINATIONS_MAX`](crate::limits::DESTINATIONS_MAX) destinations lets calls to further ones through uncounted.
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter>;

    /// Makes a permit last its full time from now. `false` when it is not held any longer.
    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool>;

    /// Gives a permit back, with what the call has shown. One that expired, or was given back, changes nothing.
    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left>;

    /// The destinations that were called last, at most so many.
    async fn list(&self, limit: usize) -> Result<Vec<Sight>>;

    /// The destinations that are known, in the order of their names' bytes, from behind `after` on: at most so many, and
    /// fewer only when there are no more.
    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>>;

    /// What there is to see of one; `None` when nothing is known of it.
    async fn look(&self, destination: &Destination) -> Result<Option<Sight>>;

    /// Forgets failures, pauses and the line of a destination: its breaker is closed. Calls in flight stay counted.
    /// `false` when nothing is known of it.
    async fn reset(&self, destination: &Destination) -> Result<bool>;
}
