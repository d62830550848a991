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
    /// Whether it was reached. Nothing fails by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
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
        self.figures.push(Figure { name, value, unit, aim, met: is_met(value, aim), ratio: None });
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
            let aim = match figure.met {
                Some(true) => format!("{}, met", figure.aim),
                Some(false) => format!("{}, MISSED", figure.aim),
                None => figure.aim.to_owned(),
            };
            println!("| {} | {} | {} | {aim} | {ratio} |", figure.name, readable(figure.value), figure.unit);
        }
        let json = serde_json::to_string(self)?;
        println!("\n{json}");
        match file {
            Some(file) => std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display())),
            None => Ok(()),
        }
    }
}

/// Whether a figure is what is aimed at, where that is a bound.
fn is_met(value: f64, aim: &str) -> Option<bool> {
    let (relation, bound) = aim.split_once(' ')?;
    let bound: f64 = bound.parse().ok()?;
    match relation {
        "<" => Some(value < bound),
        ">=" => Some(value >= bound),
        _ => None,
    }
}

fn readable(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_or_missed_where_it_is_a_bound() {
        assert_eq!(
            (is_met(2.9, "< 3"), is_met(3.0, "< 3"), is_met(-1.0, "< 3")),
            (Some(true), Some(false), Some(true))
        );
        assert_eq!((is_met(40_000.0, ">= 40000"), is_met(39_999.0, ">= 40000")), (Some(true), Some(false)));
        assert_eq!((is_met(f64::NAN, "< 3"), is_met(1.0, ""), is_met(1.0, "100")), (Some(false), None, None));
    }
}
