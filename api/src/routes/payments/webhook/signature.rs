//! Signatures of the provider's events, as Stripe makes them: `Stripe-Signature: t=SECONDS,v1=HEX,v1=HEX`, each `v1` an
//! HMAC-SHA256 over the time, a dot and the body. Several of them are signatures with several secrets, while one is replaced by
//! another; other schemes than `v1` are for others. Pure.

use haul_core::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq};

/// How far the time of a signature may be from ours: an event that was overheard is of no use later.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Signatures of one event that are measured: more would be work for nothing.
const SIGNATURES_MAX: usize = 8;
/// Digits of a time.
const DIGITS_MAX: usize = 12;

/// What an event is signed with; nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Signature<'h> {
    /// Seconds since 1970, as they were signed.
    at: &'h str,
    digests: Vec<[u8; 32]>,
}

impl<'h> Signature<'h> {
    /// Reads the header. An error says what is wrong with it, and repeats nothing of it.
    pub(super) fn read(header: &'h str) -> Result<Self, &'static str> {
        let (mut at, mut digests) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", _)) if at.is_some() => return Err("names two times"),
                Some(("t", text)) => at = Some(text),
                Some(("v1", text)) => digests.push(hex(text).ok_or("has a v1 that is not 64 hexadecimal digits")?),
                Some(_) => {}
                None => return Err("is not of the form t=SECONDS,v1=HEX"),
            }
        }
        let is_plain =
            |text: &&str| (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let at = at.filter(is_plain).ok_or("names no time")?;
        match digests.len() {
            0 => Err("has no v1"),
            1..=SIGNATURES_MAX => Ok(Self { at, digests }),
            _ => Err("has more signatures than are measured"),
        }
    }

    /// Whether its time is close to this one.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        let at = self.at.parse::<i64>().map_or(i64::MIN, |seconds| seconds.saturating_mul(1_000));
        u128::from(now.as_ms().abs_diff(at)) <= TOLERANCE.as_millis()
    }

    /// Whether one of them is of this body and this secret. Takes as long whichever is, and whether any is.
    pub(super) fn is_of(&self, body: &[u8], secret: &[u8]) -> bool {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
        for part in [self.at.as_bytes(), b".", body] {
            mac.update(part);
        }
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        let matches = self.digests.iter().map(|digest| expected.ct_eq(digest));
        matches.fold(Choice::from(0), |any, one| any | one).into()
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac secret
    const GOOD: &str = "fd87bb560d5be38a3736e069e26b921d4a6358eca72432402e4a2d8b62f4940a";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    #[test]
    fn a_signature_is_what_openssl_computes_and_of_nothing_else() {
        let header = format!("t=1492774577,v1={GOOD}");
        let signature = Signature::read(&header).unwrap();
        assert!(signature.is_of(BODY, b"secret"));
        assert!(!signature.is_of(br#"{"id":"evt_2"}"#, b"secret"), "another body");
        assert!(!signature.is_of(BODY, b"secret2"), "another secret");
        let later = format!("t=1492774578,v1={GOOD}");
        assert!(!Signature::read(&later).unwrap().is_of(BODY, b"secret"), "another time");
    }

    #[test]
    fn one_good_signature_among_several_is_enough_and_other_schemes_do_not_count() {
        let other = "0".repeat(64);
        for header in
            [format!("t=1492774577,v1={other},v1={GOOD}"), format!("t=1492774577,v1={GOOD},v1={other}, v0=whatever")]
        {
            assert!(Signature::read(&header).unwrap().is_of(BODY, b"secret"), "{header}");
        }
        let header = format!("t=1492774577,v1={other},v0={GOOD}");
        assert!(!Signature::read(&header).unwrap().is_of(BODY, b"secret"));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let many = format!("t=1{}", format!(",v1={GOOD}").repeat(SIGNATURES_MAX + 1));
        for header in [
            "",
            "t=1",
            "v1",
            &format!("v1={GOOD}"),
            &format!("t=,v1={GOOD}"),
            &format!("t=-1,v1={GOOD}"),
            &format!("t=1,t=2,v1={GOOD}"),
            &format!("t=1,v1={}", &GOOD[1..]),
            &format!("t=1,v1=+{}", &GOOD[1..]),
            &format!("t=9999999999999999,v1={GOOD}"),
            &many,
        ] {
            assert!(Signature::read(header).is_err(), "{header}");
        }
    }

    #[test]
    fn a_signature_is_recent_for_five_minutes() {
        let header = format!("t=1492774577,v1={GOOD}");
        let signature = Signature::read(&header).unwrap();
        let at = |seconds: i64| signature.is_recent(Timestamp::from_ms((1_492_774_577 + seconds) * 1_000));
        assert_eq!([-301, -300, 0, 300, 301].map(at), [false, true, true, true, false]);
    }
}
