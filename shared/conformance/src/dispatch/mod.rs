//! The dispatch suite: one promise per sentence of [`Dispatch`]'s documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod due;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod lease;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod look;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod model;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod order;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod rebuild;
mod runner;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod scan;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod settle;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod slots;
mod stage;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod wake;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::Dispatch;
use std::sync::Arc;

/// Makes dispatches for the suite.
#[async_trait]
pub trait DispatchHarness: Send + Sync + 'static {
    /// An empty dispatch, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn DispatchWorld>;
}

/// A dispatch, and the one thing that the suite needs to do behind its back.
#[async_trait]
pub trait DispatchWorld: Send + Sync + 'static {
    /// The dispatch. Called again, it may give another handle to the same store, as a second process has one.
    fn dispatch(&self) -> Arc<dyn Dispatch>;

    /// Drops everything that it holds, as a flushed or replaced server does, behind the back of its handles.
    async fn lose(&self);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __dispatch_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { dispatch $args
            order {
                tickets_come_in_the_order_they_were_enqueued,
                a_claimed_ticket_is_as_it_was_enqueued,
                a_lower_priority_number_comes_first,
                among_kinds_the_oldest_head_comes_first,
                each_kind_is_given_no_more_than_its_room,
                a_claim_gives_no_more_than_its_limit,
                a_kind_at_its_limit_does_not_hold_up_the_others,
                kinds_that_nobody_asks_for_wait,
                a_claim_of_nothing_is_answered,
                an_empty_queue_gives_nothing_and_knows_of_nothing,
                queues_and_tenants_share_nothing,
                ten_thousand_tickets_come_out_once_each_in_order,
            }
            due {
                a_ticket_is_not_given_out_before_it_is_due,
                a_ticket_that_was_due_long_ago_is_given_out_at_once,
                a_claim_tells_in_how_long_the_next_ticket_is_due,
                what_becomes_due_comes_in_the_order_of_its_time,
                what_becomes_due_keeps_its_priority_and_kind,
                many_tickets_that_are_due_at_once_all_come,
                what_is_due_of_other_kinds_does_not_hold_up_a_kind,
                a_short_claim_while_more_is_due_says_so,
            }
            lease {
                a_leased_ticket_is_given_to_nobody_else,
                a_ticket_comes_back_as_a_suspect_when_its_lease_expires,
                many_expired_leases_all_come_back_once,
                expired_leases_go_first_within_their_priority,
                a_claim_tells_in_how_long_a_lease_expires,
                an_extended_lease_outlives_its_first_term,
                an_extension_counts_from_now_and_may_be_shorter,
                a_wrong_token_extends_nothing,
                answers_to_an_extension_come_in_order,
                an_unknown_lease_is_not_taken_up_while_the_queue_is_whole,
                a_ticket_whose_job_is_leased_is_not_enqueued,
                a_duplicate_ticket_is_never_leased_beside_the_first,
                a_duplicate_does_not_outlast_the_expiry_of_a_lease_twice,
            }
            settle {
                a_ticket_that_is_done_goes_away,
                a_done_ticket_can_be_enqueued_anew,
                a_parked_ticket_waits_for_its_time,
                a_ticket_parked_until_now_comes_back_with_kind_and_priority,
                a_released_ticket_goes_to_the_front_of_its_line,
                a_released_ticket_is_no_suspect,
                a_wrong_token_settles_nothing,
                settling_twice_or_the_unknown_does_nothing,
                one_call_settles_leases_in_different_ways,
                a_thousand_leases_are_settled_at_once,
                removed_tickets_that_are_delayed_never_come,
                removed_tickets_that_are_ready_come_at_most_once,
                a_lease_stays_when_its_ticket_is_removed,
                a_job_can_come_again_after_its_ticket_was_removed,
            }
            look {
                figures_tell_ready_delayed_and_leased,
                figures_are_of_the_kinds_asked_for,
                what_has_become_due_counts_as_ready,
                an_expired_lease_counts_as_ready,
                the_oldest_ready_ticket_is_told,
                leased_answers_in_order,
                running_names_leased_jobs_up_to_a_limit,
                a_paused_queue_gives_out_nothing_and_says_so,
                leases_of_a_paused_queue_go_on,
                a_pause_is_of_one_queue,
            }
            scan {
                every_ticket_is_seen_where_it_is,
                a_scan_of_nothing_ends,
                a_scan_is_of_the_kinds_asked_for,
                a_scan_knows_very_many_kinds,
                a_page_holds_no_more_than_its_limit,
                an_expired_lease_tells_for_how_long,
                what_came_back_by_expiry_is_seen_as_ready,
                a_scan_changes_nothing,
                what_waits_is_seen_while_others_are_taken_at_the_head,
                what_waits_is_seen_while_others_come,
                a_ticket_that_goes_forward_meanwhile_is_seen,
                what_is_delayed_is_seen_while_others_are_removed,
                what_is_leased_is_seen_while_others_end,
                a_paused_queue_is_scanned_and_a_lost_one_too,
            }
            rebuild {
                a_new_queue_is_lost_until_it_is_rebuilt,
                lost_names_the_lost_among_those_asked_for,
                a_loss_is_noticed_by_every_queue,
                calls_to_a_lost_queue_are_answered,
                nothing_is_given_out_during_a_rebuild,
                a_rebuild_drops_what_waited_and_keeps_the_leases,
                a_rebuild_drops_the_kinds_that_it_names,
                a_ticket_enqueued_during_a_rebuild_is_kept,
                a_ticket_that_goes_back_during_a_rebuild_is_kept,
                a_lease_that_expires_during_a_rebuild_comes_back_once,
                one_rebuild_of_a_queue_at_a_time,
                one_of_many_who_begin_a_rebuild_at_once_gets_the_right,
                a_right_that_has_ended_does_nothing,
                a_right_that_was_never_given_does_nothing,
                adding_tickets_renews_the_right,
                a_rebuild_does_not_survive_a_loss,
                a_rebuild_sets_what_the_ledger_says_of_the_pause,
                a_lease_is_taken_up_again_in_a_lost_queue,
                a_lease_that_another_took_up_is_not_taken_up_twice,
                a_lease_taken_up_beside_its_rebuilt_ticket_is_not_given_out,
                a_lease_taken_up_again_is_settled_like_any_other,
                a_thousand_leases_are_taken_up_again,
                a_lease_taken_up_again_expires_like_any_other,
                many_tickets_are_rebuilt,
            }
            slots {
                every_ticket_of_a_split_queue_is_given_out_once,
                a_claim_from_a_split_queue_keeps_to_its_limit_and_rooms,
                each_slot_keeps_its_order,
                leases_of_a_split_queue_go_where_they_are_sent,
                a_scan_of_a_split_queue_sees_every_ticket,
                every_ticket_of_a_split_queue_wakes_an_idle_worker,
                a_pause_is_of_all_slots,
                leases_are_taken_up_when_the_queue_is_split_anew,
                another_handle_need_not_be_told_that_a_queue_is_split,
                a_queue_that_is_split_anew_under_load_loses_nothing,
            }
            wake {
                an_enqueue_wakes_an_idle_worker,
                a_wake_up_before_the_wait_is_not_lost,
                a_wait_without_a_wake_up_ends_in_time,
                a_worker_is_woken_for_each_queue_that_it_asked,
                a_worker_that_found_some_but_not_all_it_asked_for_is_woken,
                one_ticket_wakes_one_worker,
                a_worker_of_the_kind_is_woken,
                tickets_of_two_kinds_wake_a_worker_of_each,
                a_worker_that_leaves_tickets_behind_wakes_another,
                a_wake_up_is_passed_on,
                an_earlier_due_time_wakes_a_worker_that_waits_for_a_later_one,
                a_released_ticket_wakes_an_idle_worker,
                a_parked_ticket_wakes_an_idle_worker_when_it_is_due,
                a_resumed_queue_wakes_its_idle_workers,
                a_finished_rebuild_wakes_idle_workers,
                a_new_queue_wakes_every_waiting_worker,
                no_wake_up_is_lost_between_a_claim_and_a_wait,
                no_ticket_lies_while_workers_sleep,
            }
            crowd {
                each_ticket_is_leased_to_exactly_one_of_many_claimers,
                duplicates_and_releases_in_a_crowd_never_lease_a_job_twice_at_once,
                holders_that_vanish_lose_no_ticket,
            }
            model {
                any_sequence_of_calls_is_answered_as_the_reference_answers_it,
            }
        }
    };
}

__dispatch_promises! { promises () }
