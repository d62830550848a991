//! When schedules fire: expressions, time zones, ticks. Pure: no I/O, no clock, no ledger.
//!
//! Read in this order: [`ScheduleSpec`] (how a schedule is written), [`Expression`] (what crontab(5) means by it), [`Dst`]
//! (what happens when clocks are set), [`Tick`] and its name, and [`Schedule::due`] (what to fire now, and what was missed).
//!
//! What is promised: ticks come in the order of their instants, each once, and every process that is asked names them alike.
//! What is not done here: remembering. Who fires a tick keeps [`Progress`] in the ledger and moves it on in the transaction
//! that accepts the tick's job; that is what makes it exactly one.
//!
//! ```
//! use haul_schedule::{Progress, ScheduleSpec};
//!
//! let schedule = ScheduleSpec::cron("30 1 * * sun", "America/New_York").validate()?;
//! let progress = Progress::since("2026-10-30T12:00:00Z".parse()?);
//!
//! let due = schedule.due("nightly", &progress, "2026-11-01T05:30:00.050Z".parse()?);
//! assert_eq!(due.firings[0].tick.name.to_string(), "2026-11-01T01:30:00[America/New_York]");
//! // An hour later clocks show 01:30 again: it has been.
//! let later = schedule.due("nightly", &due.progress, "2026-11-01T06:30:00.050Z".parse()?);
//! assert!(later.firings.is_empty());
//! assert_eq!(later.next.unwrap().name.to_string(), "2026-11-08T01:30:00[America/New_York]");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calendar;
mod dst;
mod expression;
mod field;
mod foresight;
mod interval;
mod jitter;
mod missed;
mod overlap;
mod place;
mod schedule;
mod spec;
mod tick;
mod ticks;
mod words;
mod zone;

pub use dst::{Dst, Gap, Repeat};
pub use expression::{EXPRESSION_BYTES_MAX, Expression, ExpressionError};
pub use field::{Field, Problem};
pub use foresight::{Foresight, Occasion};
pub use interval::{INTERVAL_MAX, INTERVAL_MIN, Interval, IntervalError};
pub use jitter::{JITTER_MAX, jitter};
pub use missed::{CatchUp, Due, Firing, MISSED_MAX, Missed, ON_TIME, Progress};
pub use overlap::Overlap;
pub use place::Place;
pub use schedule::{Schedule, Ticks};
pub use spec::{DstSpec, MissedSpec, ScheduleSpec, SpecError, SpecErrors, SpecProblem};
pub use tick::{Tick, TickName, TickNameError};
pub use words::WordError;
