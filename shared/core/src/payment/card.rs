//! Card numbers: what looks like one is refused at the door, and never echoed, stored or logged.
//!
//! A card number (ISO/IEC 7812) has 13 to 19 digits, of which the last one is a check digit (Luhn); people write it with
//! spaces, dots or dashes between them. Whoever holds one has obligations (PCI DSS) that this platform does not want. One
//! number in ten of that length looks like a card's by chance: ids of so many digits belong beside letters.

/// Digits of a card number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Characters between two digits, at most: "4242 - 4242".
const SEPARATORS_MAX: usize = 3;

/// Whether something in the text looks like a card's number.
///
/// Digits without separators are judged wherever they stand. Groups of digits that touch a letter at an end are left
/// alone: they are parts of ids, such as a UUID's.
pub fn looks_like_card_number(text: &str) -> bool {
    let mut run = Run::default();
    let mut before = None;
    for c in text.chars() {
        if let Some(digit) = digit_of(c) {
            run.push(digit, before);
        } else if !run.is_separator(c) {
            if run.holds_card_number(c) {
                return true;
            }
            run = Run::default();
        }
        before = Some(c);
    }
    run.holds_card_number(' ')
}

/// The value of a decimal digit: ASCII's, and the full-width ones that keyboards for Chinese and Japanese make.
fn digit_of(c: char) -> Option<u8> {
    let value = match c {
        '0'..='9' => u32::from(c) - u32::from('0'),
        '\u{ff10}'..='\u{ff19}' => u32::from(c) - 0xff10,
        _ => return None,
    };
    u8::try_from(value).ok()
}

fn is_of_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Digits in a row, with separators between them.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// Where groups begin: a number begins and ends with a group.
    groups: Vec<usize>,
    separators: usize,
    begins_in_word: bool,
}

impl Run {
    fn push(&mut self, digit: u8, before: Option<char>) {
        if self.digits.is_empty() {
            self.begins_in_word = before.is_some_and(is_of_word);
        }
        if self.digits.is_empty() || self.separators > 0 {
            self.groups.push(self.digits.len());
        }
        self.separators = 0;
        self.digits.push(digit);
    }

    fn is_separator(&mut self, c: char) -> bool {
        let separates = matches!(c, '-' | '.' | '/' | '\u{2010}'..='\u{2015}') || c.is_whitespace();
        self.separators += 1;
        !self.digits.is_empty() && separates && self.separators <= SEPARATORS_MAX
    }

    /// Whether some groups in a row are a card's number; `after` is what follows them.
    fn holds_card_number(&self, after: char) -> bool {
        let ends = self.groups.iter().skip(1).copied().chain([self.digits.len()]);
        let ends: Vec<usize> = ends.collect();
        let ends_in_word = is_of_word(after) && self.separators <= 1;
        self.groups.iter().enumerate().any(|(first, begin)| {
            ends[first..].iter().enumerate().any(|(more, end)| {
                let begins_in_word = first == 0 && self.begins_in_word;
                let is_part_of_id = begins_in_word || (ends_in_word && first + more + 1 == ends.len());
                let is_number = DIGITS.contains(&(end - begin)) && passes_luhn(&self.digits[*begin..*end]);
                is_number && (more == 0 || !is_part_of_id)
            })
        })
    }
}

/// The check of ISO/IEC 7812-1, annex B. A number of zeros only would pass, and is nobody's card.
fn passes_luhn(digits: &[u8]) -> bool {
    let weigh = |(n, digit): (usize, &u8)| {
        let weight = u32::from(*digit) * if n % 2 == 1 { 2 } else { 1 };
        if weight > 9 { weight - 9 } else { weight }
    };
    let sum: u32 = digits.iter().rev().enumerate().map(weigh).sum();
    sum > 0 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242",
            "4242 - 4242 - 4242 - 4242",
            "my card is 4242424242424242, thanks",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "4222222222222",
            "order 77 4242 4242 4242 4242",
            "4242 4242 4242 4242 12/30",
            "\u{ff14}\u{ff12}42424242424242",
            "card=4242424242424242&x=1",
            "tok_4242424242424242",
            "4242\u{a0}4242\u{a0}4242\u{a0}4242",
        ] {
            assert!(looks_like_card_number(text), "{text} was not noticed");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "",
            "4242424242424241",
            "123456789012",
            "0000000000000000",
            "pi_3MtwBwLkdIwHu7ix28a3tqPa",
            "01981f2e-7d3c-7b11-8000-1234567890ab",
            "2026-11-22T22:31:12.123Z",
            "+49 30 901820",
            "12345678901234567890123456789012345678901234567890",
        ] {
            assert!(!looks_like_card_number(text), "{text} was taken for a card's number");
        }
    }
}
