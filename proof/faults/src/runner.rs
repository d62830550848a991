//! Runs scenarios one after the other and judges each.

use crate::{
    checker::{self, Invariant, Recovery, Violation},
    evidence::Evidence,
    scenario::{Demands, Scenario},
    stage::{Programs, Stage},
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tokio::time::timeout;

/// Violations of one kind that are told; a lost database would fill pages.
const TOLD_MAX: usize = 5;

/// What runs have in common.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The binaries under test.
    pub programs: Programs,
    /// Where a run keeps its files: for good when it failed, else while it lasts.
    pub directory: PathBuf,
    /// Whether a run that passed keeps them, too.
    pub keeps_all: bool,
    /// Further variables of every process.
    pub env: Vec<(&'static str, String)>,
}

/// What a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The scenario.
    pub name: &'static str,
    /// What was done.
    pub about: &'static str,
    /// What it was seeded with.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// What was counted, when the run came that far.
    pub figures: Option<Figures>,
    /// What it took in all, in milliseconds.
    pub took_ms: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Passed,
    /// It could not run here, for this reason.
    Skipped(String),
    /// What is wrong.
    Failed(Vec<String>),
}

/// What is counted in every run.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Submits that were acknowledged.
    pub acknowledged: usize,
    /// Faults that landed.
    pub faults: usize,
    /// Ticks that have a job.
    pub ticks: usize,
    /// Acknowledged jobs that are not there or did not end.
    pub lost: usize,
    /// Outcomes beyond the first of a job.
    pub duplicate_outcomes: usize,
    /// Attempts begun per job.
    pub executions_per_job: Option<f64>,
    /// Effects that were sent again.
    pub duplicate_sends: usize,
    /// How long victims took to recover.
    pub recovery: Option<Recovery>,
    /// The invariants that were violated.
    pub violated: Vec<Invariant>,
}

impl Runner {
    /// Runs a scenario. An error of the harness is a failure of the run.
    pub async fn run(&self, scenario: &Scenario, seed: u64) -> Report {
        let begun = Instant::now();
        let (verdict, figures) = match (scenario.missing)() {
            Some(why) => (Verdict::Skipped(why), None),
            None => match self.play(scenario, seed).await {
                Ok((faults, figures)) if faults.is_empty() => (Verdict::Passed, Some(figures)),
                Ok((faults, figures)) => (Verdict::Failed(faults), Some(figures)),
                Err(error) => (Verdict::Failed(vec![format!("{error:#}")]), None),
            },
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Report { name: scenario.name, about: scenario.about, seed, verdict, figures, took_ms }
    }

    async fn play(&self, scenario: &Scenario, seed: u64) -> Result<(Vec<String>, Figures)> {
        // Reports name the place within the directory of runs only: they are published.
        let place = format!("{}-{seed}", scenario.name);
        let directory = self.directory.join(&place);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory).with_context(|| format!("no {}", directory.display()))?;
        let mut setup = scenario.setup.clone();
        setup.env.extend(self.env.iter().cloned());
        let seed = seed_of(scenario.name, seed);
        let playing = async {
            let mut stage = Stage::set(&setup, &self.programs, &directory, seed).await?;
            let played = async {
                (scenario.act)(&mut stage).await?;
                stage.conclude().await
            };
            // The processes' own words are kept also when there is no evidence.
            let played = match timeout(scenario.budget, played).await {
                Ok(played) => played,
                Err(_) => Err(anyhow::anyhow!("it took more than {:?}", scenario.budget)),
            };
            stage.keep_output(&directory)?;
            anyhow::Ok((played?, stage.fallen()))
        };
        let (evidence, fallen) = playing.await.with_context(|| format!("see {place} among the runs"))?;
        let violations = checker::check(&evidence, scenario.demands.recovery_max);
        let mut wrong = told(&violations);
        wrong.extend(fallen.into_iter().map(|name| format!("{name} has ended by itself")));
        let figures = figures(&evidence, &violations);
        wrong.extend(shortcomings(&figures, &scenario.demands));
        if wrong.is_empty() && !self.keeps_all {
            std::fs::remove_dir_all(&directory)?;
        } else {
            keep(&evidence, &directory)?;
        }
        if !wrong.is_empty() {
            wrong.push(format!("the evidence is in {place} among the runs"));
        }
        Ok((wrong, figures))
    }
}

/// The run's own seed: scenarios of one seed are not to do the same at the same times.
fn seed_of(name: &str, seed: u64) -> u64 {
    // FNV-1a: the same on every machine, unlike the hash of a map.
    name.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn figures(evidence: &Evidence, violations: &[Violation]) -> Figures {
    let submits = evidence.submits().values().filter(|submit| !submit.accepted.is_empty()).count();
    let payments = evidence.payments.iter().flat_map(|payments| &payments.asked);
    let acknowledged = submits + payments.filter(|asked| !asked.accepted.is_empty()).count();
    let mut violated: Vec<Invariant> = violations.iter().map(|violation| violation.invariant).collect();
    violated.sort_unstable();
    violated.dedup();
    Figures {
        acknowledged,
        faults: evidence.faults.len() + evidence.payments.as_ref().map_or(0, |payments| payments.struck),
        ticks: evidence.ledger.ticks.len(),
        lost: checker::lost(evidence),
        duplicate_outcomes: checker::duplicate_outcomes(evidence),
        executions_per_job: checker::executions_per_job(evidence),
        duplicate_sends: checker::duplicate_sends(evidence),
        recovery: checker::recovery(evidence),
        violated,
    }
}

/// In what the run is too small to prove anything.
fn shortcomings(figures: &Figures, demands: &Demands) -> Vec<String> {
    let mut shortcomings = Vec::new();
    for (what, count, min) in [
        ("submits were acknowledged", figures.acknowledged, demands.acknowledged_min),
        ("faults landed", figures.faults, demands.faults_min),
        ("ticks fired", figures.ticks, demands.ticks_min),
    ] {
        if count < min {
            shortcomings.push(format!("only {count} {what}: a run with fewer than {min} proves nothing"));
        }
    }
    if demands.recovery_max.is_some() && figures.recovery.is_none() {
        shortcomings.push("no job was a victim: a run without one proves nothing about recovery".to_owned());
    }
    shortcomings
}

/// The first violations of each invariant, in words.
fn told(violations: &[Violation]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut ordered: Vec<&Violation> = violations.iter().collect();
    ordered.sort_by_key(|violation| violation.invariant);
    for of_one in ordered.chunk_by(|one, other| one.invariant == other.invariant) {
        told.extend(
            of_one.iter().take(TOLD_MAX).map(|violation| format!("{:?}: {}", violation.invariant, violation.detail)),
        );
        if of_one.len() > TOLD_MAX {
            told.push(format!("{:?}: and {} more", of_one[0].invariant, of_one.len() - TOLD_MAX));
        }
    }
    told
}

fn keep(evidence: &Evidence, directory: &Path) -> Result<()> {
    let lines = |name: &str, lines: Vec<serde_json::Result<String>>| -> Result<()> {
        let lines = lines.into_iter().collect::<serde_json::Result<Vec<String>>>()?;
        Ok(std::fs::write(directory.join(name), lines.join("\n"))?)
    };
    lines("sends.jsonl", evidence.sends.iter().map(serde_json::to_string).collect())?;
    lines("jobs.jsonl", evidence.ledger.jobs.iter().map(serde_json::to_string).collect())?;
    lines("log.jsonl", evidence.ledger.log.iter().map(serde_json::to_string).collect())?;
    lines("ticks.jsonl", evidence.ledger.ticks.iter().map(serde_json::to_string).collect())?;
    lines("timetable.jsonl", evidence.timetable.iter().map(serde_json::to_string).collect())?;
    lines("pauses.jsonl", evidence.pauses.iter().map(serde_json::to_string).collect())?;
    if let Some(payments) = &evidence.payments {
        std::fs::write(directory.join("payments.json"), serde_json::to_string_pretty(payments)?)?;
    }
    lines("faults.jsonl", evidence.faults.iter().map(serde_json::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_shows_too_little_fails() {
        let demands = Demands { acknowledged_min: 10, faults_min: 2, ticks_min: 1, recovery_max: None };
        let mut figures = figures(&Evidence::default(), &[]);
        assert_eq!(shortcomings(&figures, &demands).len(), 3);
        (figures.acknowledged, figures.faults, figures.ticks) = (10, 2, 1);
        assert_eq!(shortcomings(&figures, &demands), Vec::<String>::new());
        let demands = Demands { recovery_max: Some(std::time::Duration::from_secs(1)), ..demands };
        assert_eq!(shortcomings(&figures, &demands).len(), 1);
    }

    #[test]
    fn many_violations_of_one_invariant_are_told_in_a_few_lines() {
        let one = Violation { invariant: Invariant::I1, detail: "lost".to_owned() };
        assert_eq!(told(&vec![one; 20]).len(), TOLD_MAX + 1);
    }

    #[test]
    fn scenarios_of_one_seed_differ_and_repeat() {
        assert_eq!(seed_of("a", 1), seed_of("a", 1));
        assert_ne!(seed_of("a", 1), seed_of("b", 1));
        assert_ne!(seed_of("a", 1), seed_of("a", 2));
    }
}
