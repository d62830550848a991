//! Random sequences of calls: whatever the order, the store answers as the reference does.

use super::stage::{Stage, definition, job_ids, key, position};
use crate::{property::check_all, reference::ReferenceLedger};
use haul_core::{
    Clock, Schedules, Tenant,
    schedules::{Changed, Created, Edit, Move, NewSchedule, Position, Schedule, ScheduleRef, Step, Stepped},
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// So few that sequences come to it.
const SCHEDULES_MAX: usize = 4;

/// One call; numbers choose among what there is. `off` makes the guard a wrong one.
#[derive(Debug, Clone)]
enum Call {
    Create { name: u8, due: u8, paused: bool },
    Edit { which: u8, off: bool, moved: Option<(bool, u8)> },
    Pause { which: u8, guard: Option<bool>, paused: bool },
    Delete { which: u8, guard: Option<bool> },
    Fire { steps: Vec<StepOf>, sent_twice: bool },
    Due { limit: u8 },
    List { after: u8, limit: u8 },
}

#[derive(Debug, Clone)]
struct StepOf {
    which: u8,
    old_version: bool,
    old_place: bool,
    due: u8,
    jobs: u8,
    problem: bool,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let rarely = || prop::bool::weighted(0.2);
    let step = (any::<u8>(), rarely(), rarely(), any::<u8>(), 0..3_u8, rarely()).prop_map(
        |(which, old_version, old_place, due, jobs, problem)| StepOf {
            which,
            old_version,
            old_place,
            due,
            jobs,
            problem,
        },
    );
    let call = prop_oneof![
        4 => (0..8_u8, any::<u8>(), rarely()).prop_map(|(name, due, paused)| Call::Create { name, due, paused }),
        2 => (any::<u8>(), rarely(), prop::option::of((rarely(), any::<u8>())))
            .prop_map(|(which, off, moved)| Call::Edit { which, off, moved }),
        2 => (any::<u8>(), prop::option::of(rarely()), any::<bool>())
            .prop_map(|(which, guard, paused)| Call::Pause { which, guard, paused }),
        1 => (any::<u8>(), prop::option::of(rarely())).prop_map(|(which, guard)| Call::Delete { which, guard }),
        6 => (prop::collection::vec(step, 0..4), rarely())
            .prop_map(|(steps, sent_twice)| Call::Fire { steps, sent_twice }),
        3 => (1..8_u8).prop_map(|limit| Call::Due { limit }),
        1 => (0..8_u8, 1..5_u8).prop_map(|(after, limit)| Call::List { after, limit }),
    ];
    prop::collection::vec(call, 1..40)
}

pub async fn any_sequence_of_calls_is_answered_as_the_reference_answers_it(stage: Stage) {
    check_all(calls(), async |calls| {
        let mut pair = Pair::new(Stage::new(stage.harness.clone()).await);
        for call in calls {
            pair.make(call).await;
        }
        pair.compare_all().await;
    });
}

/// The adapter and the reference, given the same calls.
struct Pair {
    stage: Stage,
    reference: Arc<ReferenceLedger>,
    /// As they were when they were created: deleted ones stay in the game.
    known: Vec<Schedule>,
    places: u32,
    jobs: BTreeSet<haul_core::JobId>,
}

/// What can be compared: the adapters' clocks are their own.
fn timeless(schedule: Schedule) -> Schedule {
    Schedule { created_at: haul_core::Timestamp::default(), updated_at: haul_core::Timestamp::default(), ..schedule }
}

fn seen(changed: Changed) -> Changed {
    match changed {
        Changed::Done(schedule) => Changed::Done(timeless(schedule)),
        other => other,
    }
}

impl Pair {
    fn new(stage: Stage) -> Self {
        let clock = Arc::new(Clock::new());
        clock.sync(stage.begun, Duration::ZERO);
        let reference = Arc::new(ReferenceLedger::new(clock));
        Self { stage, reference, known: Vec::new(), places: 0, jobs: BTreeSet::new() }
    }

    fn known(&self, which: u8) -> Option<&Schedule> {
        (!self.known.is_empty()).then(|| &self.known[usize::from(which) % self.known.len()])
    }

    /// The schedule as the reference has it now; as it was, when it is deleted.
    async fn current(&self, which: u8) -> Option<Schedule> {
        let known = self.known(which)?.clone();
        let loaded = self.reference.load(&[known.id]).await.expect("the reference answers");
        Some(loaded.into_iter().next().unwrap_or(known))
    }

    /// A place that no schedule was in before; due an hour or more ago or ahead, at a time of its own, or never.
    fn place(&mut self, due: u8) -> Position {
        self.places += 1;
        let seconds = 3_600 + i64::from(self.places);
        let next_at = match due % 4 {
            0 | 1 => Some(self.stage.at(-seconds)),
            2 => Some(self.stage.at(seconds)),
            _ => None,
        };
        position(&self.places.to_string(), next_at)
    }

    async fn make(&mut self, call: Call) {
        match call {
            Call::Create { name, due, paused } => {
                let tenant = if name < 6 { Tenant::default() } else { Tenant::new("theirs").expect("a valid tenant") };
                let key =
                    ScheduleRef { tenant, ..key(["a", "b", "c", "A", "a-b", "a.b", "a", "b"][usize::from(name)]) };
                let position = self.place(due);
                let new = NewSchedule { key, position, paused, ..self.stage.new_schedule("any") };
                let ours = self.stage.schedules.create(&new, SCHEDULES_MAX).await.expect("an answer comes");
                let theirs = self.reference.create(&new, SCHEDULES_MAX).await.expect("the reference answers");
                match (ours, theirs) {
                    (Created::New(ours), Created::New(theirs)) => {
                        assert_eq!(timeless(ours), timeless(theirs.clone()));
                        self.known.push(theirs);
                    }
                    (ours, theirs) => assert_eq!(ours, theirs, "creating {new:?}"),
                }
            }
            Call::Edit { which, off, moved } => {
                let Some(schedule) = self.current(which).await else { return };
                let moved = moved.map(|(elsewhere, due)| {
                    let from = schedule.position.fired_through.clone() + if elsewhere { "x" } else { "" };
                    Move { from, to: self.place(due) }
                });
                let definition = definition(&format!("edit {}", self.places));
                let edit = Edit { id: schedule.id, version: schedule.version - i64::from(off), definition, moved };
                let ours = self.stage.schedules.edit(&edit).await.expect("an edit is answered");
                let theirs = self.reference.edit(&edit).await.expect("the reference answers");
                assert_eq!(seen(ours), seen(theirs), "editing {edit:?}");
            }
            Call::Pause { which, guard, paused } => {
                let Some(Schedule { key, version, .. }) = self.current(which).await else { return };
                let version = guard.map(|off| version - i64::from(off));
                let ours = self.stage.schedules.set_paused(&key, version, paused).await.expect("a pause is answered");
                let theirs = self.reference.set_paused(&key, version, paused).await.expect("the reference answers");
                assert_eq!(seen(ours), seen(theirs), "pausing {key}");
            }
            Call::Delete { which, guard } => {
                let Some(Schedule { key, version, .. }) = self.current(which).await else { return };
                let version = guard.map(|off| version - i64::from(off));
                let ours = self.stage.schedules.delete(&key, version).await.expect("a delete is answered");
                let theirs = self.reference.delete(&key, version).await.expect("the reference answers");
                assert_eq!(seen(ours), seen(theirs), "deleting {key}");
            }
            Call::Fire { steps, sent_twice } => self.fire(&steps, sent_twice).await,
            Call::Due { limit } => {
                let ours = self.stage.schedules.due(limit.into()).await.expect("it is told what is due");
                let theirs = self.reference.due(limit.into()).await.expect("the reference answers");
                assert_eq!((ours.due, ours.next_at), (theirs.due, theirs.next_at));
            }
            Call::List { after, limit } => self.list(after, limit.into()).await,
        }
    }

    async fn fire(&mut self, of: &[StepOf], sent_twice: bool) {
        let mut steps: Vec<Step> = Vec::new();
        for step in of {
            let Some(mut schedule) = self.current(step.which).await else { return };
            if steps.iter().any(|earlier| earlier.schedule == schedule.id) {
                continue;
            }
            schedule.version -= i64::from(step.old_version);
            let from = schedule.position.fired_through.clone() + if step.old_place { "x" } else { "" };
            steps.push(Step {
                moved: Move { from, to: self.place(step.due) },
                jobs: (0..step.jobs).map(|_| self.stage.job()).collect(),
                problem: step.problem.then(|| format!("problem {}", self.places)),
                ..self.stage.step(&schedule, "")
            });
        }
        for _ in 0..=usize::from(sent_twice) {
            let ours = self.stage.fire(&steps).await;
            let theirs = self.reference.fire(&steps, self.stage.me, &[]).await.expect("the reference answers");
            assert_eq!((&ours.steps, ours.receipt.is_some()), (&theirs.steps, theirs.receipt.is_some()), "{steps:#?}");
            let taken = steps.iter().zip(&ours.steps).filter(|(_, answer)| **answer == Stepped::Done);
            self.jobs.extend(job_ids(&taken.map(|(step, _)| step.clone()).collect::<Vec<_>>()));
        }
    }

    async fn list(&self, after: u8, limit: usize) {
        let after = key(["a", "b", "c", "A", "a-b", "a.b", "Z", "a0"][usize::from(after)]).name;
        for tenant in [Tenant::default(), Tenant::new("theirs").expect("a valid tenant")] {
            for after in [None, Some(&after)] {
                let ours = self.stage.schedules.list(&tenant, after, limit).await.expect("schedules are listed");
                let theirs = self.reference.list(&tenant, after, limit).await.expect("the reference answers");
                let (ours, theirs) = (ours.into_iter().map(timeless), theirs.into_iter().map(timeless));
                assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "listing after {after:?}");
            }
        }
    }

    async fn compare_all(&self) {
        for which in 0..8 {
            self.list(which, 100).await;
        }
        assert_eq!(self.stage.jobs().await, self.jobs, "exactly the jobs of the steps that were taken are there");
    }
}
