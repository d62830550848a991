//! What the runs showed, as a table for people and as a page of the documentation.

use crate::runner::{Report, Verdict};
use std::fmt::Write;

/// What a page says besides the table.
#[derive(Debug, Clone)]
pub struct About {
    /// The day, such as `2026-05-01`.
    pub date: String,
    /// The commit that was tested.
    pub commit: String,
    /// The seed.
    pub seed: u64,
}

const HEADINGS: [&str; 9] = [
    "fault",
    "verdict",
    "acknowledged",
    "faults",
    "lost",
    "dup. outcomes",
    "executions/job",
    "dup. sends",
    "recovery p50 / p99 ms",
];

fn cells(report: &Report) -> [String; 9] {
    let verdict = match &report.verdict {
        Verdict::Passed => "passed",
        Verdict::Skipped(_) => "SKIPPED",
        Verdict::Failed(_) => "FAILED",
    };
    let name = report.name.to_owned();
    let Some(figures) = &report.figures else {
        return [
            name,
            verdict.to_owned(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
        ];
    };
    [
        name,
        verdict.to_owned(),
        figures.acknowledged.to_string(),
        figures.faults.to_string(),
        figures.lost.to_string(),
        figures.duplicate_outcomes.to_string(),
        figures.executions_per_job.map_or("-".to_owned(), |rate| format!("{rate:.2}")),
        figures.duplicate_sends.to_string(),
        figures.recovery.map_or("-".to_owned(), |recovery| format!("{} / {}", recovery.p50_ms, recovery.p99_ms)),
    ]
}

/// The table, aligned for a terminal, and below it what failed and what was skipped.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let rows: Vec<[String; 9]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(reports.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text + &remarks(reports)
}

fn remarks(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let lines: &[String] = match &report.verdict {
            Verdict::Passed => continue,
            Verdict::Skipped(why) => std::slice::from_ref(why),
            Verdict::Failed(wrong) => wrong,
        };
        let _written = writeln!(text, "\n{} (seed {}): {}", report.name, report.seed, cells(report)[1]);
        for line in lines {
            let _written = writeln!(text, "    {line}");
        }
    }
    text
}

/// The page `docs/faults.md`.
#[must_use]
pub fn page(reports: &[Report], about: &About) -> String {
    let mut text = format!("{}\n{}\n", PREFACE.trim_end(), "");
    let About { date, commit, seed } = about;
    let passed = reports.iter().filter(|report| report.verdict == Verdict::Passed).count();
    let _written = write!(
        text,
        "## The last run\n\n{date}, commit `{commit}`, seed {seed}: {passed} of {} passed.\n\n",
        reports.len()
    );
    let _written = writeln!(text, "| {} |\n|{}", HEADINGS.join(" | "), " --- |".repeat(HEADINGS.len()));
    for report in reports {
        let _written = writeln!(text, "| {} |", cells(report).join(" | "));
    }
    let remarks = remarks(reports);
    if !remarks.is_empty() {
        let _written = write!(text, "\n```text{remarks}```\n");
    }
    text += "\n## What each of them does\n\n";
    for report in reports {
        let _written = writeln!(text, "- `{}`: {}", report.name, report.about);
    }
    text
}

const PREFACE: &str = include_str!("preface.md");
