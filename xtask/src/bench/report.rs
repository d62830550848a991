//! A benchmark's figures: a table for people, JSON for machines.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// What was measured in one run.
#[derive(Serialize)]
pub(crate) struct Report {
    benchmark: &'static str,
    cores: usize,
    commit: String,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What is aimed at: `>= 40000` and the like; empty where the figure only gives another its scale.
    aim: &'static str,
    /// The figure divided by that of the bare part in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Ratio>,
}

#[derive(Serialize)]
struct Ratio {
    to: &'static str,
    value: f64,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(benchmark: &'static str, commit: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { benchmark, cores, commit, figures: Vec::new() }
    }

    /// Adds a figure and says it, so that a long run shows where it is.
    pub(crate) fn add(&mut self, name: &'static str, value: f64, unit: &'static str, aim: &'static str) {
        println!("xtask: {name}: {} {unit}", readable(value));
        self.figures.push(Figure { name, value, unit, aim, ratio: None });
    }

    /// Sets the last figure against an earlier one.
    pub(crate) fn relate(&mut self, to: &'static str) {
        let base = self.figures.iter().find(|figure| figure.name == to).map(|figure| figure.value);
        if let (Some(base), Some(last)) = (base, self.figures.last_mut()) {
            last.ratio = Some(Ratio { to, value: last.value / base });
        }
    }

    /// Prints the table and the JSON, and writes the JSON to a file if asked to.
    pub(crate) fn print(&self, file: Option<&Path>) -> Result<()> {
        println!("\n| figure | value | unit | aim | ratio |\n| --- | ---: | --- | --- | --- |");
        for figure in &self.figures {
            let ratio =
                figure.ratio.as_ref().map_or(String::new(), |ratio| format!("{:.2} of {}", ratio.value, ratio.to));
            println!("| {} | {} | {} | {} | {ratio} |", figure.name, readable(figure.value), figure.unit, figure.aim);
        }
        let json = serde_json::to_string(self)?;
        println!("\n{json}");
        match file {
            Some(file) => std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display())),
            None => Ok(()),
        }
    }
}

fn readable(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
