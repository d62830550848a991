//! What a PromQL expression names, and what it is made of: enough of the language to find that, and no more.
//!
//! `or`, `and`, `unless` and comparisons bind weaker than all that is left together here, so that each side of them is
//! an expression of its own. Whether an expression is right is asked of Prometheus.

use anyhow::{Result, bail, ensure};

use super::selector::{Selector, matchers};

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Its selectors, in order.
    pub(super) selectors: Vec<Selector>,
    /// The labels that it groups and matches by.
    pub(super) labels: Vec<String>,
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
                    let matchers = matchers(&behind[..matchers_end])?;
                    found.selectors.push(Selector { name: word.to_owned(), matchers });
                    rest = &behind[matchers_end..];
                }
            }
            other => rest = &rest[other.len_utf8()..],
        }
    }
    ensure!(!found.selectors.is_empty(), "{expression:?} names no metric");
    Ok(found)
}

/// The expressions that an expression is put together of: each side of its `or`, `and`, `unless` and comparisons, at
/// every depth. None when it has none of these. Sides without a metric (`vector(0)`, `0.05`) are not among them.
pub(super) fn parts(expression: &str) -> Result<Vec<String>> {
    let (mut found, mut sides, mut begun, mut rest) = (Vec::new(), Vec::new(), expression, expression);
    let mut is_list = false;
    let before = |begun: &str, rest: &str| begun[..begun.len() - rest.len()].trim().to_owned();
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => rest = after_quotes(rest)?,
            '[' => rest = after(rest, ']')?,
            '{' => rest = &rest[end_of_matchers(rest)?..],
            '(' => {
                let behind = after_group(rest)?;
                if !is_list {
                    found.extend(parts(&rest[1..rest.len() - behind.len() - 1])?);
                }
                (is_list, rest) = (false, behind);
            }
            ',' => {
                sides.push(before(begun, rest));
                keep(&mut found, std::mem::take(&mut sides));
                rest = &rest[1..];
                begun = rest;
            }
            '=' | '!' | '<' | '>' => {
                sides.push(before(begun, rest));
                rest = after_modifiers(rest.trim_start_matches(['=', '!', '<', '>']))?;
                begun = rest;
            }
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
                let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
                if ["or", "and", "unless"].contains(&word) {
                    sides.push(before(begun, rest));
                    rest = after_modifiers(behind)?;
                    begun = rest;
                } else {
                    (is_list, rest) = (LISTS.contains(&word), behind);
                }
            }
            '0'..='9' => rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            other => rest = &rest[other.len_utf8()..],
        }
    }
    sides.push(begun.trim().to_owned());
    keep(&mut found, sides);
    Ok(found)
}

/// Keeps the sides of what has more than one, if they name a metric.
fn keep(found: &mut Vec<String>, sides: Vec<String>) {
    if sides.len() > 1 {
        found.extend(sides.into_iter().filter(|side| named(side).is_ok()));
    }
}

/// What follows how an operator is to match.
fn after_modifiers(text: &str) -> Result<&str> {
    let mut rest = text.trim_start();
    loop {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (word, behind) = (&rest[..end], rest[end..].trim_start());
        rest = match word {
            "bool" => behind,
            "on" | "ignoring" => after(behind, ')')?,
            // Their list may be left out; a parenthesis is always it.
            "group_left" | "group_right" if behind.starts_with('(') => after(behind, ')')?,
            "group_left" | "group_right" => behind,
            _ => return Ok(rest),
        }
        .trim_start();
    }
}

/// What follows a parenthesis that begins here, and all that is in it.
fn after_group(text: &str) -> Result<&str> {
    let (mut depth, mut rest) = (0_u32, text);
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => rest = after_quotes(rest)?,
            _ => {
                match first {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                rest = &rest[first.len_utf8()..];
                if depth == 0 {
                    return Ok(rest);
                }
            }
        }
    }
    bail!("{text}: a parenthesis that does not end")
}

fn after(text: &str, end: char) -> Result<&str> {
    match text.split_once(end) {
        Some((_, rest)) => Ok(rest),
        None => bail!("{text}: no {end}"),
    }
}

/// What follows a text in quotes, which may hold quotes behind backslashes.
pub(super) fn after_quotes(text: &str) -> Result<&str> {
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
        named(expression).expect("it is read").selectors.into_iter().map(|one| one.to_string()).collect()
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

    #[test]
    fn each_side_of_an_operator_is_found_at_every_depth_and_can_be_asked_by_itself() {
        let parts = |expression| parts(expression).expect("it is read");
        assert_eq!(parts("sum(rate(a{x=\"or\"}[5m]))"), [""; 0]);
        assert_eq!(parts("(sum(a{s=~\"5..\"}) or vector(0)) / sum(b)"), ["sum(a{s=~\"5..\"})"]);
        assert_eq!(parts("a or b"), ["a", "b"]);
        assert_eq!(parts("max by (q) (a) unless on (q) max by (q) (b) == 1"), ["max by (q) (a)", "max by (q) (b)"]);
        assert_eq!(parts("absent(a) or time() - max(a) > 60"), ["absent(a)", "time() - max(a)"]);
        assert_eq!(parts("x / (y > 0)"), ["y"]);
        assert_eq!(parts("topk(3, a and on () b >= bool 2)"), ["a", "b"]);
        assert_eq!(parts("count(i) unless count(i offset 1m)"), ["count(i)", "count(i offset 1m)"]);
    }
}
