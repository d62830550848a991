//! The endpoints suite: one promise per sentence of [`Endpoints`]' documentation.

#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod change;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod crowd;
#[expect(missing_docs, reason = "a promise is named after what it checks")]
pub mod report;
mod stage;

pub use stage::Stage;

use async_trait::async_trait;
use haul_core::Endpoints;
use std::sync::Arc;

/// Makes stores of endpoints for the suite.
#[async_trait]
pub trait EndpointsHarness: Send + Sync + 'static {
    /// An empty store, ready for use, that shares nothing with those made before.
    async fn fresh(&self) -> Arc<dyn EndpointsWorld>;
}

/// A store of endpoints.
pub trait EndpointsWorld: Send + Sync + 'static {
    /// The store. Called again, it may give another handle to the same store, as a second process has one.
    fn endpoints(&self) -> Arc<dyn Endpoints>;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __endpoints_promises {
    ($then:ident $args:tt) => {
        $crate::$then! { endpoints $args
            change {
                a_created_endpoint_reads_back_as_it_was_sent,
                an_endpoint_created_again_is_created_once,
                an_endpoint_belongs_to_its_tenant,
                a_list_is_in_order_of_id_and_goes_on_after_its_cursor,
                an_edit_replaces_what_is_said_and_makes_a_new_version,
                an_edit_of_another_version_changes_nothing,
                a_deleted_endpoint_is_gone,
                a_delete_of_another_version_changes_nothing,
                what_does_not_exist_cannot_be_changed,
                no_tenant_has_more_than_the_limit,
                requests_under_one_key_create_one_endpoint,
                an_endpoint_created_again_under_its_key_is_created_once,
                a_refused_endpoint_leaves_its_key_free,
            }
            report {
                a_first_failure_begins_the_time_of_failing_and_further_ones_leave_it,
                a_success_ends_the_time_of_failing,
                an_endpoint_that_has_failed_for_too_long_is_disabled_once,
                an_endpoint_that_is_gone_is_disabled_at_once,
                a_report_of_another_version_is_not_noted,
                a_report_of_a_disabled_endpoint_is_not_noted,
                a_report_of_nothing_is_not_noted,
                an_edit_ends_the_time_of_failing_and_enables_again,
                a_report_leaves_the_version_alone_unless_it_disables,
            }
            crowd {
                of_many_edits_of_one_version_one_is_made,
                many_who_create_at_once_stay_within_the_limit,
                of_many_requests_under_one_key_one_creates,
                of_many_reports_at_once_one_disables,
            }
        }
    };
}

__endpoints_promises! { promises () }
