//! A third party that does what it is asked to and does not say so, or is not there.

use crate::{
    load::{Mix, Part},
    party::Manner,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::Result;
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    let builtin = || Setup { builtin: true, ..Setup::default() };
    vec![
        Scenario::new(
            "party-commits-and-hangs-up",
            "The third party applies the effects of `http.request` and closes the connection without an answer.",
            |stage| Box::pin(misbehave(stage, "http.request", Manner::CommitAndHangUp)),
        )
        .short()
        .on(builtin())
        .shows(80, 1),
        Scenario::new(
            "party-commits-and-hangs",
            "The third party applies the effects of a handler and never answers; attempts run out of time.",
            |stage| Box::pin(misbehave(stage, "effect", Manner::CommitAndHang)),
        )
        .shows(80, 1),
        Scenario::new(
            "party-commits-and-fails",
            "The third party applies the effects of `http.request` and answers 500.",
            |stage| Box::pin(misbehave(stage, "http.request", Manner::CommitAndFail)),
        )
        .on(builtin())
        .shows(80, 1),
        Scenario::new("party-down", "The third party cannot be reached for 10 s.", |stage| Box::pin(down(stage)))
            .shows(80, 1),
    ]
}

async fn misbehave(stage: &mut Stage, kind: &'static str, manner: Manner) -> Result<()> {
    stage.load(&Mix::of(vec![Part::of(1, kind, 5).timeout("2s")]));
    stage.acknowledged(20).await?;
    stage.begin("the third party misbehaves");
    stage.party.behave(manner);
    let begun = stage.party.misbehaved();
    let enough = async || Ok(stage.party.misbehaved() >= begun + 50);
    Stage::until("50 effects go wrong", Duration::from_secs(30), enough).await?;
    stage.party.behave(Manner::Good);
    stage.end();
    stage.acknowledged(20).await
}

async fn down(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(40).await?;
    stage.begin("the third party is down");
    stage.party.proxy().cut();
    stage.pass(Duration::from_secs(10)).await;
    stage.party.proxy().restore();
    stage.end();
    stage.acknowledged(40).await
}
