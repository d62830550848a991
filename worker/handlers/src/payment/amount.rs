//! Amounts as the provider counts them, which is not in all currencies as ISO 4217 does.
//!
//! Source: Stripe's documentation of zero-decimal currencies and special cases. ISK and UGX have no decimals, but are told with
//! two that are zero; MGA has two by ISO 4217 and is told without.

use haul_core::payment::Currency;

/// How many of the provider's units are one minor unit, or the other way round.
enum Unit {
    Same,
    /// A hundred of the provider's to one.
    Finer,
    /// One of the provider's to a hundred.
    Coarser,
}

fn unit(code: &str) -> Unit {
    match code {
        "ISK" | "UGX" => Unit::Finer,
        "MGA" => Unit::Coarser,
        _ => Unit::Same,
    }
}

/// As it is sent. What cannot be told in the provider's units is written as a fraction, which it refuses: nothing is rounded.
pub(super) fn sent(minor: i64, currency: Currency) -> String {
    match unit(currency.as_str()) {
        Unit::Same => minor.to_string(),
        Unit::Finer => format!("{minor}00"),
        Unit::Coarser if minor % 100 == 0 => (minor / 100).to_string(),
        Unit::Coarser => format!("{}.{:02}", minor / 100, minor % 100),
    }
}

/// As it was received; none where that is no whole number of minor units.
pub(super) fn received(amount: i64, code: &str) -> Option<i64> {
    match unit(&code.to_ascii_uppercase()) {
        Unit::Same => Some(amount),
        Unit::Finer => (amount % 100 == 0).then_some(amount / 100),
        Unit::Coarser => amount.checked_mul(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_back_as_they_were_sent_and_nothing_is_rounded() {
        for (code, minor, told) in [
            ("EUR", 1_050, "1050"),
            ("JPY", 500, "500"),
            ("KWD", 5_120, "5120"),
            ("ISK", 500, "50000"),
            ("UGX", 7, "700"),
            ("MGA", 500, "5"),
        ] {
            let sent = sent(minor, Currency::new(code).unwrap());
            assert_eq!(sent, told, "{code}");
            assert_eq!(received(sent.parse().unwrap(), &code.to_ascii_lowercase()), Some(minor), "{code}");
        }
        assert_eq!(sent(510, Currency::new("MGA").unwrap()), "5.10");
        assert_eq!(received(50, "isk"), None);
    }
}
