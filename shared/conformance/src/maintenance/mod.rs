//! The maintenance suite: one promise per sentence of [`Maintenance`]'s documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod erase;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod outlive;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod retain;
mod stage;

pub use stage::Stage;

use crate::ledger::LedgerWorld;
use async_trait::async_trait;
use haul_core::Maintenance;
use std::sync::Arc;

/// Makes ledgers with their maintenance for the suite.
#[async_trait]
pub trait MaintenanceHarness: Send + Sync + 'static {
    /// An empty ledger, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn MaintenanceWorld>;
}

/// A ledger and its maintenance.
pub trait MaintenanceWorld: LedgerWorld {
    /// The maintenance. Called again, it may give another handle to the same store, as a second process has one.
    fn maintenance(&self) -> Arc<dyn Maintenance>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __maintenance_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { maintenance $args
            retain {
                a_day_is_dropped_with_all_its_jobs,
                a_job_that_was_dropped_never_existed,
                young_days_are_left_alone,
                days_are_kept_for_as_long_as_asked,
                nothing_new_is_accepted_into_a_closed_day,
                a_batch_sent_again_into_a_closed_day_is_answered_as_before,
                a_key_lapses_with_its_job,
                many_days_are_dropped_step_by_step,
                an_empty_ledger_has_nothing_to_retain,
            }
            outlive {
                an_unfinished_job_is_never_dropped,
                what_outlives_its_day_is_recorded_like_any_other,
                what_outlives_its_day_is_cancelled_like_any_other,
                what_ended_late_is_kept_from_its_end,
                what_outlived_its_day_is_deleted_in_its_own_time,
                a_list_shows_what_outlives_its_day_exactly_once,
                follow_ups_of_what_outlives_its_day_are_accepted,
                a_key_of_what_outlives_its_day_is_replayed,
            }
            erase {
                payloads_results_and_details_are_erased,
                what_has_not_ended_keeps_its_payload,
                younger_payloads_are_left_alone,
                expired_keys_are_forgotten_within_the_limit,
                statistics_are_refreshed_until_none_is_out_of_date,
            }
            crowd {
                outcomes_recorded_while_days_are_closed_are_neither_lost_nor_doubled,
                jobs_are_seen_at_every_moment_while_their_day_is_closed_and_dropped,
                any_number_of_callers_may_retain_at_once,
            }
        }
    };
}

__maintenance_promises! { promises () }
