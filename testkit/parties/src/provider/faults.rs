//! What goes wrong, and when: [`Weather`] and [`Fault`].

use crate::chance;
use std::time::Duration;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A charge is declined: 402 `card_declined`. Other requests are not touched.
    Decline,
    /// 429 with `Retry-After`; nothing is done, and nothing is remembered under the key.
    Busy,
    /// 500 before anything is done. It is remembered under the key, as Stripe does: every repetition gets it again.
    Fail,
    /// It is done, and the answer is 500, which is remembered under the key.
    CommitAndFail,
    /// Nothing is done, and no answer comes.
    Hang,
    /// It is done, and no answer comes.
    CommitAndHang,
    /// The connection is closed; nothing is done.
    HangUp,
    /// It is done, and the connection is closed.
    CommitAndHangUp,
    /// It is done, and the connection is closed in the middle of the answer.
    CommitAndCutOff,
    /// It is done, late.
    Slow,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::Decline,
        Self::Busy,
        Self::Fail,
        Self::CommitAndFail,
        Self::Hang,
        Self::CommitAndHang,
        Self::HangUp,
        Self::CommitAndHangUp,
        Self::CommitAndCutOff,
        Self::Slow,
    ];

    /// What it is called in tables and in tokens: `pm_fault_commit-and-hang-up`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decline => "decline",
            Self::Busy => "busy",
            Self::Fail => "fail",
            Self::CommitAndFail => "commit-and-fail",
            Self::Hang => "hang",
            Self::CommitAndHang => "commit-and-hang",
            Self::HangUp => "hang-up",
            Self::CommitAndHangUp => "commit-and-hang-up",
            Self::CommitAndCutOff => "commit-and-cut-off",
            Self::Slow => "slow",
        }
    }

    /// Whether nothing is done.
    pub(super) fn is_before_commit(self) -> bool {
        matches!(self, Self::Busy | Self::Fail | Self::Hang | Self::HangUp)
    }
}

/// How often which fault strikes. What strikes a request follows from the seed, its idempotency key (or path) and how often
/// that was used before: it does not depend on the order in which requests arrive.
#[derive(Debug, Clone)]
pub struct Weather {
    /// What chance follows.
    pub seed: u64,
    /// How many requests in a thousand each fault strikes; a thousand together at most.
    pub per_mille: Vec<(Fault, u16)>,
    /// How long a request that hangs is held before its connection is closed.
    pub hang: Duration,
    /// How late a slow answer is.
    pub slow: Duration,
    /// `Retry-After` of a busy answer, in seconds.
    pub retry_after_s: u64,
}

impl Weather {
    /// No faults but those that tokens ask for.
    #[must_use]
    pub fn fair() -> Self {
        Self {
            seed: 0,
            per_mille: Vec::new(),
            hang: Duration::from_secs(60),
            slow: Duration::from_millis(300),
            retry_after_s: 1,
        }
    }

    /// Every fault: one request in four is struck.
    #[must_use]
    pub fn stormy(seed: u64) -> Self {
        let per_mille = Fault::ALL.map(|fault| match fault {
            Fault::Decline => (fault, 50),
            Fault::Hang | Fault::CommitAndHang => (fault, 10),
            _ => (fault, 25),
        });
        Self { seed, per_mille: per_mille.into(), ..Self::fair() }
    }

    /// What strikes the `nth` request of this name.
    pub(super) fn strike(&self, name: &str, nth: u64, token: Option<&str>) -> Option<Fault> {
        if let Some(wanted) = token.and_then(|token| token.strip_prefix("pm_fault_")) {
            return Fault::ALL.into_iter().find(|fault| nth == 0 && fault.name() == wanted);
        }
        chance::draw(&self.per_mille, self.seed, name, nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_strikes_one_in_four_with_every_fault_and_the_same_again() {
        let storm = Weather::stormy(7);
        let strikes = || (0..10_000).map(|n| storm.strike(&format!("key-{n}"), 0, None)).collect::<Vec<_>>();
        let struck = strikes();
        assert_eq!(struck, strikes());
        let count = struck.iter().flatten().count();
        assert!((2_200..2_700).contains(&count), "{count}");
        for fault in Fault::ALL {
            assert!(struck.contains(&Some(fault)), "{fault:?}");
        }
        let again = (0..10_000).map(|n| storm.strike(&format!("key-{n}"), 1, None)).collect::<Vec<_>>();
        assert_ne!(struck, again, "a repetition has a chance of its own");
    }

    #[test]
    fn a_token_asks_for_its_fault_once() {
        let fair = Weather::fair();
        assert_eq!(fair.strike("key", 0, Some("pm_fault_commit-and-hang-up")), Some(Fault::CommitAndHangUp));
        assert_eq!(fair.strike("key", 1, Some("pm_fault_commit-and-hang-up")), None);
        assert_eq!(fair.strike("key", 0, Some("pm_card_visa")), None);
    }
}
