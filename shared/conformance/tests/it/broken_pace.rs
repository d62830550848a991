//! A store of pace that keeps every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferencePace;
use haul_core::{
    JobId, Pace,
    pace::{Destination, Enter, Entry, Left, Permit, Result, Rules, Sight, Verdict, Why},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    NeverOpens,
    NeverDoubles,
    DoublesWithoutEnd,
    SpreadsNothing,
    SendsAHerd,
    BlamesUnknown,
    PraisesUnknown,
    NeverForgives,
    IgnoresPauses,
    IgnoresInFlight,
    KeepsPermits,
    ExtendsNothing,
    TakesAnyPermit,
    CountsByHost,
    IgnoresRate,
    GivesOneTime,
    KnowsNobodyAgain,
    LooksBeforeItEnters,
    ResetsNothing,
    ListsWithoutEnd,
    HidesTheLine,
    ForgetsSinceWhen,
    PagesFromTheStart,
    LooksUpAnybody,
}
use Defect::*;

const LONG: Duration = Duration::from_secs(100_000);

pub(crate) struct BrokenPace {
    inner: Arc<ReferencePace>,
    defect: Defect,
}

impl BrokenPace {
    pub(crate) fn new(inner: Arc<ReferencePace>, defect: Defect) -> Self {
        Self { inner, defect }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn rules(&self, rules: &Rules) -> Rules {
        match self.defect {
            NeverOpens => Rules { failures: u32::MAX, window_calls: u32::MAX, ..*rules },
            NeverDoubles => Rules { open_cap: rules.open_base, ..*rules },
            DoublesWithoutEnd => Rules { open_cap: LONG, ..*rules },
            SendsAHerd => Rules { probes: u32::MAX, ..*rules },
            IgnoresInFlight => Rules { in_flight: 10_000, ..*rules },
            KeepsPermits => Rules { permit: LONG, ..*rules },
            IgnoresRate => Rules { rate: 0, ..*rules },
            GivesOneTime => Rules { returns: u32::MAX, ..*rules },
            _ => *rules,
        }
    }

    fn name(&self, destination: &Destination) -> Destination {
        match self.defect {
            CountsByHost => Destination::new(format!("any://{}:1", destination.host())).expect("a destination"),
            _ => destination.clone(),
        }
    }

    fn permit(&self, permit: &Permit) -> Permit {
        Permit { destination: self.name(&permit.destination), ..permit.clone() }
    }

    async fn is_full(&self, entry: &Entry<'_>) -> Result<bool> {
        let seen = self.inner.list(100).await?;
        let of_it = seen.iter().find(|sight| sight.destination == *entry.destination);
        Ok(of_it.is_some_and(|sight| sight.in_flight >= u64::from(entry.rules.in_flight)))
    }
}

#[async_trait]
impl Pace for BrokenPace {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        let (mut rules, destination) = (self.rules(entry.rules), self.name(entry.destination));
        let (mut job, mut permit) = (entry.job, entry.permit);
        match self.defect {
            KnowsNobodyAgain => job = JobId(Uuid::from_u128(entry.permit.as_u128() | 1 << 90)),
            SpreadsNothing => permit = Uuid::from_u128(permit.as_u128() << 16 >> 16 | 0x8000 << 112),
            LooksBeforeItEnters => {
                if self.is_full(entry).await? {
                    return Ok(Enter::Wait(Duration::from_millis(10), Why::Busy));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                rules.in_flight = 10_000;
            }
            _ => {}
        }
        let entry = Entry { destination: &destination, job, permit, rules: &rules };
        match self.inner.enter(&entry).await? {
            Enter::Go(permit) => Ok(Enter::Go(Permit { destination: destination.clone(), ..permit })),
            wait @ Enter::Wait(..) => Ok(wait),
        }
    }

    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        if self.is(ExtendsNothing) {
            return Ok(true);
        }
        self.inner.extend(&self.permit(permit), &self.rules(rules)).await
    }

    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        let verdict = match verdict {
            Verdict::Unknown if self.is(BlamesUnknown) => Verdict::AtFault(None),
            Verdict::Unknown if self.is(PraisesUnknown) => Verdict::Works,
            Verdict::Works if self.is(NeverForgives) => Verdict::Unknown,
            Verdict::AtFault(Some(_)) if self.is(IgnoresPauses) => Verdict::AtFault(None),
            verdict => verdict,
        };
        let left = self.inner.leave(&self.permit(permit), verdict, &self.rules(rules)).await?;
        Ok(if self.is(TakesAnyPermit) && left == Left::NotHeld { Left::Done } else { left })
    }

    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        let limit = if self.is(ListsWithoutEnd) { usize::MAX } else { limit };
        let mut seen = self.inner.list(limit).await?;
        if self.is(HidesTheLine) {
            seen.iter_mut().for_each(|sight| sight.waiting = 0);
        }
        if self.is(ForgetsSinceWhen) {
            seen.iter_mut().for_each(|sight| sight.unchanged_for = Duration::ZERO);
        }
        Ok(seen)
    }

    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        self.inner.page(after.filter(|_| !self.is(PagesFromTheStart)), limit).await
    }

    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        if self.is(LooksUpAnybody) {
            return Ok(self.inner.list(1).await?.pop());
        }
        self.inner.look(&self.name(destination)).await
    }

    async fn reset(&self, destination: &Destination) -> Result<bool> {
        if self.is(ResetsNothing) {
            return Ok(self.inner.list(100).await?.iter().any(|sight| sight.destination == *destination));
        }
        self.inner.reset(&self.name(destination)).await
    }
}
