//! Selectors of PromQL: a metric, and what its labels have to be.

use std::fmt;

use anyhow::{Result, bail};

use super::promql::after_quotes;

/// A metric with its matchers, as they stand in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    /// The metric's name.
    pub(super) name: String,
    /// What its labels have to be.
    pub(super) matchers: Vec<Matcher>,
}

/// What a label has to be: `state="ready"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matcher {
    /// The label.
    pub(super) label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub(super) operator: String,
    /// What is in the quotes.
    pub(super) value: String,
}

impl Matcher {
    /// What a regular expression lists, each as a regular expression: of `(a|b).*` these are `a.*` and `b.*`. Itself
    /// when it lists nothing.
    pub(super) fn alternatives(&self) -> Vec<String> {
        let is_list = self.operator.ends_with('~') && self.value.contains('|');
        if !is_list {
            return vec![self.value.clone()];
        }
        let group = self.value.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
        let (before, listed, behind) = match group {
            Some((before, (listed, behind))) => (before, listed, behind),
            None => ("", &*self.value, ""),
        };
        listed.split('|').map(|one| format!("{before}{one}{behind}")).collect()
    }
}

impl Selector {
    /// One selector for each of the things that one of its matchers lists, with the others as they are. Itself when
    /// none lists any.
    pub(super) fn alternatives(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (place, matcher) in self.matchers.iter().enumerate() {
            let values = if matcher.operator == "=~" { matcher.alternatives() } else { Vec::new() };
            if values.len() > 1 {
                all.extend(values.into_iter().map(|value| {
                    let mut one = self.clone();
                    one.matchers[place].value = value;
                    one
                }));
            }
        }
        if all.is_empty() { vec![self.clone()] } else { all }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        for (place, Matcher { label, operator, value }) in self.matchers.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(formatter, "{before}{label}{operator}\"{value}\"")?;
        }
        if self.matchers.is_empty() { Ok(()) } else { formatter.write_str("}") }
    }
}

/// What stands between braces, or nothing at all.
pub(super) fn matchers(braces: &str) -> Result<Vec<Matcher>> {
    let mut rest = braces.trim_start_matches('{').trim_end_matches('}');
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.is_empty() {
            return Ok(found);
        }
        let Some((left, quoted)) = rest.find('"').map(|place| rest.split_at(place)) else {
            bail!("{braces}: a matcher without a value")
        };
        let label = left.trim_end_matches(['=', '!', '~', ' ']);
        rest = after_quotes(quoted)?;
        let value = &quoted[1..quoted.len() - rest.len() - 1];
        let operator = left[label.len()..].trim();
        found.push(Matcher { label: label.trim().to_owned(), operator: operator.to_owned(), value: value.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::promql::named;

    #[test]
    fn what_a_matcher_lists_is_taken_apart() {
        let one = |expression| named(expression).expect("it is read").selectors.remove(0);
        let apart = |expression| one(expression).alternatives().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            apart("sum(a{k=~\"(x|y)[.].*\", o=\"z\"})"),
            ["a{k=~\"x[.].*\",o=\"z\"}", "a{k=~\"y[.].*\",o=\"z\"}"]
        );
        assert_eq!(apart("a{o=~\"x|y\",p!~\"v|w\"}"), ["a{o=~\"x\",p!~\"v|w\"}", "a{o=~\"y\",p!~\"v|w\"}"]);
        assert_eq!(
            apart("a{k=~\"x|y\",o=~\"v|w\"}"),
            ["a{k=~\"x\",o=~\"v|w\"}", "a{k=~\"y\",o=~\"v|w\"}", "a{k=~\"x|y\",o=~\"v\"}", "a{k=~\"x|y\",o=~\"w\"}"]
        );
        assert_eq!(apart("up"), ["up"]);
    }
}
