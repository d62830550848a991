//! What is put to Prometheus of each expression, and which answers will do.
//!
//! Promise: an expression passes when it showed a number above 0, and so did each side of its `or`, `and`, `unless` and
//! comparisons, and each thing that its matchers list, by themselves. Zeros pass only where [`CALM`] says why. Of
//! alerts the whole is not asked: that they fire is `promtool`'s to test.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::expressions::Expression;
use super::promql::{self, named};
use super::selector::Selector;

/// What has to be seen of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Least {
    /// That it is not refused.
    Nothing,
    /// A number, which may be 0.
    Zero,
    /// A number above 0.
    More,
}

/// What a platform does not show more of, though all goes wrong that the load can make go wrong: a part of the
/// question's text, what is to be seen of it all the same, and why.
pub(super) const CALM: [(&str, Least, &str); 6] = [
    ("haul_postings_imbalance", Least::Zero, "the books balance: they are checked before each posting"),
    (
        "haul_audit_findings_total",
        Least::Zero,
        "ledger and dispatch agree, whatever is killed: repair is faster than an audit, which finds defects alone",
    ),
    (
        "haul_stale_records_total",
        Least::Nothing,
        "whoever lost a lease notices before it records, but for a moment that no load meets for sure",
    ),
    ("corrupt", Least::Nothing, "nothing that the ledger holds is unreadable"),
    ("role=~\"up\"", Least::Nothing, "the roles run apart here, so that each can be killed"),
    ("absent(", Least::Nothing, "says that there is none; whether there is one is asked beside it"),
];

/// Something that is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Where its expression stands.
    pub(super) place: String,
    /// What is asked.
    pub(super) text: String,
    /// Labels that the answer has to have.
    pub(super) legend: Vec<String>,
    /// Which answer will do.
    pub(super) least: Least,
}

/// What there is to ask.
pub(super) fn of(asked: &[Expression]) -> Result<Vec<Question>> {
    let (mut questions, mut texts) = (Vec::new(), BTreeSet::new());
    for expression in asked {
        if !expression.is_alert {
            questions.push(question(expression, expression.text.clone(), expression.legend.clone()));
        }
        let selectors = named(&expression.text)?.selectors;
        let selectors = selectors.iter().flat_map(Selector::alternatives).map(|one| format!("max({one})"));
        for text in promql::parts(&expression.text)?.into_iter().chain(selectors) {
            if texts.insert(text.clone()) {
                questions.push(question(expression, text, Vec::new()));
            }
        }
    }
    Ok(questions)
}

/// Fails for a line of [`CALM`] that is about nothing which is asked.
pub(super) fn no_idle_excuse(questions: &[Question]) -> Result<()> {
    let idle = CALM.iter().find(|(part, ..)| !questions.iter().any(|question| question.text.contains(part)));
    ensure!(idle.is_none(), "an exception for what is not asked: {idle:?}");
    Ok(())
}

fn question(of: &Expression, text: String, legend: Vec<String>) -> Question {
    let calm = CALM.iter().filter(|(part, ..)| text.contains(part)).map(|(_, least, _)| *least);
    let least = calm.min().unwrap_or(Least::More);
    Question { place: of.place.clone(), text, legend, least }
}

impl Question {
    /// Whether these series are an answer: a number, under all labels of the legend.
    pub(super) fn is_answered_by(&self, series: &[Value]) -> bool {
        let is_named = |one: &&Value| self.legend.iter().all(|label| one["metric"][label].is_string());
        let values = series.iter().filter(is_named).flat_map(|one| one["values"].as_array().into_iter().flatten());
        let mut numbers =
            values.filter_map(|value| value[1].as_str()?.parse::<f64>().ok()).filter(|one| one.is_finite());
        match self.least {
            Least::Nothing => true,
            Least::Zero => numbers.next().is_some(),
            Least::More => numbers.any(|number| number > 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(text: &str, is_alert: bool) -> Vec<Question> {
        let one = Expression { place: "here".to_owned(), text: text.to_owned(), legend: Vec::new(), is_alert };
        of(&[one]).expect("it is read")
    }

    fn texts(text: &str, is_alert: bool) -> Vec<String> {
        asked(text, is_alert).into_iter().map(|question| question.text).collect()
    }

    #[test]
    fn an_operand_that_is_always_empty_is_asked_by_itself() {
        let whole = "sum(a{s=\"x\"}) or vector(0)";
        assert_eq!(texts(whole, false), [whole, "sum(a{s=\"x\"})", "max(a{s=\"x\"})"]);
        let zeros = [json!({"metric": {}, "values": [[1, "0"], [2, "0"]]})];
        for question in asked(whole, false) {
            assert!(!question.is_answered_by(&[]), "nothing is no answer: {question:?}");
            assert!(!question.is_answered_by(&zeros), "`vector(0)` is no answer: {question:?}");
        }
    }

    #[test]
    fn of_alerts_each_side_is_asked_and_the_whole_is_not() {
        let alert = "max(haul_queue_oldest_ready_seconds) > 300 and on () sum(b{o=~\"x|y\"}) > 0";
        // What is asked twice is asked once.
        assert_eq!(
            texts(alert, true),
            ["max(haul_queue_oldest_ready_seconds)", "sum(b{o=~\"x|y\"})", "max(b{o=~\"x\"})", "max(b{o=~\"y\"})"]
        );
    }

    #[test]
    fn only_a_number_above_zero_is_an_answer_unless_there_is_a_reason() {
        let series = |value: &str| [json!({"metric": {"queue": "q"}, "values": [[1, "NaN"], [2, value]]})];
        let mut question = asked("sum by (queue) (a)", false).remove(0);
        assert_eq!(question.least, Least::More);
        for (value, is_answer) in [("0", false), ("NaN", false), ("+Inf", false), ("-1", false), ("0.001", true)] {
            assert_eq!(question.is_answered_by(&series(value)), is_answer, "{value}");
        }
        question.legend = vec!["kind".to_owned()];
        assert!(!question.is_answered_by(&series("1")), "its legend would be raw");

        let calm = asked("sum(haul_postings_imbalance)", false).remove(0);
        assert!(calm.is_answered_by(&series("0")) && !calm.is_answered_by(&[]));
    }
}
