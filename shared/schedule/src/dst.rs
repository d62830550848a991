//! Daylight saving: what happens to times that a zone leaves out or has twice.
//!
//! Without a word from the user the expression decides, as it does for Debian's cron: one that names the times of a
//! day wants each day's run once; one whose minute or hour begins with `*` wants to follow the clock round.
//!
//! | expression       | clocks go forward 02:00 -> 03:00 | clocks go back 02:00 -> 01:00 |
//! |------------------|----------------------------------|-------------------------------|
//! | `0 2 * * *`      | `run_once_after`: at 03:00       | at 02:00, which comes once    |
//! | `30 1 * * *`     | at 01:30                         | `first`: at the first 01:30   |
//! | `0 0 * * *`      | at 00:00                         | at 00:00                      |
//! | `*/15 * * * *`   | `skip`: .. 01:45, 03:00, ..      | `both`: .. 01:45, 01:00 again |
//! | `0 */2 * * *`    | `skip`: 00:00, 04:00             | 00:00, 02:00                  |
//! | `0,30 2,3 * * *` | at 03:00 and 03:30               | both, once each               |
//!
//! The last line is why it is "once": whatever a gap swallows becomes at most one tick, at the gap's end, and none at all
//! where the schedule fires at that time anyway.

use crate::{expression::Expression, words::words};

words! {
    /// What happens to times that do not exist, because clocks were set forward over them.
    Gap {
        /// Nothing.
        Skip = "skip",
        /// All of a gap's ticks become one, at the first moment after it; none if the schedule has a tick of its own then.
        RunOnceAfter = "run_once_after",
    }
}

words! {
    /// What happens to times that exist twice, because clocks were set back over them.
    Repeat {
        /// They fire the first time.
        First = "first",
        /// They fire the second time.
        Second = "second",
        /// They fire both times.
        Both = "both",
    }
}

/// A schedule's daylight-saving policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dst {
    /// For times that do not exist.
    pub gap: Gap,
    /// For times that exist twice.
    pub overlap: Repeat,
}

impl Dst {
    /// What holds where the user does not say.
    pub fn of(expression: &Expression) -> Self {
        if expression.is_hour_by_hour() {
            Self { gap: Gap::Skip, overlap: Repeat::Both }
        } else {
            Self { gap: Gap::RunOnceAfter, overlap: Repeat::First }
        }
    }
}
