//! When schedules fire, told by tables, by a reference that walks every minute, and by that reference over random input.

mod broken;
mod expressions;
mod intervals;
mod missed;
mod names;
mod random;
mod reference;
mod refused;
mod spec;
mod speed;
mod year;
mod zones;

use haul_core::Timestamp;
use haul_schedule::{Dst, DstSpec, Gap, Repeat, Schedule, ScheduleSpec, TickName};

/// A point in time, from RFC 3339 without its seconds' decimals.
fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
}

/// The place in time to look for ticks from.
fn after(text: &str) -> TickName {
    TickName::of_instant(at(text))
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    ScheduleSpec::cron(cron, zone).validate().unwrap_or_else(|errors| panic!("{cron} {zone}: {errors}"))
}

fn schedule_with(cron: &str, zone: &str, seconds: bool, dst: Option<Dst>) -> Schedule {
    let dst = dst.map(|dst| DstSpec { gap: Some(dst.gap), overlap: Some(dst.overlap) });
    let spec = ScheduleSpec { seconds: Some(seconds), dst, ..ScheduleSpec::cron(cron, zone) };
    spec.validate().unwrap_or_else(|errors| panic!("{cron} {zone}: {errors}"))
}

/// Every daylight-saving policy.
fn policies() -> impl Iterator<Item = Dst> {
    let all = Gap::ALL.iter().flat_map(|&gap| Repeat::ALL.iter().map(move |&overlap| Dst { gap, overlap }));
    all.collect::<Vec<_>>().into_iter()
}
