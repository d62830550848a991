//! The pace suite: what [`Pace`] promises, on a clock that the suite moves.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod breaker;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod flight;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod line;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod look;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod model;
mod stage;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::Pace;
use std::sync::{Arc, atomic::AtomicU64};

/// Makes stores of pace for the suite.
#[async_trait]
pub trait PaceHarness: Send + Sync + 'static {
    /// An empty store that shares nothing with those made before, on a clock of microseconds.
    async fn fresh(&self, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld>;
}

/// A store of pace and what can happen to it.
#[async_trait]
pub trait PaceWorld: Send + Sync + 'static {
    /// The store. Called again, it may give another handle to the same store, as a second process has one.
    fn pace(&self) -> Arc<dyn Pace>;

    /// Takes everything away, as a flush of its server does.
    async fn lose(&self);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __pace_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { pace $args
            breaker {
                failures_in_a_row_open_it_for_everybody,
                a_call_that_works_begins_the_count_anew,
                a_share_of_failures_opens_it_and_a_few_calls_do_not,
                failures_of_an_earlier_window_are_forgotten,
                it_is_open_twice_as_long_each_time_up_to_the_cap,
                how_long_it_is_open_is_spread_by_chance,
                half_open_lets_a_few_probes_through_and_no_more,
                a_probe_that_works_closes_it,
                a_probe_that_fails_opens_it_anew,
                a_probe_that_learnt_nothing_makes_room_for_another,
                a_probe_that_expires_makes_room_for_another,
                what_was_learnt_before_a_change_is_not_counted,
                a_pause_that_was_asked_for_is_kept_by_everybody_and_cut_to_the_cap,
                what_was_not_learnt_is_not_counted,
            }
            flight {
                no_more_calls_are_in_flight_than_allowed,
                an_expired_permit_comes_back_and_leaves_no_trace,
                an_extended_permit_lasts,
                an_expired_permit_cannot_be_extended,
                a_permit_is_given_back_once,
                a_permit_of_nobody_changes_nothing,
                destinations_do_not_touch_each_other,
                a_burst_goes_at_once_and_then_the_rate_holds,
                a_rate_that_was_not_used_is_not_saved_beyond_the_burst,
            }
            line {
                those_who_wait_come_one_after_the_other,
                whoever_asks_too_early_keeps_its_place,
                whoever_comes_in_time_goes_before_a_newcomer,
                a_newcomer_passes_the_line_where_there_is_plenty_of_room,
                beyond_its_length_times_are_drawn_by_chance,
                whoever_does_not_come_loses_its_place,
                waits_for_a_free_place_grow_with_the_silence,
            }
            look {
                nothing_is_shown_of_nobody,
                a_destination_shows_what_is_known_of_it,
                a_destination_shows_since_when_its_breaker_is_as_it_is,
                no_more_are_listed_than_asked_for,
                pages_go_by_name_and_show_each_destination_once,
                one_destination_is_looked_up_as_it_is_listed,
                a_reset_closes_the_breaker_and_keeps_what_is_in_flight,
                what_is_unknown_cannot_be_reset,
                a_loss_forgets_counts_and_nothing_else,
            }
            crowd {
                of_many_at_once_only_so_many_enter,
                of_many_probes_at_once_one_is_let_through,
            }
            model {
                any_sequence_of_calls_is_answered_as_the_machine_answers_it,
            }
        }
    };
}

__pace_promises! { promises () }
