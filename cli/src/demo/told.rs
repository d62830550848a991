//! Who was told: mails and events, as they were accepted by Haul, and as they arrived at the other side.

use std::collections::{BTreeMap, BTreeSet};

/// What tells a message from others: the id that it comes under, which is made of its job's, and the order that it is about.
pub(super) type Letter = (String, u32);

/// Messages of one sort.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// What they are called.
    pub(super) what: &'static str,
    /// Accepted by Haul.
    pub(super) asked: usize,
    /// Arrived, each counted once.
    pub(super) arrived: usize,
    /// Of those that were accepted.
    pub(super) missing: usize,
    /// Arrived, and nobody asked for it: under an id of no job's, or about another order than the job's.
    pub(super) unasked: usize,
    /// Arrived once more under the same id, because an answer was lost: what receivers leave out.
    pub(super) again: usize,
}

impl Told {
    pub(super) fn compare(
        what: &'static str,
        asked: &BTreeSet<Letter>,
        arrivals: impl IntoIterator<Item = Letter>,
    ) -> Self {
        let mut arrived: BTreeMap<Letter, usize> = BTreeMap::new();
        for letter in arrivals {
            *arrived.entry(letter).or_default() += 1;
        }
        Self {
            what,
            asked: asked.len(),
            arrived: arrived.len(),
            missing: asked.iter().filter(|letter| !arrived.contains_key(letter)).count(),
            unasked: arrived.keys().filter(|letter| !asked.contains(letter)).count(),
            again: arrived.values().map(|times| times - 1).sum(),
        }
    }

    /// What is wrong, in words; nothing when all is well.
    pub(super) fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (count, how) in [(self.missing, "never arrived"), (self.unasked, "arrived without being asked for")] {
            if count > 0 {
                wrong.push(format!("{count} {} {how}", self.what));
            }
        }
        if self.asked == 0 {
            wrong.push(format!("no {} were asked for at all", self.what));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(of: &[(&str, u32)]) -> Vec<Letter> {
        of.iter().map(|(id, order)| ((*id).to_owned(), *order)).collect()
    }

    #[test]
    fn what_is_missing_and_what_nobody_asked_for_is_wrong_and_what_comes_again_is_not() {
        let asked = letters(&[("a", 1), ("b", 2), ("c", 3)]).into_iter().collect();
        let told = |arrivals: &[(&str, u32)]| Told::compare("mails", &asked, letters(arrivals));
        let well = told(&[("a", 1), ("b", 2), ("b", 2), ("c", 3)]);
        assert_eq!((well.arrived, well.again, well.disagreements()), (3, 1, vec![]));
        assert_eq!(told(&[("a", 1), ("b", 2)]).disagreements(), ["1 mails never arrived"]);
        let renamed = told(&[("a", 1), ("b", 2), ("c", 3), ("d", 3)]);
        assert_eq!(renamed.disagreements(), ["1 mails arrived without being asked for"]);
        assert_eq!(told(&[("a", 1), ("b", 2), ("c", 2)]).disagreements().len(), 2, "a mail about another order");
        assert_eq!(Told::compare("mails", &BTreeSet::new(), []).disagreements(), ["no mails were asked for at all"]);
    }
}
