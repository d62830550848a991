//! Foresight: what a schedule will do, for people who want to see it before it happens.
//!
//! Besides the ticks that fire it tells what clocks do at each, and which ticks the policy for set clocks leaves out. It
//! decides nothing: who fires asks [`Schedule::due`].

use crate::{
    dst::{Dst, Gap, Repeat},
    schedule::{Schedule, Timing},
    tick::{Tick, TickName},
    ticks::Clockwork,
    words::words,
    zone::{self, Reading},
};
use std::collections::HashSet;

/// Nominal times that are looked at for those that are left out.
const LOOKED_AT_MAX: usize = 5_000;

words! {
    /// What clocks do at a nominal time.
    Occasion {
        /// They show it once, as on most days.
        Once = "once",
        /// They are set forward over it: it does not exist.
        Gap = "gap",
        /// They show it twice, and this is the first time.
        First = "first",
        /// They show it twice, and this is the second time.
        Second = "second",
    }
}

/// What a schedule will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foresight {
    /// The ticks that fire, in their order.
    pub fires: Vec<Tick>,
    /// Ticks among these that the policy for set clocks leaves out; as many as were asked for at most.
    pub left_out: Vec<Tick>,
}

impl TickName {
    /// What clocks do then, by this process's zone data.
    pub fn occasion(&self) -> Occasion {
        match self.zone.map(|zone| zone::read(zone, self.local)) {
            None | Some(Reading::Once(_)) => Occasion::Once,
            Some(Reading::Gap { .. }) => Occasion::Gap,
            Some(Reading::Twice { .. }) if self.fold => Occasion::Second,
            Some(Reading::Twice { .. }) => Occasion::First,
        }
    }
}

impl Schedule {
    /// The policy for set clocks; `None` for an interval, which knows none.
    pub fn dst(&self) -> Option<Dst> {
        match &self.timing {
            Timing::Cron(clockwork) => Some(clockwork.dst),
            Timing::Every(_) => None,
        }
    }

    /// The first `count` ticks after `after`, and those that are left out before the last of them.
    pub fn foresee(&self, after: &TickName, count: usize) -> Foresight {
        let fires: Vec<Tick> = self.ticks(after).take(count).collect();
        let left_out = match (self.without_leaving_out(), fires.last()) {
            (Some(all), Some(last)) => {
                let firing: HashSet<TickName> = fires.iter().map(|tick| tick.name).collect();
                let until_last = all.ticks(after).take_while(|tick| tick.at <= last.at).take(LOOKED_AT_MAX);
                until_last.filter(|tick| !firing.contains(&tick.name)).take(count).collect()
            }
            _ => Vec::new(),
        };
        Foresight { fires, left_out }
    }

    /// The same schedule under the policy that leaves nothing out.
    fn without_leaving_out(&self) -> Option<Self> {
        let Timing::Cron(clockwork) = &self.timing else { return None };
        let dst = Dst { gap: Gap::RunOnceAfter, overlap: Repeat::Both };
        (clockwork.dst != dst).then(|| {
            let timing = Timing::Cron(Box::new(Clockwork { dst, ..(**clockwork).clone() }));
            Self { timing, ..self.clone() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DstSpec, ScheduleSpec};

    /// Nominal times, with what clocks do then.
    type Shown = Vec<(String, Occasion)>;

    fn foreseen(spec: &ScheduleSpec, from: &str, count: usize) -> (Shown, Shown) {
        let from = TickName::of_instant(from.parse().unwrap());
        let Foresight { fires, left_out } = spec.validate().unwrap().foresee(&from, count);
        let shown =
            |ticks: Vec<Tick>| ticks.iter().map(|tick| (tick.name.local(), tick.name.occasion())).collect::<Vec<_>>();
        (shown(fires), shown(left_out))
    }

    fn with(gap: Gap, overlap: Repeat, cron: &str) -> ScheduleSpec {
        let dst = Some(DstSpec { gap: Some(gap), overlap: Some(overlap) });
        ScheduleSpec { dst, ..ScheduleSpec::cron(cron, "America/New_York") }
    }

    fn tick(local: &str, occasion: Occasion) -> (String, Occasion) {
        (local.to_owned(), occasion)
    }

    #[test]
    fn a_time_that_does_not_exist_is_shown_as_run_after_its_gap_or_as_left_out() {
        let (fires, left_out) =
            foreseen(&with(Gap::RunOnceAfter, Repeat::First, "30 2 * * *"), "2026-03-07T12:00:00Z", 2);
        assert_eq!(fires, [tick("2026-03-08T02:30:00", Occasion::Gap), tick("2026-03-09T02:30:00", Occasion::Once)]);
        assert_eq!(left_out, []);
        let (fires, left_out) = foreseen(&with(Gap::Skip, Repeat::First, "30 2 * * *"), "2026-03-07T12:00:00Z", 2);
        assert_eq!(fires, [tick("2026-03-09T02:30:00", Occasion::Once), tick("2026-03-10T02:30:00", Occasion::Once)]);
        assert_eq!(left_out, [tick("2026-03-08T02:30:00", Occasion::Gap)]);
    }

    #[test]
    fn a_time_that_comes_twice_is_shown_with_its_coming() {
        let before = "2026-10-31T12:00:00Z";
        let (first, second) =
            (tick("2026-11-01T01:30:00", Occasion::First), tick("2026-11-01T01:30:00", Occasion::Second));
        let next_day = tick("2026-11-02T01:30:00", Occasion::Once);
        for (overlap, fires, left_out) in [
            (Repeat::First, vec![first.clone(), next_day.clone()], vec![second.clone()]),
            (Repeat::Second, vec![second.clone(), next_day], vec![first.clone()]),
            (Repeat::Both, vec![first, second], vec![]),
        ] {
            assert_eq!(foreseen(&with(Gap::Skip, overlap, "30 1 * * *"), before, 2), (fires, left_out), "{overlap}");
        }
    }

    #[test]
    fn an_interval_knows_no_clocks() {
        let spec = ScheduleSpec::every(haul_core::Span::from_secs(90));
        assert_eq!(spec.validate().unwrap().dst(), None);
        let (fires, left_out) = foreseen(&spec, "2026-11-01T05:00:00Z", 1);
        assert_eq!((fires, left_out), (vec![tick("2026-11-01T05:01:30", Occasion::Once)], vec![]));
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        // An hour of seconds is left out here.
        let spec = ScheduleSpec { seconds: Some(true), ..with(Gap::Skip, Repeat::First, "* * * * * *") };
        let (fires, left_out) = foreseen(&spec, "2026-11-01T05:59:59Z", 100);
        assert_eq!((fires.len(), left_out.len()), (100, 100));
        assert_eq!(fires[0], tick("2026-11-01T02:00:00", Occasion::Once));
    }
}
