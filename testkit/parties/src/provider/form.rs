//! Form-encoded parameters, with Stripe's brackets: `metadata[order]=7`.

use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// Parameters by their whole name, such as `metadata[order]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `a=b&c=d`. A name that comes twice is an error, which names it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut form = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name);
            if form.insert(name.clone(), decoded(value)).is_some() {
                return Err(name);
            }
        }
        Ok(Self(form))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The first name that is not among these, where `metadata[]` stands for all of `metadata`.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&str> {
        let is_known = |name: &str| {
            known.contains(&name)
                || name.split_once('[').is_some_and(|(of, _)| known.contains(&format!("{of}[]").as_str()))
        };
        self.0.keys().map(String::as_str).find(|name| !is_known(name))
    }

    /// What is within the brackets of `metadata[...]`.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let within = |(name, value): (&String, &String)| {
            let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((name.to_owned(), value.clone()))
        };
        self.0.iter().filter_map(within).collect()
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_spaces_and_escapes_are_read() {
        let form = Form::parse("amount=10&metadata[a%20b]=c+d&metadata%5Be%5D=%26").expect("a form");
        assert_eq!(form.get("amount"), Some("10"));
        let metadata = form.metadata().into_iter().collect::<Vec<_>>();
        assert_eq!(metadata, [("a b".to_owned(), "c d".to_owned()), ("e".to_owned(), "&".to_owned())]);
        assert_eq!(form.unknown(&["amount", "metadata[]"]), None);
        assert_eq!(form.unknown(&["metadata[]"]), Some("amount"));
        assert_eq!(Form::parse("a=1&a=2"), Err("a".to_owned()));
    }
}
