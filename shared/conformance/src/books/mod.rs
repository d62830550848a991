//! The books suite: one promise per sentence of [`Books`]' documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod change;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod look;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod order;
mod stage;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::{Books, Ledger};
use std::sync::Arc;

/// Makes stores of payments for the suite.
#[async_trait]
pub trait BooksHarness: Send + Sync + 'static {
    /// An empty store, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn BooksWorld>;
}

/// A store of payments and the ledger that it is a part of.
pub trait BooksWorld: Send + Sync + 'static {
    /// The store. Called again, it may give another handle to the same store, as a second process has one.
    fn books(&self) -> Arc<dyn Books>;

    /// The ledger that takes its jobs.
    fn ledger(&self) -> Arc<dyn Ledger>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __books_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { books $args
            order {
                a_payment_and_its_job_are_made_together,
                a_payment_ordered_again_is_made_once,
                the_same_request_under_a_key_is_answered_with_its_job,
                another_request_under_a_key_is_refused,
                a_key_is_measured_before_the_payment_is_looked_at,
                a_key_is_remembered_with_its_job,
                an_order_of_another_version_makes_nothing,
                an_order_for_what_does_not_exist_makes_nothing,
                an_order_that_changes_a_payment_makes_both,
                another_job_leaves_the_payment_as_it_is,
            }
            change {
                a_change_is_stored_with_its_request_and_its_posting,
                a_change_of_another_version_changes_nothing,
                a_change_sent_again_is_made_once,
                requests_are_kept_byte_for_byte,
                a_request_that_is_stored_is_never_replaced,
                a_step_is_posted_once,
                a_posting_that_is_none_is_refused,
                a_job_of_another_operation_sends_nothing,
                a_job_that_has_ended_sends_nothing,
                a_job_that_sends_can_no_longer_be_cancelled,
                a_job_that_has_not_sent_can_be_cancelled,
            }
            look {
                payments_are_listed_the_newest_first,
                payments_of_a_state_are_listed,
                what_is_not_final_is_found,
                what_is_unknown_is_counted_with_the_oldest_of_it,
                what_is_unknown_is_counted_up_to_a_limit,
                payments_are_read_beside_their_postings,
                the_accounts_of_a_currency_sum_to_zero,
                an_event_is_noted,
                a_payment_is_read_with_the_ledgers_clock,
            }
            crowd {
                one_of_many_changes_at_once_is_made,
                of_a_cancel_and_a_send_at_once_one_is_refused,
                orders_under_one_key_at_once_make_one_payment,
                a_payment_and_its_postings_are_of_one_moment,
            }
        }
    };
}

__books_promises! { promises () }
