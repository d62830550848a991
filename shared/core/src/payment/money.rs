//! Money: a whole number of a currency's minor units, never a fraction and never a float.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest amount of one payment, in minor units: twelve digits, so that sums of millions of them fit 64 bits.
pub const AMOUNT_MAX: i64 = 999_999_999_999;

/// The currencies by the number of their decimals: ISO 4217, list one, without funds, metals and codes for testing.
/// Compared with the crate `iso_currency` by a test.
const CURRENCIES: [(u8, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY \
      COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
      ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
      MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
      SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER \
      ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A text that is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a currency of ISO 4217 in capitals, such as \"EUR\"")]
pub struct UnknownCurrency;

impl Currency {
    /// The currency of a code in capitals.
    pub fn new(code: &str) -> Result<Self, UnknownCurrency> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        Self(bytes).decimals().map(|_| Self(bytes)).ok_or(UnknownCurrency)
    }

    /// The code, in capitals.
    pub fn as_str(&self) -> &str {
        // Made of the table's ASCII only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals its minor unit is: 2 for EUR (cents), 0 for JPY, 3 for KWD.
    pub fn exponent(&self) -> u8 {
        self.decimals().unwrap_or_default()
    }

    fn decimals(&self) -> Option<u8> {
        let holds = |codes: &str| codes.as_bytes().chunks(4).any(|code| code.starts_with(&self.0));
        CURRENCIES.iter().find(|(_, codes)| holds(codes)).map(|(decimals, _)| *decimals)
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        Self::new(&code)
    }
}
impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount that cannot be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of minor units from 1 to {AMOUNT_MAX}")]
pub struct AmountOutOfRange;

/// An amount of money: more than nothing, and at most [`AMOUNT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// So many minor units of a currency.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, AmountOutOfRange> {
        if (1..=AMOUNT_MAX).contains(&minor) { Ok(Self { minor, currency }) } else { Err(AmountOutOfRange) }
    }

    /// The number of minor units.
    pub fn minor(&self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }
}

/// As people write it: `12.50 EUR`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.exponent());
        let digits = format!("{:0>1$}", self.minor, decimals + 1);
        let (whole, rest) = digits.split_at(digits.len() - decimals);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{whole}{point}{rest} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_standard() {
        let mut known = 0;
        for (decimals, codes) in CURRENCIES {
            for code in codes.split(' ') {
                let theirs = iso_currency::Currency::from_code(code).and_then(|currency| currency.exponent());
                assert_eq!(theirs, Some(u16::from(decimals)), "{code}");
                assert_eq!(Currency::new(code).map(|currency| currency.exponent()), Ok(decimals), "{code}");
                known += 1;
            }
        }
        assert!(known > 150, "{known}");
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for code in ["", "eur", "EU", "EURO", "XXX", "XAU", "BTC", "UR ", "R A", "\u{20ac}", "HRK", " AE"] {
            assert_eq!(Currency::new(code), Err(UnknownCurrency), "{code:?}");
        }
    }

    #[test]
    fn amounts_are_written_with_their_decimals() {
        let written = |minor, code| Money::new(minor, Currency::new(code).unwrap()).map(|money| money.to_string());
        assert_eq!(written(1250, "EUR").as_deref(), Ok("12.50 EUR"));
        assert_eq!(written(7, "EUR").as_deref(), Ok("0.07 EUR"));
        assert_eq!(written(500, "JPY").as_deref(), Ok("500 JPY"));
        assert_eq!(written(1, "KWD").as_deref(), Ok("0.001 KWD"));
        for minor in [0, -1, i64::MIN, i64::MAX, AMOUNT_MAX + 1] {
            assert_eq!(written(minor, "EUR"), Err(AmountOutOfRange));
        }
    }
}
