//! Random sequences of calls: whatever the order, the store answers as the machine does.

use super::stage::{Stage, destination};
use crate::{property::check_all, reference::ReferencePace};
use haul_core::{
    JobId, Pace,
    pace::{Enter, Entry, Permit, Rules, Verdict},
};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

/// One call; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Call {
    Enter { to: u8, job: u8, chance: u16 },
    Leave { which: u8, verdict: u8, pause_ms: u16 },
    Extend { which: u8 },
    Pass { us: u32 },
    PassLong { seconds: u8 },
    List,
    Reset { to: u8 },
    Change { rules: u8 },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        12 => (0..2_u8, 0..24_u8, any::<u16>()).prop_map(|(to, job, chance)| Call::Enter { to, job, chance }),
        8 => (any::<u8>(), 0..8_u8, any::<u16>())
            .prop_map(|(which, verdict, pause_ms)| Call::Leave { which, verdict, pause_ms }),
        1 => any::<u8>().prop_map(|which| Call::Extend { which }),
        5 => (0..2_000_000_u32).prop_map(|us| Call::Pass { us }),
        1 => (1..90_u8).prop_map(|seconds| Call::PassLong { seconds }),
        2 => Just(Call::List),
        1 => (0..3_u8).prop_map(|to| Call::Reset { to }),
        1 => any::<u8>().prop_map(|rules| Call::Change { rules }),
    ];
    prop::collection::vec(call, 1..150)
}

pub async fn any_sequence_of_calls_is_answered_as_the_machine_answers_it(stage: Stage) {
    check_all(calls(), async |calls| {
        let stage = Stage::new(stage.harness.clone()).await;
        let reference = ReferencePace::new(stage.time_us.clone());
        let mut pair = Pair { rules: rules(&stage, 0), stage, reference, permits: Vec::new() };
        for call in calls {
            pair.make(call).await;
        }
        pair.compare().await;
    });
}

/// The adapter and the reference, given the same calls.
struct Pair {
    stage: Stage,
    reference: ReferencePace,
    rules: Rules,
    /// Those given back stay in the game.
    permits: Vec<Permit>,
}

fn rules(stage: &Stage, which: u8) -> Rules {
    let of = |values: [u32; 4], shift: u32| values[usize::from(which >> shift & 3)];
    Rules {
        rate: of([0, 3, 7, 1_000], 0),
        in_flight: of([3, 2, 5, 1], 2),
        probes: of([1, 2, 1, 1], 4),
        returns: of([100, 7, 3, 10_000], 6),
        burst: 2,
        ..stage.rules
    }
}

impl Pair {
    async fn make(&mut self, call: Call) {
        match call {
            Call::Enter { to, job, chance } => {
                let destination = place(to);
                let job = JobId(Uuid::from_u128(u128::from(job) + 1));
                let permit = self.stage.id(chance.into());
                let entry = Entry { destination: &destination, job, permit, rules: &self.rules };
                let ours = self.stage.world.pace().enter(&entry).await.expect("an entry is answered");
                let theirs = self.reference.enter(&entry).await.expect("the reference answers");
                assert_eq!(ours, theirs, "entering {destination} as {job}");
                if let Enter::Go(permit) = theirs {
                    self.permits.push(permit);
                }
            }
            Call::Leave { which, verdict, pause_ms } => {
                let Some(permit) = self.permit(which) else { return };
                let verdict = match verdict {
                    0..3 => Verdict::Works,
                    3..6 => Verdict::AtFault(None),
                    6 => Verdict::AtFault(Some(Duration::from_millis(pause_ms.into()) * 2)),
                    _ => Verdict::Unknown,
                };
                let ours = self.stage.world.pace().leave(&permit, verdict, &self.rules).await;
                let theirs = self.reference.leave(&permit, verdict, &self.rules).await;
                assert_eq!(ours.expect("leaving is answered"), theirs.expect("the reference answers"), "{verdict:?}");
            }
            Call::Extend { which } => {
                let Some(permit) = self.permit(which) else { return };
                let ours = self.stage.world.pace().extend(&permit, &self.rules).await;
                let theirs = self.reference.extend(&permit, &self.rules).await;
                assert_eq!(ours.expect("extending is answered"), theirs.expect("the reference answers"));
            }
            Call::Pass { us } => self.stage.pass(Duration::from_micros(us.into())),
            Call::PassLong { seconds } => self.stage.pass(Duration::from_secs(seconds.into())),
            Call::List => self.compare().await,
            Call::Reset { to } => {
                let ours = self.stage.world.pace().reset(&place(to)).await;
                let theirs = self.reference.reset(&place(to)).await;
                assert_eq!(ours.expect("a reset is answered"), theirs.expect("the reference answers"));
            }
            Call::Change { rules: which } => self.rules = rules(&self.stage, which),
        }
    }

    fn permit(&self, which: u8) -> Option<Permit> {
        // Mostly the latest: those are held.
        let back = usize::from(which) % 6 + 1;
        let at = self.permits.len().checked_sub(back).or_else(|| self.permits.len().checked_sub(1))?;
        Some(self.permits[at].clone())
    }

    async fn compare(&self) {
        let mut ours = self.stage.world.pace().list(100).await.expect("destinations are listed");
        let mut theirs = self.reference.list(100).await.expect("the reference answers");
        ours.sort_by(|a, b| a.destination.cmp(&b.destination));
        theirs.sort_by(|a, b| a.destination.cmp(&b.destination));
        assert_eq!(ours, theirs);
    }
}

fn place(to: u8) -> haul_core::pace::Destination {
    destination(["https://a.example:443", "http://[::1]:80", "https://nobody.example:443"][usize::from(to)])
}
