//! The ledger suite: one promise per sentence of [`Ledger`]'s documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod accept;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod cancel;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crashes;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod keys;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod list;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod look;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod model;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod queues;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod receipts;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod record;
mod stage;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod unsettled;

pub use stage::Stage;
pub(crate) use stage::{keyed, plain, tenant};

use async_trait::async_trait;
use haul_core::Ledger;
use std::{sync::Arc, time::Duration};

/// Makes ledgers for the suite.
#[async_trait]
pub trait LedgerHarness: Send + Sync + 'static {
    /// An empty ledger, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn LedgerWorld>;
}

/// A ledger, and the one thing that the suite needs to do behind its back.
#[async_trait]
pub trait LedgerWorld: Send + Sync + 'static {
    /// The ledger. Called again, it may give another handle to the same store, as a second process has one.
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// Makes what is stored with a time of its own older by `by`: when receipts were made and taken, when processes
    /// were last seen, when idempotency keys expire. What carries its time in a job's id stays as it is.
    async fn age(&self, by: Duration);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __ledger_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { ledger $args
            accept {
                an_accepted_job_reads_back_as_it_was_sent,
                a_batch_sent_again_is_accepted_once,
                a_batch_sent_again_after_its_jobs_ended_changes_nothing,
                an_empty_batch_is_accepted_without_a_receipt,
                a_batch_of_five_thousand_is_accepted_whole,
                payloads_are_kept_byte_for_byte,
                options_and_extreme_values_survive,
                the_clock_does_not_run_backwards,
            }
            keys {
                the_same_request_under_a_key_is_replayed,
                another_request_under_a_key_is_refused,
                a_keyed_batch_sent_again_is_new_again,
                within_a_batch_the_later_job_is_measured_against_the_earlier,
                an_expired_key_is_taken_over,
                a_key_belongs_to_its_tenant,
                keys_are_compared_byte_for_byte,
                a_thousand_keys_are_answered_at_once,
                a_key_outlives_its_jobs_end,
                a_replay_alone_has_no_receipt,
                one_of_many_concurrent_requests_under_a_key_is_accepted,
                concurrent_batches_with_keys_in_opposite_order_all_get_answers,
            }
            receipts {
                a_receipt_of_a_living_process_stays_with_it,
                a_receipt_covers_its_whole_batch,
                a_receipt_of_nobody_is_taken_at_once,
                a_released_receipt_is_taken_at_once,
                a_receipt_of_a_process_that_is_gone_is_taken,
                a_receipt_of_a_process_that_never_told_that_it_is_alive_is_taken_at_once,
                a_receipt_of_a_living_process_is_taken_after_three_minutes,
                a_dropped_receipt_is_never_taken,
                receipts_named_as_done_go_with_the_next_batch,
                a_taken_receipt_comes_back_for_its_final_sweep_after_a_minute,
                a_receipt_that_is_never_dropped_comes_back_every_minute,
                what_a_taker_took_that_is_gone_is_handed_out_again,
                a_taker_that_lives_keeps_what_it_took,
                what_an_unknown_taker_took_is_its_own_for_a_while,
                a_final_sweep_that_was_never_finished_is_begun_anew,
                a_taken_receipt_that_is_released_is_taken_at_once,
                no_more_receipts_are_taken_than_asked_for,
                a_receipt_is_never_given_to_two_callers,
            }
            record {
                a_success_is_kept_with_its_result,
                a_death_is_kept_with_its_error,
                the_first_outcome_stays,
                a_failure_is_kept_and_moves_the_due_time,
                a_failure_is_written_once_per_attempt,
                no_failure_is_written_after_an_outcome,
                in_one_batch_the_earlier_record_of_a_job_wins,
                a_failure_and_a_later_outcome_in_one_batch_both_stay,
                the_latest_failure_decides_when_a_job_is_due,
                an_empty_batch_of_records_is_answered,
                five_thousand_records_are_written_at_once,
                follow_ups_come_with_the_record_that_stays,
                as_many_follow_ups_as_are_allowed_are_accepted,
                follow_ups_beyond_a_limit_leave_nothing_behind,
                follow_ups_make_their_queue_known,
                follow_ups_of_a_stale_record_are_not_accepted,
                a_record_sent_again_accepts_its_follow_ups_once,
                results_are_kept_byte_for_byte,
                control_characters_in_errors_do_no_harm,
            }
            crashes {
                a_crash_is_kept_as_a_failure_with_a_mark,
                crashes_and_failures_of_one_job_mix,
                a_crash_of_an_attempt_is_counted_once,
                of_an_attempts_crash_and_failure_the_first_stays,
                no_crash_is_counted_after_an_outcome,
                crashes_before_the_outcome_stay_counted,
            }
            cancel {
                a_job_without_an_outcome_is_cancelled,
                a_job_that_ended_is_left_as_it_is,
                an_unknown_or_foreign_job_is_not_cancelled,
                answers_to_a_cancel_come_in_order,
                a_job_named_twice_is_cancelled_once,
                five_thousand_jobs_are_cancelled_at_once,
                a_cancelled_job_takes_no_more_records,
                settled_names_exactly_the_jobs_with_an_outcome,
            }
            look {
                load_gives_what_exists_and_nothing_else,
                load_takes_ten_thousand_ids,
                load_tells_failures_due_time_and_outcome,
                a_job_of_another_tenant_does_not_exist,
                a_job_reads_with_all_its_failures_in_order,
            }
            list {
                a_list_is_newest_first,
                a_list_goes_on_before_its_cursor,
                walking_a_list_meets_every_job_exactly_once,
                a_list_shows_nothing_of_other_tenants,
                a_list_is_filtered_by_queue_and_kind,
                a_list_is_filtered_by_tag,
                a_list_is_filtered_by_state,
                a_list_is_filtered_by_time_of_acceptance,
                filters_narrow_each_other,
                a_list_holds_the_latest_failure_only,
                a_rare_match_behind_many_others_is_found,
                a_list_reaches_jobs_in_closed_minutes,
            }
            unsettled {
                unsettled_jobs_come_in_order_of_id,
                unsettled_pages_meet_every_job_exactly_once,
                a_range_has_an_open_lower_and_a_closed_upper_end,
                an_unsettled_job_is_due_when_its_latest_failure_says,
                unsettled_jobs_of_all_tenants_are_read,
                minutes_in_which_all_is_settled_are_closed,
                closing_never_hides_an_unsettled_job,
                a_minute_that_is_still_young_stays_open,
                a_reopened_minute_is_read_again,
                a_reopened_minute_closes_again_when_its_jobs_have_ended,
            }
            queues {
                an_accepted_job_makes_its_queue_and_kind_known,
                kinds_come_in_the_order_of_their_bytes,
                a_queue_is_paused_and_resumed,
                a_queue_is_split_over_slots,
                a_change_leaves_alone_what_it_does_not_name,
                changes_of_different_settings_at_once_all_hold,
                settings_beyond_their_limits_are_refused,
                an_unknown_queue_cannot_be_configured,
                later_jobs_leave_the_settings_alone,
                a_queue_beyond_the_limit_is_refused_and_the_known_go_on,
                a_kind_beyond_the_limit_is_refused_and_the_known_go_on,
                a_refused_batch_leaves_nothing_behind,
                preparing_ahead_can_be_repeated,
                the_stream_of_events_does_not_end,
            }
            crowd {
                one_of_many_concurrent_outcomes_stays,
                one_of_many_concurrent_failures_of_an_attempt_stays,
                one_of_many_concurrent_crashes_of_an_attempt_stays,
                the_same_batch_sent_by_many_at_once_is_accepted_once,
                records_in_opposite_order_do_not_deadlock,
                accepts_of_new_queues_in_opposite_order_do_not_deadlock,
                cancels_and_outcomes_at_once_leave_one_outcome,
                closing_minutes_beside_writers_loses_no_job,
            }
            model {
                any_sequence_of_calls_is_answered_as_the_reference_answers_it,
            }
        }
    };
}

__ledger_promises! { promises () }
