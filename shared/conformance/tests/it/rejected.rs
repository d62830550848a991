//! Each broken adapter is rejected by the promises that it breaks: the suites can fail, and say where.

use crate::{
    broken_books::{BrokenBooks, Defect as B},
    broken_dispatch::{BrokenDispatch, Defect as D},
    broken_endpoints::{BrokenEndpoints, Defect as E},
    broken_fleet::{BrokenFleet, Defect as F},
    broken_ledger::{BrokenLedger, Defect as L},
    broken_maintenance::{BrokenMaintenance, Defect as M},
    broken_schedules::{BrokenSchedules, Defect as S},
    broken_statistics::{BrokenStatistics, Defect as C},
    worlds::{BookStores, Counters, Dispatches, EndpointStores, Fleets, Ledgers, Maintained, ScheduleStores},
};
use haul_conformance::{Promise, books, dispatch, endpoints, fleet, ledger, maintenance, run, schedules, statistics};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Runs the named promises; each must panic.
fn all_are_broken<S: 'static>(promises: &[Promise<S>], names: &[&str], stage: impl AsyncFn() -> S) {
    for name in names {
        let promise = promises.iter().find(|promise| promise.name == *name);
        let promise = promise.unwrap_or_else(|| panic!("there is no promise {name}"));
        let notices =
            || catch_unwind(AssertUnwindSafe(|| run(async { (promise.check)(stage().await).await }))).is_err();
        // Random sequences and crowds meet a defect often, not each time.
        let runs_max = if name.starts_with("model::") || name.starts_with("crowd::") { 30 } else { 1 };
        assert!((0..runs_max).any(|_| notices()), "{name} does not notice");
    }
}

fn breaks_ledger(defect: L, names: &[&str]) {
    all_are_broken(ledger::PROMISES, names, async || {
        ledger::Stage::new(Arc::new(Ledgers(move |reference| Arc::new(BrokenLedger::new(reference, defect)) as _)))
            .await
    });
}

fn breaks_schedules(defect: S, names: &[&str]) {
    all_are_broken(schedules::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenSchedules::new(reference, defect)) as _;
        schedules::Stage::new(Arc::new(ScheduleStores(wrap))).await
    });
}

fn breaks_books(defect: B, names: &[&str]) {
    all_are_broken(books::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenBooks::new(reference, defect)) as _;
        books::Stage::new(Arc::new(BookStores(wrap))).await
    });
}

fn breaks_endpoints(defect: E, names: &[&str]) {
    all_are_broken(endpoints::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenEndpoints::new(reference, defect)) as _;
        endpoints::Stage::new(Arc::new(EndpointStores(wrap))).await
    });
}

fn breaks_maintenance(defect: M, names: &[&str]) {
    all_are_broken(maintenance::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenMaintenance::new(reference, defect)) as _;
        maintenance::Stage::new(Arc::new(Maintained(wrap))).await
    });
}

fn breaks_statistics(defect: C, names: &[&str]) {
    all_are_broken(statistics::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenStatistics::new(reference, defect)) as _;
        statistics::Stage::new(Arc::new(Counters(wrap))).await
    });
}

fn breaks_fleet(defect: F, names: &[&str]) {
    all_are_broken(fleet::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenFleet::new(reference, defect)) as _;
        fleet::Stage::new(Arc::new(Fleets(wrap))).await
    });
}

fn breaks_dispatch(defect: D, names: &[&str]) {
    all_are_broken(dispatch::PROMISES, names, async || {
        let wrap = move |reference| Arc::new(BrokenDispatch::new(reference, defect)) as _;
        dispatch::Stage::new(Arc::new(Dispatches(wrap))).await
    });
}

macro_rules! rejected {
    ($check:ident: $($test:ident = $defect:expr => [$($name:literal),+ $(,)?];)+) => {
        $(
            #[test]
            fn $test() {
                $check($defect, &[$($name),+]);
            }
        )+
    };
}

rejected! { breaks_ledger:
    a_ledger_that_acknowledges_without_storing = L::AcknowledgesWithoutStoring => [
        "accept::a_batch_of_five_thousand_is_accepted_whole",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_touches_payloads = L::TouchesPayloads => ["accept::payloads_are_kept_byte_for_byte"];
    a_ledger_that_surfaces_deadlocks = L::SurfacesDeadlocks => [
        "crowd::the_same_batch_sent_by_many_at_once_is_accepted_once",
        "crowd::accepts_of_new_queues_in_opposite_order_do_not_deadlock",
    ];
    a_ledger_that_replays_whatever_the_request = L::ReplaysWhateverTheRequest => [
        "keys::another_request_under_a_key_is_refused",
        "keys::within_a_batch_the_later_job_is_measured_against_the_earlier",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_keeps_keys_for_ever = L::KeepsKeysForEver => ["keys::an_expired_key_is_taken_over"];
    a_ledger_that_checks_a_key_before_it_writes = L::ChecksKeysBeforeItWrites => [
        "keys::one_of_many_concurrent_requests_under_a_key_is_accepted",
    ];
    a_ledger_that_drops_receipts_early = L::DropsReceiptsEarly => [
        "receipts::a_receipt_of_a_process_that_is_gone_is_taken",
        "receipts::a_receipt_of_nobody_is_taken_at_once",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_drops_a_receipt_when_it_is_taken = L::DropsReceiptsWhenTaken => [
        "receipts::a_taken_receipt_comes_back_for_its_final_sweep_after_a_minute",
    ];
    a_ledger_that_gives_a_receipt_to_two = L::GivesReceiptsToTwo => [
        "receipts::a_receipt_is_never_given_to_two_callers",
    ];
    a_ledger_that_waits_for_dead_takers = L::WaitsForDeadTakers => [
        "receipts::what_a_taker_took_that_is_gone_is_handed_out_again",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_hands_out_what_unknown_takers_have = L::HandsOutWhatUnknownTakersHave => [
        "receipts::what_an_unknown_taker_took_is_its_own_for_a_while",
    ];
    a_ledger_that_trusts_dead_takers = L::TrustsDeadTakers => [
        "receipts::what_a_taker_took_that_is_gone_is_handed_out_again",
        "receipts::a_final_sweep_that_was_never_finished_is_begun_anew",
    ];
    a_ledger_that_does_not_release_what_is_taken = L::ReleasesOnlyTheOwner => [
        "receipts::a_taken_receipt_that_is_released_is_taken_at_once",
    ];
    a_ledger_that_lets_a_later_outcome_win = L::LaterOutcomeWins => [
        "record::the_first_outcome_stays",
        "cancel::a_cancelled_job_takes_no_more_records",
    ];
    a_ledger_that_checks_for_an_outcome_before_it_writes = L::ChecksOutcomesBeforeItWrites => [
        "crowd::one_of_many_concurrent_outcomes_stays",
        "crowd::cancels_and_outcomes_at_once_leave_one_outcome",
    ];
    a_ledger_that_accepts_failures_after_an_outcome = L::FailureAfterOutcome => [
        "record::no_failure_is_written_after_an_outcome",
    ];
    a_ledger_that_counts_a_failure_twice = L::CountsFailuresTwice => ["record::a_failure_is_written_once_per_attempt"];
    a_ledger_that_forgets_that_it_was_a_crash = L::ForgetsCrashes => [
        "crashes::a_crash_is_kept_as_a_failure_with_a_mark",
        "crashes::crashes_and_failures_of_one_job_mix",
        "crashes::crashes_before_the_outcome_stay_counted",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_hides_that_it_was_a_crash = L::HidesCrashes => [
        "crashes::a_crash_is_kept_as_a_failure_with_a_mark",
        "crashes::crashes_and_failures_of_one_job_mix",
    ];
    a_ledger_that_counts_crashes_only = L::CountsCrashesOnly => ["crashes::crashes_and_failures_of_one_job_mix"];
    a_ledger_that_counts_crashes_after_an_outcome = L::CrashAfterOutcome => [
        "crashes::no_crash_is_counted_after_an_outcome",
    ];
    a_ledger_that_lets_a_crash_overwrite_a_failure = L::CrashOverwritesFailure => [
        "crashes::of_an_attempts_crash_and_failure_the_first_stays",
    ];
    a_ledger_that_counts_a_crash_twice = L::CountsFailuresTwice => ["crashes::a_crash_of_an_attempt_is_counted_once"];
    a_ledger_that_keeps_one_record_per_job_and_batch = L::OneRecordPerJobAndBatch => [
        "record::a_failure_and_a_later_outcome_in_one_batch_both_stay",
    ];
    a_ledger_that_lets_the_later_record_of_a_batch_win = L::LaterRecordOfBatchWins => [
        "record::in_one_batch_the_earlier_record_of_a_job_wins",
    ];
    a_ledger_that_accepts_follow_ups_of_stale_records = L::FollowUpsOfStaleRecords => [
        "record::follow_ups_of_a_stale_record_are_not_accepted",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_leaves_follow_ups_without_a_receipt = L::FollowUpsWithoutReceipt => [
        "record::follow_ups_come_with_the_record_that_stays",
    ];
    a_ledger_that_cancels_foreign_jobs = L::CancelsForeignJobs => [
        "cancel::an_unknown_or_foreign_job_is_not_cancelled",
    ];
    a_ledger_that_shows_foreign_jobs = L::ShowsForeignJobs => ["look::a_job_of_another_tenant_does_not_exist"];
    a_ledger_that_forgets_cancelled_jobs = L::SettledForgetsCancelled => [
        "cancel::settled_names_exactly_the_jobs_with_an_outcome",
    ];
    a_ledger_that_ignores_when_to_retry = L::IgnoresWhenToRetry => [
        "record::a_failure_is_kept_and_moves_the_due_time",
        "look::load_tells_failures_due_time_and_outcome",
    ];
    a_list_that_repeats_a_row_between_pages = L::ListRepeats => ["list::walking_a_list_meets_every_job_exactly_once"];
    a_list_that_skips_a_row_between_pages = L::ListSkips => [
        "list::walking_a_list_meets_every_job_exactly_once",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_list_that_gives_up_on_rare_matches = L::ListGivesUp => ["list::a_rare_match_behind_many_others_is_found"];
    a_ledger_that_closes_open_minutes = L::ClosesOpenMinutes => [
        "unsettled::closing_never_hides_an_unsettled_job",
        "crowd::closing_minutes_beside_writers_loses_no_job",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_ledger_that_closes_young_minutes = L::ClosesYoungMinutes => [
        "unsettled::a_minute_that_is_still_young_stays_open",
    ];
    a_ledger_that_never_closes_a_minute = L::NeverCloses => ["unsettled::minutes_in_which_all_is_settled_are_closed"];
    a_ledger_that_does_not_reopen = L::DoesNotReopen => ["unsettled::a_reopened_minute_is_read_again"];
    a_ledger_that_sorts_kinds_as_people_do = L::SortsKindsAsPeopleDo => [
        "queues::kinds_come_in_the_order_of_their_bytes",
    ];
    a_ledger_that_forgets_a_pause = L::ForgetsPauses => ["queues::later_jobs_leave_the_settings_alone"];
    a_ledger_that_writes_all_settings = L::WritesAllSettings => [
        "queues::changes_of_different_settings_at_once_all_hold",
    ];
    a_ledger_that_forgets_slots = L::ForgetsSlots => [
        "queues::a_queue_is_split_over_slots",
        "queues::a_change_leaves_alone_what_it_does_not_name",
    ];
    a_ledger_that_cuts_settings = L::CutsSettings => ["queues::settings_beyond_their_limits_are_refused"];
    a_ledger_that_tells_old_settings = L::TellsOldSettings => ["queues::a_queue_is_paused_and_resumed"];
    a_ledger_whose_events_end = L::EventsEnd => ["queues::the_stream_of_events_does_not_end"];
}

rejected! { breaks_schedules:
    a_store_that_ignores_keys = S::IgnoresKeys => [
        "change::requests_under_one_key_create_one_schedule",
        "crowd::one_key_used_by_many_at_once_creates_one_schedule",
    ];
    a_store_that_takes_keys_of_what_it_refuses = S::TakesKeysOfRefused => [
        "change::a_refused_schedule_leaves_its_key_free",
    ];
    a_store_that_forgets_sources = S::ForgetsSources => ["change::a_created_schedule_reads_back_as_it_was_sent"];
    a_store_of_schedules_that_counts_before_it_creates = S::CountsBeforeItCreates => [
        "crowd::no_more_are_created_at_once_than_a_tenant_may_have",
    ];
    a_store_that_counts_all_tenants = S::CountsAllTenants => [
        "change::a_tenant_has_no_more_schedules_than_it_may_have",
    ];
    a_store_that_fires_stale_definitions = S::FiresStaleDefinitions => [
        "fire::a_step_of_another_version_fires_nothing",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_store_that_fires_from_anywhere = S::FiresFromAnywhere => [
        "fire::a_step_from_another_place_fires_nothing",
        "crowd::each_step_is_taken_by_one_of_many",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_store_that_looks_before_it_fires = S::LooksBeforeItFires => ["crowd::each_step_is_taken_by_one_of_many"];
    a_store_that_fires_what_is_paused = S::FiresWhilePaused => ["fire::a_paused_schedule_fires_nothing"];
    a_store_that_accepts_jobs_of_stale_steps = S::AcceptsJobsOfStaleSteps => [
        "fire::in_a_batch_only_the_jobs_of_steps_that_were_taken_are_accepted",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_store_that_moves_without_jobs = S::MovesWithoutJobs => ["fire::a_step_moves_its_schedule_and_accepts_its_jobs"];
    a_store_that_forgets_its_receipt = S::ForgetsItsReceipt => ["fire::the_receipt_covers_the_jobs_of_a_batch"];
    a_store_that_forgets_what_it_was_sent = S::ForgetsWhatItWasSent => ["fire::a_step_sent_again_is_taken_once"];
    a_store_that_keeps_receipts_that_are_done = S::KeepsReceiptsThatAreDone => [
        "fire::receipts_named_as_done_go_with_a_batch",
    ];
    a_store_that_forgets_the_count = S::ForgetsTheCount => [
        "fire::a_step_with_several_jobs_counts_them_and_remembers_the_last",
    ];
    a_store_that_hides_problems = S::HidesProblems => ["fire::a_problem_is_kept_until_the_next_step"];
    a_store_that_edits_any_version = S::EditsAnyVersion => ["change::an_edit_of_another_version_changes_nothing"];
    a_store_that_edits_from_anywhere = S::EditsFromAnywhere => [
        "change::an_edit_that_moves_does_so_only_from_where_the_schedule_is",
    ];
    a_store_that_edits_without_a_new_version = S::EditsWithoutANewVersion => [
        "change::an_edit_gives_a_new_definition_and_a_new_version",
        "fire::a_step_of_another_version_fires_nothing",
    ];
    a_store_that_resumes_under_the_old_version = S::ResumesUnderTheOldVersion => [
        "change::a_pause_and_a_resume_are_new_versions",
    ];
    a_store_that_only_pauses_what_is_deleted = S::ReusesIds => [
        "change::a_deleted_schedule_is_gone",
        "fire::a_deleted_schedule_fires_nothing_also_when_its_name_is_used_again",
    ];
    a_store_that_brings_along_what_was_deleted = S::BringsWhatWasDeleted => [
        "bring::a_schedule_that_came_along_and_was_deleted_does_not_come_again",
    ];
    a_store_that_lists_as_people_do = S::ListsInNoOrder => [
        "change::a_list_is_in_order_of_name_and_goes_on_after_its_cursor",
    ];
    a_store_that_counts_the_paused_in = S::SaysThatThePausedAreDue => [
        "due::a_paused_schedule_is_not_due_until_it_is_resumed",
    ];
    a_store_that_does_not_tell_what_is_next = S::SaysThatNothingIsNext => [
        "due::a_schedule_is_due_when_its_time_has_come",
    ];
    a_store_that_goes_by_another_clock = S::GoesByTheReadersClock => ["due::what_is_due_goes_by_the_ledgers_clock"];
}

rejected! { breaks_books:
    a_store_of_payments_that_posts_twice = B::PostsTwice => ["look::the_accounts_of_a_currency_sum_to_zero"];
    a_store_of_payments_that_lets_stale_changes_through = B::LetsStaleChangesThrough => [
        "change::a_change_of_another_version_changes_nothing",
    ];
    a_store_of_payments_that_looks_before_it_changes = B::LooksBeforeItChanges => ["crowd::one_of_many_changes_at_once_is_made"];
    a_store_of_payments_that_sums_one_side = B::SumsOneSide => ["look::the_accounts_of_a_currency_sum_to_zero"];
    a_store_of_payments_that_forgets_the_bytes = B::ForgetsTheBytes => [
        "change::requests_are_kept_byte_for_byte",
        "change::a_request_that_is_stored_is_never_replaced",
    ];
    a_store_of_payments_that_makes_the_request_text = B::MakesTheRequestText => ["change::requests_are_kept_byte_for_byte"];
    a_store_of_payments_that_forgets_the_posting = B::ForgetsThePosting => [
        "change::a_change_is_stored_with_its_request_and_its_posting",
        "change::a_step_is_posted_once",
    ];
    a_store_of_payments_that_forgets_who_sends = B::ForgetsWhoSends => [
        "change::a_job_that_sends_can_no_longer_be_cancelled",
        "change::a_job_that_has_ended_sends_nothing",
        "change::a_job_of_another_operation_sends_nothing",
        "crowd::of_a_cancel_and_a_send_at_once_one_is_refused",
    ];
    a_store_of_payments_that_looks_at_the_payment_first = B::LooksAtThePaymentFirst => [
        "order::a_key_is_measured_before_the_payment_is_looked_at",
    ];
    a_store_of_payments_that_makes_jobs_for_anybody = B::MakesJobsForAnybody => [
        "order::an_order_for_what_does_not_exist_makes_nothing",
    ];
    a_store_of_payments_that_ignores_keys = B::IgnoresKeys => [
        "order::the_same_request_under_a_key_is_answered_with_its_job",
        "order::another_request_under_a_key_is_refused",
        "crowd::orders_under_one_key_at_once_make_one_payment",
    ];
    a_store_of_payments_that_refuses_what_it_has_made = B::RefusesWhatItHasMade => ["change::a_change_sent_again_is_made_once"];
    a_store_of_payments_that_hides_what_is_open = B::HidesWhatIsOpen => ["look::what_is_not_final_is_found"];
    a_store_of_payments_that_counts_what_is_open_as_unknown = B::CountsWhatIsOpen => [
        "look::what_is_unknown_is_counted_with_the_oldest_of_it",
    ];
    a_store_of_payments_that_counts_without_limit = B::CountsWithoutLimit => [
        "look::what_is_unknown_is_counted_up_to_a_limit",
    ];
    a_store_of_payments_that_reads_sheets_of_one_tenant = B::ReadsSheetsOfOneTenant => [
        "look::payments_are_read_beside_their_postings",
    ];
    a_store_of_payments_that_reads_postings_later = B::ReadsPostingsLater => [
        "crowd::a_payment_and_its_postings_are_of_one_moment",
    ];
    a_store_of_payments_that_forgets_events = B::ForgetsEvents => ["look::an_event_is_noted"];
}

rejected! { breaks_endpoints:
    a_store_that_shows_what_is_foreign = E::ShowsWhatIsForeign => ["change::an_endpoint_belongs_to_its_tenant"];
    a_store_that_edits_endpoints_of_any_version = E::EditsAnyVersion => [
        "change::an_edit_of_another_version_changes_nothing",
        "crowd::of_many_edits_of_one_version_one_is_made",
    ];
    a_store_that_looks_before_it_edits = E::LooksBeforeItEdits => ["crowd::of_many_edits_of_one_version_one_is_made"];
    a_store_that_deletes_any_version = E::DeletesAnyVersion => ["change::a_delete_of_another_version_changes_nothing"];
    a_store_that_keeps_what_is_deleted = E::KeepsWhatIsDeleted => ["change::a_deleted_endpoint_is_gone"];
    a_store_that_counts_before_it_creates = E::CountsBeforeItCreates => [
        "crowd::many_who_create_at_once_stay_within_the_limit",
    ];
    a_store_of_endpoints_that_ignores_keys = E::IgnoresKeys => [
        "change::requests_under_one_key_create_one_endpoint", "crowd::of_many_requests_under_one_key_one_creates",
    ];
    a_store_that_takes_any_request_under_a_key_for_the_same = E::TakesAnyRequestUnderAKeyForTheSame => [
        "change::requests_under_one_key_create_one_endpoint",
    ];
    a_store_that_lists_the_newest_first = E::ListsTheNewestFirst => [
        "change::a_list_is_in_order_of_id_and_goes_on_after_its_cursor",
    ];
    a_store_that_begins_anew_with_each_failure = E::FailsAnewWithEachFailure => [
        "report::a_first_failure_begins_the_time_of_failing_and_further_ones_leave_it",
        "report::an_endpoint_that_has_failed_for_too_long_is_disabled_once",
    ];
    a_store_that_forgets_successes = E::ForgetsSuccesses => ["report::a_success_ends_the_time_of_failing"];
    a_store_that_notes_reports_of_other_versions = E::NotesReportsOfOtherVersions => [
        "report::a_report_of_another_version_is_not_noted",
    ];
    a_store_that_notes_reports_of_the_disabled = E::NotesReportsOfTheDisabled => [
        "report::a_report_of_a_disabled_endpoint_is_not_noted",
        "crowd::of_many_reports_at_once_one_disables",
    ];
    a_store_that_never_disables = E::NeverDisables => ["report::an_endpoint_that_is_gone_is_disabled_at_once"];
    a_store_that_disables_under_the_old_version = E::DisablesUnderTheOldVersion => [
        "report::an_endpoint_that_is_gone_is_disabled_at_once",
    ];
    a_store_that_stays_failing_when_edited = E::StaysFailingWhenEdited => [
        "report::an_edit_ends_the_time_of_failing_and_enables_again",
    ];
}

rejected! { breaks_maintenance:
    a_retention_that_drops_what_is_unfinished = M::DropsWhatIsUnfinished => [
        "outlive::an_unfinished_job_is_never_dropped",
        "outlive::what_outlives_its_day_is_recorded_like_any_other",
        "crowd::jobs_are_seen_at_every_moment_while_their_day_is_closed_and_dropped",
    ];
    a_retention_that_drops_young_days = M::DropsYoungDays => ["retain::days_are_kept_for_as_long_as_asked"];
    a_retention_that_never_drops = M::NeverDrops => [
        "retain::a_day_is_dropped_with_all_its_jobs",
        "retain::a_key_lapses_with_its_job",
        "outlive::what_outlived_its_day_is_deleted_in_its_own_time",
    ];
    a_retention_that_closes_no_day = M::NeverCloses => ["retain::nothing_new_is_accepted_into_a_closed_day"];
    a_retention_that_never_ends = M::NeverEnds => ["retain::an_empty_ledger_has_nothing_to_retain"];
    an_erasure_that_only_says_so = M::KeepsPayloads => ["erase::payloads_results_and_details_are_erased"];
    an_erasure_of_what_has_not_ended = M::ErasesWhatIsUnfinished => ["erase::what_has_not_ended_keeps_its_payload"];
    an_erasure_of_young_payloads = M::ErasesYoungPayloads => ["erase::younger_payloads_are_left_alone"];
    a_maintenance_that_keeps_expired_keys = M::KeepsExpiredKeys => [
        "erase::expired_keys_are_forgotten_within_the_limit",
    ];
    a_maintenance_that_does_more_than_asked = M::ForgetsMoreKeysThanAsked => [
        "erase::expired_keys_are_forgotten_within_the_limit",
    ];
}

rejected! { breaks_statistics:
    a_counter_that_never_counts = C::NeverCounts => ["count::an_hour_counts_its_jobs_and_what_came_of_them"];
    a_counter_that_says_that_nothing_is_left = C::SaysThatNothingIsLeft => [
        "count::hours_are_caught_up_with_one_by_one",
    ];
    a_counter_that_adds_up = C::AddsUp => ["count::what_is_counted_again_is_not_counted_twice"];
    a_counter_that_mixes_kinds = C::MixesKinds => ["look::hours_are_of_a_queue_and_of_a_kind"];
    a_counter_that_includes_the_end = C::IncludesTheEnd => ["look::hours_begin_at_from_and_end_before_to"];
    a_counter_that_expires_too_much = C::ExpiresTooMuch => ["look::expired_hours_are_gone_and_no_others"];
}

rejected! { breaks_dispatch:
    a_dispatch_that_leases_twice = D::LeasesTwice => [
        "lease::a_leased_ticket_is_given_to_nobody_else",
        "crowd::each_ticket_is_leased_to_exactly_one_of_many_claimers",
        "crowd::duplicates_and_releases_in_a_crowd_never_lease_a_job_twice_at_once",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_dispatch_that_settles_without_the_token = D::SettlesWithoutToken => [
        "settle::a_wrong_token_settles_nothing",
        "lease::a_ticket_comes_back_as_a_suspect_when_its_lease_expires",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_dispatch_that_extends_without_the_token = D::ExtendsWithoutToken => ["lease::a_wrong_token_extends_nothing"];
    a_dispatch_that_only_says_that_it_extends = D::OnlySaysThatItExtends => [
        "lease::an_extended_lease_outlives_its_first_term",
    ];
    a_dispatch_that_loses_expired_leases = D::LosesExpiredLeases => [
        "lease::a_ticket_comes_back_as_a_suspect_when_its_lease_expires",
    ];
    a_dispatch_that_hides_suspects = D::HidesSuspects => [
        "lease::a_ticket_comes_back_as_a_suspect_when_its_lease_expires",
    ];
    a_dispatch_that_enqueues_what_is_leased = D::EnqueuesWhatIsLeased => [
        "lease::a_ticket_whose_job_is_leased_is_not_enqueued",
    ];
    a_dispatch_that_ignores_priorities = D::IgnoresPriorities => ["order::a_lower_priority_number_comes_first"];
    a_dispatch_that_ignores_room = D::IgnoresRoom => ["order::each_kind_is_given_no_more_than_its_room"];
    a_dispatch_that_gives_more_than_the_limit = D::GivesMoreThanTheLimit => [
        "order::a_claim_gives_no_more_than_its_limit",
    ];
    a_dispatch_that_gives_what_nobody_asked_for = D::GivesWhatNobodyAskedFor => [
        "order::kinds_that_nobody_asks_for_wait",
    ];
    a_dispatch_that_turns_the_line_around = D::TurnsTheLineAround => [
        "order::tickets_come_in_the_order_they_were_enqueued",
        "model::any_sequence_of_calls_is_answered_as_the_reference_answers_it",
    ];
    a_dispatch_that_starts_early = D::StartsEarly => ["due::a_ticket_is_not_given_out_before_it_is_due"];
    a_dispatch_that_does_not_tell_what_is_next = D::DoesNotTellWhatIsNext => [
        "due::a_claim_tells_in_how_long_the_next_ticket_is_due",
        "lease::a_claim_tells_in_how_long_a_lease_expires",
    ];
    a_dispatch_that_forgets_parked_tickets = D::ForgetsParked => ["settle::a_parked_ticket_waits_for_its_time"];
    a_dispatch_that_releases_to_the_back = D::ReleasesToTheBack => [
        "settle::a_released_ticket_goes_to_the_front_of_its_line",
    ];
    a_dispatch_that_does_not_remove = D::DoesNotRemove => ["settle::removed_tickets_that_are_delayed_never_come"];
    a_dispatch_that_does_not_pause = D::DoesNotPause => ["look::a_paused_queue_gives_out_nothing_and_says_so"];
    a_dispatch_that_counts_all_kinds = D::CountsAllKinds => ["look::figures_are_of_the_kinds_asked_for"];
    a_dispatch_that_hides_a_loss = D::HidesLoss => [
        "rebuild::a_new_queue_is_lost_until_it_is_rebuilt",
        "rebuild::a_loss_is_noticed_by_every_queue",
    ];
    a_dispatch_that_lets_two_rebuild = D::LetsTwoRebuild => [
        "rebuild::one_rebuild_of_a_queue_at_a_time",
        "rebuild::one_of_many_who_begin_a_rebuild_at_once_gets_the_right",
    ];
    a_dispatch_whose_rights_never_end = D::RightsNeverEnd => ["rebuild::a_right_that_has_ended_does_nothing"];
    a_dispatch_that_does_not_renew_rights = D::DoesNotRenewRights => ["rebuild::adding_tickets_renews_the_right"];
    a_dispatch_that_rebuilds_beside_the_old = D::RebuildsBesideTheOld => [
        "rebuild::a_rebuild_drops_what_waited_and_keeps_the_leases",
    ];
    a_dispatch_that_refuses_tickets_during_a_rebuild = D::RefusesTicketsDuringRebuild => [
        "rebuild::a_ticket_enqueued_during_a_rebuild_is_kept",
    ];
    a_dispatch_that_does_not_take_leases_up_again = D::DoesNotTakeLeasesUpAgain => [
        "rebuild::a_lease_is_taken_up_again_in_a_lost_queue",
    ];
    a_dispatch_that_scans_by_offset = D::ScansByOffset => [
        "scan::what_waits_is_seen_while_others_are_taken_at_the_head",
        "scan::what_is_delayed_is_seen_while_others_are_removed",
        "scan::what_is_leased_is_seen_while_others_end",
    ];
    a_dispatch_that_scans_one_page = D::ScansOnePage => [
        "scan::every_ticket_is_seen_where_it_is",
        "scan::a_page_holds_no_more_than_its_limit",
    ];
    a_dispatch_that_scans_all_kinds = D::ScansAllKinds => ["scan::a_scan_is_of_the_kinds_asked_for"];
    a_dispatch_that_scans_more_than_the_limit = D::ScansMoreThanTheLimit => [
        "scan::a_page_holds_no_more_than_its_limit",
    ];
    a_dispatch_that_scans_without_leases = D::ScansWithoutLeases => [
        "scan::every_ticket_is_seen_where_it_is",
        "scan::a_ticket_that_goes_forward_meanwhile_is_seen",
    ];
    a_dispatch_that_scans_without_expiry = D::ScansWithoutExpiry => ["scan::an_expired_lease_tells_for_how_long"];
    a_dispatch_that_takes_what_it_scans = D::TakesWhatItScans => ["scan::a_scan_changes_nothing"];
    a_dispatch_that_wakes_nobody = D::WakesNobody => ["wake::an_enqueue_wakes_an_idle_worker"];
    a_dispatch_that_loses_wake_ups_before_the_wait = D::LosesWakeUpsBeforeTheWait => [
        "wake::a_wake_up_before_the_wait_is_not_lost",
        "wake::no_wake_up_is_lost_between_a_claim_and_a_wait",
    ];
    a_dispatch_that_is_silent_about_what_it_leaves = D::IsSilentAboutWhatItLeaves => [
        "wake::a_worker_that_leaves_tickets_behind_wakes_another",
    ];
    a_dispatch_that_wakes_a_herd = D::WakesAHerd => ["wake::one_ticket_wakes_one_worker"];
    a_dispatch_that_does_not_pass_wake_ups_on = D::DoesNotPassWakeUpsOn => ["wake::a_wake_up_is_passed_on"];
    a_dispatch_that_is_silent_about_what_is_due_later = D::IsSilentAboutWhatIsDueLater => [
        "wake::an_earlier_due_time_wakes_a_worker_that_waits_for_a_later_one",
    ];
}

rejected! { breaks_fleet:
    a_fleet_that_forgets_the_work = F::ForgetsTheWork => ["alive::what_a_process_tells_is_shown_whole"];
    a_fleet_that_keeps_the_first_report = F::KeepsTheFirstReport => [
        "alive::what_was_told_before_is_forgotten_but_not_since_when",
    ];
    a_fleet_that_begins_anew = F::BeginsAnew => ["alive::what_was_told_before_is_forgotten_but_not_since_when"];
    a_fleet_that_never_buries = F::NeverBuries => [
        "alive::a_process_that_is_silent_is_gone_until_it_is_heard_of_again",
    ];
    a_fleet_that_includes_the_cursor = F::IncludesTheCursor => ["alive::pages_come_in_order_and_name_each_process_once"];
    a_fleet_that_ignores_the_limit = F::IgnoresTheLimit => ["alive::pages_come_in_order_and_name_each_process_once"];
    a_fleet_whose_reports_are_no_heartbeats = F::ReportsWithoutABeat => ["alive::who_reports_keeps_its_receipts"];
    a_fleet_that_counts_owned_receipts_only = F::CountsOwnedReceiptsOnly => [
        "receipts::receipts_are_counted_whoever_owns_them_until_they_are_dropped",
    ];
    a_fleet_that_tells_the_youngest_receipt = F::TellsTheYoungest => [
        "receipts::the_oldest_receipt_is_as_old_as_its_jobs",
    ];
}
