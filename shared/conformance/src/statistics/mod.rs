//! The statistics suite: one promise per sentence of [`Statistics`]' documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod count;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod look;
mod stage;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::{Ledger, Statistics};
use std::sync::Arc;

/// Makes ledgers that count, for the suite.
#[async_trait]
pub trait StatisticsHarness: Send + Sync + 'static {
    /// An empty ledger, ready for use, that shares nothing with those made before. It has storage for jobs of the last
    /// ten days.
    async fn fresh(&self) -> Arc<dyn StatisticsWorld>;
}

/// A ledger, and what is counted of it.
pub trait StatisticsWorld: Send + Sync + 'static {
    /// What counts. Called again, it may give another handle to the same, as a second process has one.
    fn statistics(&self) -> Arc<dyn Statistics>;

    /// The ledger whose jobs are counted.
    fn ledger(&self) -> Arc<dyn Ledger>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __statistics_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { statistics $args
            count {
                nothing_is_counted_in_an_empty_ledger,
                an_hour_counts_its_jobs_and_what_came_of_them,
                an_hour_that_has_not_ended_is_not_counted,
                an_hour_is_counted_again_a_day_later_and_not_in_between,
                what_is_counted_again_is_not_counted_twice,
                hours_are_caught_up_with_one_by_one,
                many_who_count_at_once_count_each_job_once,
                what_took_no_time_or_was_cancelled_has_no_duration,
            }
            look {
                hours_are_of_a_queue_and_of_a_kind,
                hours_begin_at_from_and_end_before_to,
                expired_hours_are_gone_and_no_others,
            }
        }
    };
}

__statistics_promises! { promises () }
