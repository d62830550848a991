//! What a receiver does with deliveries: [`Mood`] and [`Behaviour`].

use crate::chance;
use std::time::Duration;

/// What happens to one delivery whose signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// It is taken: 204.
    Take,
    /// It is not taken: 410, this receiver wants nothing any more.
    Gone,
    /// It is not taken: 500.
    Fail,
    /// It is not taken, and no answer comes.
    Hang,
    /// It is taken, late: 204.
    Slow,
    /// It is taken, and the connection is closed without an answer.
    HangUp,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 6] = [Self::Take, Self::Gone, Self::Fail, Self::Hang, Self::Slow, Self::HangUp];

    /// What it is called in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Gone => "gone",
            Self::Fail => "fail",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::HangUp => "hang-up",
        }
    }

    /// Whether the receiver has the delivery afterwards, whatever its sender learns.
    #[must_use]
    pub fn takes(self) -> bool {
        matches!(self, Self::Take | Self::Slow | Self::HangUp)
    }
}

/// How often a hook does what. What befalls a delivery follows from the seed, its id and how often that came before: it does
/// not depend on the order of arrival.
#[derive(Debug, Clone)]
pub struct Mood {
    /// What chance follows.
    pub seed: u64,
    /// What happens to how many in a thousand; a thousand together at most. The others are taken.
    pub per_mille: Vec<(Behaviour, u16)>,
    /// How long a delivery that hangs is held before its connection is closed.
    pub hang: Duration,
    /// How late a slow answer is.
    pub slow: Duration,
}

impl Mood {
    /// Takes everything.
    #[must_use]
    pub fn good() -> Self {
        Self { seed: 0, per_mille: Vec::new(), hang: Duration::from_secs(60), slow: Duration::from_millis(300) }
    }

    /// Does always the same.
    #[must_use]
    pub fn always(behaviour: Behaviour) -> Self {
        Self { per_mille: vec![(behaviour, 1_000)], ..Self::good() }
    }

    /// Everything but [`Behaviour::Gone`], which is for good: one delivery in four is not simply taken.
    #[must_use]
    pub fn mixed(seed: u64) -> Self {
        let per_mille =
            vec![(Behaviour::Fail, 100), (Behaviour::HangUp, 75), (Behaviour::Slow, 65), (Behaviour::Hang, 10)];
        Self { seed, per_mille, ..Self::good() }
    }

    /// What befalls the delivery of this id that came so often before.
    pub(super) fn strike(&self, id: &str, times: u64) -> Behaviour {
        chance::draw(&self.per_mille, self.seed, id, times).unwrap_or(Behaviour::Take)
    }
}
