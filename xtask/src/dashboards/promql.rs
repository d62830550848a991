//! What a PromQL expression names: enough of the language to find that, and no more.

use anyhow::{Result, bail, ensure};

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Its selectors, in order.
    pub(super) selectors: Vec<Selector>,
    /// The labels that it groups and matches by.
    pub(super) labels: Vec<String>,
}

/// A metric with its matchers, as it stands in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    /// The metric's name.
    pub(super) name: String,
    /// Name and matchers.
    pub(super) text: String,
}

/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that stand for themselves.
const WORDS: [&str; 16] = [
    "and", "or", "unless", "bool", "offset", "sum", "max", "min", "avg", "count", "topk", "bottomk", "quantile",
    "group", "inf", "nan",
];

/// Everything that an expression names.
pub(super) fn named(expression: &str) -> Result<Named> {
    let mut found = Named::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => rest = after_quotes(rest)?,
            '[' => rest = after(rest, ']')?,
            '{' => bail!("{expression}: a selector without a metric's name"),
            '0'..='9' => rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
                let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
                rest = behind.trim_start();
                if LISTS.contains(&word) {
                    if let Some(list) = rest.strip_prefix('(') {
                        rest = after(list, ')')?;
                        let list = &list[..list.len() - rest.len() - 1];
                        let labels = list.split(',').map(str::trim).filter(|label| !label.is_empty());
                        found.labels.extend(labels.map(str::to_owned));
                    }
                } else if !rest.starts_with('(') && !WORDS.contains(&word) {
                    let matchers_end = if behind.starts_with('{') { end_of_matchers(behind)? } else { 0 };
                    let text = format!("{word}{}", &behind[..matchers_end]);
                    found.selectors.push(Selector { name: word.to_owned(), text });
                    rest = &behind[matchers_end..];
                }
            }
            other => rest = &rest[other.len_utf8()..],
        }
    }
    ensure!(!found.selectors.is_empty(), "{expression:?} names no metric");
    Ok(found)
}

fn after(text: &str, end: char) -> Result<&str> {
    match text.split_once(end) {
        Some((_, rest)) => Ok(rest),
        None => bail!("{text}: no {end}"),
    }
}

/// What follows a text in quotes, which may hold quotes behind backslashes.
fn after_quotes(text: &str) -> Result<&str> {
    let mut is_escaped = false;
    for (place, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Ok(&text[place + 1..]),
            _ => {}
        }
    }
    bail!("{text}: a quote that does not end")
}

/// How long the matchers are, braces included.
fn end_of_matchers(text: &str) -> Result<usize> {
    let mut rest = &text[1..];
    loop {
        match rest.chars().next() {
            None => bail!("{text}: matchers that do not end"),
            Some('}') => return Ok(text.len() - rest.len() + 1),
            Some('"') => rest = after_quotes(rest)?,
            Some(other) => rest = &rest[other.len_utf8()..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(expression: &str) -> Vec<String> {
        named(expression).expect("it is read").selectors.into_iter().map(|selector| selector.text).collect()
    }

    #[test]
    fn selectors_are_found_with_their_matchers_and_nothing_else_is() {
        assert_eq!(texts("up"), ["up"]);
        assert_eq!(
            texts("topk(10, sum by (queue, kind) (rate(a_total{x=\"}\\\"[\"}[5m])))"),
            ["a_total{x=\"}\\\"[\"}"]
        );
        assert_eq!(texts("a:b:max > 14.4 * 0.001 and on () max(c) == 1e3"), ["a:b:max", "c"]);
        assert_eq!(texts("count by (version) (i) unless count by (version) (i offset 1m)"), ["i", "i"]);
        assert_eq!(
            texts("histogram_quantile(0.99, sum by (le) (rate(s_bucket{q=~\".*\"}[10s])))"),
            ["s_bucket{q=~\".*\"}"]
        );
        assert_eq!(texts("(sum(a{s=~\"5..\"}) or vector(0)) / on (i) group_left sum(b)"), ["a{s=~\"5..\"}", "b"]);
    }

    #[test]
    fn labels_are_those_that_are_grouped_and_matched_by() {
        let expression = "max by (a, b) (x{c=\"1\"}) and on () (y) / on (d) group_left sum(z)";
        assert_eq!(named(expression).expect("it is read").labels, ["a", "b", "d"]);
    }

    #[test]
    fn what_names_no_metric_is_refused() {
        for wrong in ["1 + 1", "sum({job=\"haul\"})", "a{x=\"y\"", "rate(a[5m)"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
