//! A scenario: what is done to a stage, and what the run has to show.

use crate::stage::{Setup, Stage};
use anyhow::Result;
use std::{future::Future, pin::Pin, time::Duration};

/// What a scenario does, once the stage is set.
pub type Act = for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One way to break things.
pub struct Scenario {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// What is done, in a sentence.
    pub about: &'static str,
    /// Whether it belongs to the selection that every change has to pass.
    pub is_short: bool,
    /// The longest that a run may take, everything included.
    pub budget: Duration,
    /// What it needs.
    pub setup: Setup,
    /// What a run has to show, so that nobody takes an idle one for a good one.
    pub demands: Demands,
    /// Why it cannot run here, when it cannot.
    pub missing: fn() -> Option<String>,
    /// What is done.
    pub act: Act,
}

/// What a run has to show besides that nothing is violated.
#[derive(Debug, Clone, Copy)]
pub struct Demands {
    /// At least so many submits are acknowledged.
    pub acknowledged_min: usize,
    /// At least so many faults land.
    pub faults_min: usize,
    /// At least so many ticks fire.
    pub ticks_min: usize,
    /// Every victim recovers within this time, where the issue names one.
    pub recovery_max: Option<Duration>,
}

impl Scenario {
    /// A scenario with the usual stage, budget and demands.
    #[must_use]
    pub fn new(name: &'static str, about: &'static str, act: Act) -> Self {
        Self {
            name,
            about,
            is_short: false,
            budget: Duration::from_secs(120),
            setup: Setup::default(),
            demands: Demands { acknowledged_min: 100, faults_min: 1, ticks_min: 0, recovery_max: None },
            missing: || None,
            act,
        }
    }

    /// Makes it one of the selection that every change has to pass.
    #[must_use]
    pub fn short(mut self) -> Self {
        self.is_short = true;
        self
    }
    /// With another stage.
    #[must_use]
    pub fn on(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }
    /// Shows at least so many acknowledged submits and so many faults.
    #[must_use]
    pub fn shows(mut self, acknowledged_min: usize, faults_min: usize) -> Self {
        self.demands = Demands { acknowledged_min, faults_min, ..self.demands };
        self
    }
    /// Shows at least so many ticks.
    #[must_use]
    pub fn fires(mut self, ticks_min: usize) -> Self {
        self.demands.ticks_min = ticks_min;
        self
    }
    /// Every victim recovers within this time.
    #[must_use]
    pub fn recovers_within(mut self, limit: Duration) -> Self {
        self.demands.recovery_max = Some(limit);
        self
    }
    /// May take so long.
    #[must_use]
    pub fn takes(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }
    /// Needs something that may be missing.
    #[must_use]
    pub fn needs(mut self, missing: fn() -> Option<String>) -> Self {
        self.missing = missing;
        self
    }
}
