//! The reference of pace passes its suite; stores that break a promise each do not.

use crate::broken_pace::{BrokenPace, Defect, Defect::*};
use async_trait::async_trait;
use haul_conformance::{
    pace::{PROMISES, PaceHarness, PaceWorld, Stage},
    reference::ReferencePace,
    run,
};
use haul_core::Pace;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicU64},
};

/// Makes stores: the reference, with a defect or without.
struct Paces(Option<Defect>);

struct World {
    reference: Arc<ReferencePace>,
    pace: Arc<dyn Pace>,
}

#[async_trait]
impl PaceHarness for Paces {
    async fn fresh(&self, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld> {
        let reference = Arc::new(ReferencePace::new(time_us));
        let pace: Arc<dyn Pace> = match self.0 {
            Some(defect) => Arc::new(BrokenPace::new(reference.clone(), defect)),
            None => reference.clone(),
        };
        Arc::new(World { reference, pace })
    }
}

#[async_trait]
impl PaceWorld for World {
    fn pace(&self) -> Arc<dyn Pace> {
        self.pace.clone()
    }
    async fn lose(&self) {
        self.reference.lose();
    }
}

haul_conformance::pace_tests!(Paces(None));

const MODEL: &str = "model::any_sequence_of_calls_is_answered_as_the_machine_answers_it";

macro_rules! rejected {
    ($($test:ident = $defect:expr => [$($name:expr),+ $(,)?];)+) => {
        $(
            #[test]
            fn $test() {
                notice($defect, &[$($name),+]);
            }
        )+
    };
}

/// Each of the named promises must panic.
fn notice(defect: Defect, names: &[&str]) {
    for name in names {
        let promise = PROMISES.iter().find(|promise| promise.name == *name);
        let promise = promise.unwrap_or_else(|| panic!("there is no promise {name}"));
        let staged = async || (promise.check)(Stage::new(Arc::new(Paces(Some(defect)))).await).await;
        let notices = || catch_unwind(AssertUnwindSafe(|| run(staged()))).is_err();
        let runs_max = if *name == MODEL || name.starts_with("crowd::") { 30 } else { 1 };
        assert!((0..runs_max).any(|_| notices()), "{name} does not notice");
    }
}

rejected! {
    a_store_that_never_opens = NeverOpens => [
        "breaker::failures_in_a_row_open_it_for_everybody",
        "breaker::a_share_of_failures_opens_it_and_a_few_calls_do_not",
        MODEL,
    ];
    a_store_that_does_not_wait_longer_each_time = NeverDoubles => [
        "breaker::it_is_open_twice_as_long_each_time_up_to_the_cap",
        "breaker::a_probe_that_fails_opens_it_anew",
    ];
    a_store_that_waits_ever_longer = DoublesWithoutEnd => ["breaker::it_is_open_twice_as_long_each_time_up_to_the_cap"];
    a_store_without_chance = SpreadsNothing => [
        "breaker::how_long_it_is_open_is_spread_by_chance",
        "line::beyond_its_length_times_are_drawn_by_chance",
    ];
    a_store_that_sends_a_herd_of_probes = SendsAHerd => [
        "breaker::half_open_lets_a_few_probes_through_and_no_more",
        "crowd::of_many_probes_at_once_one_is_let_through",
        MODEL,
    ];
    a_store_that_blames_whoever_learnt_nothing = BlamesUnknown => [
        "breaker::what_was_not_learnt_is_not_counted",
        "breaker::a_probe_that_learnt_nothing_makes_room_for_another",
        MODEL,
    ];
    a_store_that_praises_whoever_learnt_nothing = PraisesUnknown => [
        "breaker::a_probe_that_learnt_nothing_makes_room_for_another",
    ];
    a_store_that_counts_every_failure_for_ever = NeverForgives => [
        "breaker::a_call_that_works_begins_the_count_anew",
        MODEL,
    ];
    a_store_that_ignores_pauses = IgnoresPauses => [
        "breaker::a_pause_that_was_asked_for_is_kept_by_everybody_and_cut_to_the_cap",
        MODEL,
    ];
    a_store_that_lets_everybody_in = IgnoresInFlight => [
        "flight::no_more_calls_are_in_flight_than_allowed",
        "flight::destinations_do_not_touch_each_other",
        "crowd::of_many_at_once_only_so_many_enter",
        "line::waits_for_a_free_place_grow_with_the_silence",
        MODEL,
    ];
    a_store_whose_permits_never_expire = KeepsPermits => [
        "flight::an_expired_permit_comes_back_and_leaves_no_trace",
        "flight::an_expired_permit_cannot_be_extended",
        "breaker::a_probe_that_expires_makes_room_for_another",
        MODEL,
    ];
    a_store_that_extends_nothing = ExtendsNothing => ["flight::an_extended_permit_lasts", MODEL];
    a_store_that_takes_any_permit_back = TakesAnyPermit => [
        "flight::a_permit_is_given_back_once",
        "flight::a_permit_of_nobody_changes_nothing",
        "look::a_loss_forgets_counts_and_nothing_else",
    ];
    a_store_that_counts_by_host = CountsByHost => ["flight::destinations_do_not_touch_each_other"];
    a_store_without_a_rate = IgnoresRate => [
        "flight::a_burst_goes_at_once_and_then_the_rate_holds",
        "flight::a_rate_that_was_not_used_is_not_saved_beyond_the_burst",
        "line::whoever_comes_in_time_goes_before_a_newcomer",
        MODEL,
    ];
    a_store_that_gives_all_the_same_time = GivesOneTime => [
        "line::those_who_wait_come_one_after_the_other",
        MODEL,
    ];
    a_store_that_knows_nobody_again = KnowsNobodyAgain => [
        "line::whoever_asks_too_early_keeps_its_place",
        "line::whoever_comes_in_time_goes_before_a_newcomer",
        MODEL,
    ];
    a_store_that_looks_before_it_enters = LooksBeforeItEnters => ["crowd::of_many_at_once_only_so_many_enter"];
    a_store_that_resets_nothing = ResetsNothing => [
        "look::a_reset_closes_the_breaker_and_keeps_what_is_in_flight",
        MODEL,
    ];
    a_store_that_lists_without_end = ListsWithoutEnd => ["look::no_more_are_listed_than_asked_for"];
    a_store_whose_pages_all_begin_at_the_start = PagesFromTheStart => [
        "look::pages_go_by_name_and_show_each_destination_once",
    ];
    a_store_that_looks_up_anybody = LooksUpAnybody => ["look::one_destination_is_looked_up_as_it_is_listed"];
    a_store_that_forgets_since_when = ForgetsSinceWhen => [
        "look::a_destination_shows_since_when_its_breaker_is_as_it_is",
        MODEL,
    ];
    a_store_that_hides_who_waits = HidesTheLine => ["look::a_destination_shows_what_is_known_of_it", MODEL];
}
