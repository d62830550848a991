//! Broken builds: that the checker can fail is shown on four defects, each of which has to be caught by the invariant
//! that names it.
//!
//! The defects are in the binaries when they are built with the feature `broken`, and come to life by `HAUL_BROKEN`. The same
//! scenarios pass with the sound build: it is the defect that is caught.

use crate::{
    checker::Invariant,
    runner::{Report, Runner, Verdict},
    scenario::Scenario,
    scenarios,
};

/// A defect, and how it is to be caught.
struct Defect {
    name: &'static str,
    about: &'static str,
    scenario: &'static str,
    caught_by: Invariant,
}

const DEFECTS: [Defect; 4] = [
    Defect {
        name: "acknowledge-early",
        about: "Submits are acknowledged before their commit.",
        scenario: "api-kill",
        caught_by: Invariant::I1,
    },
    Defect {
        name: "overwrite-outcome",
        about: "A later outcome takes the place of an earlier one.",
        scenario: "worker-freeze-stubborn",
        caught_by: Invariant::I2,
    },
    Defect {
        name: "key-per-attempt",
        about: "Each send of a payment has an idempotency key of its own, and what became of the last one is not looked up.",
        scenario: "payments",
        caught_by: Invariant::I3,
    },
    Defect {
        name: "fire-unguarded",
        about: "A scheduler fires ticks without asking whether they were fired before.",
        scenario: "scheduler-kill",
        caught_by: Invariant::I8,
    },
];

/// Runs each defect under the scenario that brings it out. A run passes when its defect is caught.
pub async fn run(runner: &Runner, seed: u64) -> Vec<Report> {
    let scenarios = scenarios::all();
    let mut reports = Vec::new();
    for defect in &DEFECTS {
        let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == defect.scenario) else { continue };
        let mut broken = runner.clone();
        broken.env.push(("HAUL_BROKEN", defect.name.to_owned()));
        reports.push(judge(defect, scenario, broken.run(scenario, seed).await));
        println!("faults: {}", told(reports.last()));
    }
    reports
}

fn judge(defect: &Defect, scenario: &Scenario, report: Report) -> Report {
    let violated = report.figures.as_ref().map(|figures| figures.violated.clone()).unwrap_or_default();
    let verdict = if violated.contains(&defect.caught_by) {
        Verdict::Passed
    } else {
        let seen = match report.verdict {
            Verdict::Passed => vec!["nothing was found".to_owned()],
            Verdict::Skipped(why) => vec![why],
            Verdict::Failed(wrong) => wrong,
        };
        let what = format!("{:?} did not catch it under {}", defect.caught_by, scenario.name);
        Verdict::Failed(std::iter::once(what).chain(seen).collect())
    };
    Report { name: defect.name, about: defect.about, verdict, ..report }
}

fn told(report: Option<&Report>) -> String {
    let Some(report) = report else { return String::new() };
    match &report.verdict {
        Verdict::Passed => format!("{} was caught", report.name),
        Verdict::Skipped(why) => format!("{}: SKIPPED: {why}", report.name),
        Verdict::Failed(wrong) => format!("{} was NOT caught\n    {}", report.name, wrong.join("\n    ")),
    }
}
