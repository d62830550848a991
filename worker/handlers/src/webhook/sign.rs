//! Signatures of deliveries (Standard Webhooks 1.0, "Signature scheme": HMAC-SHA256 over `id.timestamp.body`).

use base64::{Engine, engine::general_purpose::STANDARD};
use haul_core::{
    JobId, Timestamp,
    endpoints::{Keyring, SigningKey},
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};
use sha2::Sha256;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The headers by which a receiver knows an event and its sender: an id that is the same however often it is sent, the time
/// of this attempt, and a signature by each key that is valid now.
pub(super) fn headers(
    event: JobId,
    now: Timestamp,
    body: &[u8],
    keys: &Keyring,
) -> Result<HeaderMap, InvalidHeaderValue> {
    let id = format!("msg_{}", event.0.simple());
    let timestamp = (now.as_ms() / 1_000).to_string();
    let signatures: Vec<String> = keys.valid(now).map(|key| signature(key, &id, &timestamp, body)).collect();
    let mut headers = HeaderMap::new();
    headers.insert(ID, HeaderValue::try_from(id)?);
    headers.insert(TIMESTAMP, HeaderValue::try_from(timestamp)?);
    headers.insert(SIGNATURE, HeaderValue::try_from(signatures.join(" "))?);
    Ok(headers)
}

fn signature(key: &SigningKey, id: &str, timestamp: &str, body: &[u8]) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specifications_example() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_valid_key_signs() {
        let now = Timestamp::from_ms(1_614_265_330_999);
        let ring =
            Keyring::new(SigningKey::random()).rotated(SigningKey::random(), now, std::time::Duration::from_secs(60));
        let headers = headers(JobId(uuid::Uuid::nil()), now, b"{}", &ring).unwrap();
        assert_eq!(headers["webhook-id"], "msg_00000000000000000000000000000000");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);
    }
}
