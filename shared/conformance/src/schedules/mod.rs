//! The schedules suite: one promise per sentence of [`Schedules`]' documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod bring;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod change;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod due;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod fire;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod model;
mod stage;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::{Ledger, Schedules};
use std::sync::Arc;

/// Makes stores of schedules for the suite.
#[async_trait]
pub trait SchedulesHarness: Send + Sync + 'static {
    /// An empty store, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn SchedulesWorld>;
}

/// A store of schedules and the ledger that it is a part of.
pub trait SchedulesWorld: Send + Sync + 'static {
    /// The store. Called again, it may give another handle to the same store, as a second process has one.
    fn schedules(&self) -> Arc<dyn Schedules>;

    /// The ledger that takes its jobs.
    fn ledger(&self) -> Arc<dyn Ledger>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __schedules_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { schedules $args
            change {
                a_created_schedule_reads_back_as_it_was_sent,
                a_schedule_created_again_is_created_once,
                a_name_that_is_taken_is_refused,
                requests_under_one_key_create_one_schedule,
                a_schedule_created_again_under_its_key_is_created_once,
                a_key_of_a_job_is_no_key_of_a_schedule,
                a_refused_schedule_leaves_its_key_free,
                a_tenant_has_no_more_schedules_than_it_may_have,
                a_name_belongs_to_its_tenant,
                a_list_is_in_order_of_name_and_goes_on_after_its_cursor,
                load_gives_what_exists_and_nothing_else,
                an_edit_gives_a_new_definition_and_a_new_version,
                an_edit_of_another_version_changes_nothing,
                an_edit_that_moves_does_so_only_from_where_the_schedule_is,
                an_edit_takes_the_problem_away,
                a_pause_and_a_resume_are_new_versions,
                pausing_what_is_paused_changes_nothing,
                a_pause_of_another_version_changes_nothing,
                a_deleted_schedule_is_gone,
                a_delete_of_another_version_changes_nothing,
                what_does_not_exist_cannot_be_changed,
                definitions_are_kept_byte_for_byte,
            }
            bring {
                a_schedule_that_comes_along_is_created_once,
                a_schedule_that_came_along_and_was_deleted_does_not_come_again,
                a_name_that_is_taken_keeps_its_schedule_for_good,
                of_many_who_bring_a_schedule_along_one_creates_it,
            }
            due {
                nothing_is_due_and_nothing_next_in_an_empty_store,
                a_schedule_is_due_when_its_time_has_come,
                the_longest_overdue_come_first,
                no_more_are_due_than_asked_for,
                a_paused_schedule_is_not_due_until_it_is_resumed,
                a_schedule_that_never_fires_again_is_not_due,
                what_is_due_goes_by_the_ledgers_clock,
            }
            fire {
                a_step_moves_its_schedule_and_accepts_its_jobs,
                a_step_with_several_jobs_counts_them_and_remembers_the_last,
                a_step_without_jobs_moves_its_schedule_without_a_receipt,
                a_step_to_the_same_place_puts_off,
                a_problem_is_kept_until_the_next_step,
                a_step_of_another_version_fires_nothing,
                a_step_from_another_place_fires_nothing,
                a_paused_schedule_fires_nothing,
                a_deleted_schedule_fires_nothing_also_when_its_name_is_used_again,
                a_step_sent_again_is_taken_once,
                in_a_batch_only_the_jobs_of_steps_that_were_taken_are_accepted,
                an_empty_batch_of_steps_is_answered,
                a_thousand_steps_are_taken_at_once,
                the_receipt_covers_the_jobs_of_a_batch,
                receipts_named_as_done_go_with_a_batch,
                jobs_of_steps_make_their_queue_known,
                jobs_beyond_a_limit_leave_every_schedule_where_it_is,
            }
            crowd {
                each_step_is_taken_by_one_of_many,
                no_more_are_created_at_once_than_a_tenant_may_have,
                one_key_used_by_many_at_once_creates_one_schedule,
                an_edit_that_moves_and_a_step_at_once_leave_one,
                a_pause_and_a_step_at_once_leave_no_half,
                the_same_steps_sent_by_many_at_once_are_taken_once,
            }
            model {
                any_sequence_of_calls_is_answered_as_the_reference_answers_it,
            }
        }
    };
}

__schedules_promises! { promises () }
