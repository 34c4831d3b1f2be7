//! How a delivery proves who sent it: the schemes, without I/O, over the bytes as they came.
//!
//! What is secret is compared in constant time. A time that was signed is looked at behind the
//! signature, so that nobody without the secret learns what the service thinks of it.

use super::{Scheme, Verify, check_key};
use crate::{digest::Digest, secret::SecretValue, time::Timestamp};
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Most signatures of one delivery that are looked at: each costs a pass over the body.
pub const SIGNATURES_MAX: usize = 16;
/// Longest id of a delivery, in bytes, that is taken as it is; a longer one is hashed.
const ID_BYTES_MAX: usize = 128;
/// Secrets come with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The parts of a request that a proof may be in.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// Names in lower case, in their order.
    pub headers: &'a [(String, String)],
    /// The value of `key` in the query, decoded.
    pub key: Option<&'a str>,
    /// The body as it came.
    pub body: &'a [u8],
}

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// What proves it is missing, or cannot be read.
    #[error("the delivery does not say who sent it, as this webhook asks")]
    Missing,
    /// It is not what the secret gives.
    #[error("the delivery does not prove who sent it")]
    Wrong,
    /// It was signed too long ago, or will be.
    #[error("the delivery was not signed just now")]
    Old,
    /// The key is not valid any more.
    #[error("the key has expired")]
    Expired,
}

/// By which the sender of a delivery knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryId {
    /// As the sender writes it, or its digest where that is long.
    pub id: String,
    /// Whether it is proved with the delivery. Then it is the same delivery whatever else is different: Stripe counts in an
    /// event which others have not had it yet, and Slack signs each repetition anew. Otherwise anybody who saw a
    /// delivery can send it under the id of another.
    pub is_proved: bool,
}

impl DeliveryId {
    fn proved(id: &str) -> Self {
        Self { id: id_of(id), is_proved: true }
    }
}

impl Unproved {
    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing | Self::Wrong => "webhook_unverified",
            Self::Old | Self::Expired => "webhook_expired",
        }
    }
}

impl Proof<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Unproved> {
        self.header(name).filter(|value| !value.is_empty()).ok_or(Unproved::Missing)
    }
}

/// Whether the delivery comes from whoever has `secret`; the id by which a repetition is known, where there is one.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    verify: &Verify,
    secret: Option<&SecretValue>,
    proof: &Proof<'_>,
    now: Timestamp,
) -> Result<Option<DeliveryId>, Unproved> {
    // A scheme that needs a secret believes nobody without one.
    by_scheme(verify, secret.map_or(&[], |secret| secret.expose_secret()), proof, now)
}

fn by_scheme(
    verify: &Verify,
    secret: &[u8],
    proof: &Proof<'_>,
    now: Timestamp,
) -> Result<Option<DeliveryId>, Unproved> {
    let tolerance_s = verify.tolerance_s();
    match verify.scheme() {
        Scheme::None | Scheme::Protocol => Ok(None),
        Scheme::Key => {
            let key = proof.header("x-webhook-key").or(proof.key).ok_or(Unproved::Missing)?;
            // One that is too short was refused when it was set, and when it was named.
            if check_key(secret).is_err() || !same(key.as_bytes(), secret) {
                return Err(Unproved::Wrong);
            }
            // The key's last moment counts.
            if verify.expires_at().is_some_and(|until| now > until) { Err(Unproved::Expired) } else { Ok(None) }
        }
        Scheme::StandardWebhooks => standard_webhooks(secret, proof, now, tolerance_s).map(Some),
        Scheme::Github => github(secret, proof),
        Scheme::Stripe => stripe(secret, proof, now, tolerance_s),
        Scheme::Slack => slack(secret, proof, now, tolerance_s).map(Some),
    }
}

fn standard_webhooks(
    secret: &[u8],
    proof: &Proof<'_>,
    now: Timestamp,
    tolerance_s: u32,
) -> Result<DeliveryId, Unproved> {
    let id = proof.required("webhook-id")?;
    let time = proof.required("webhook-timestamp")?;
    let signatures = proof.required("webhook-signature")?;
    let text = secret.strip_prefix(b"whsec_").unwrap_or(secret);
    let key = BASE64.decode(text.trim_ascii()).map_err(|_| Unproved::Wrong)?;
    let tag = tag(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", proof.body])?;
    let signature = |one: &str| one.strip_prefix("v1,").and_then(|text| BASE64.decode(text).ok());
    any(signatures.split(' '), signature, &tag)?;
    just_now(time, now, tolerance_s)?;
    Ok(DeliveryId::proved(id))
}

fn github(secret: &[u8], proof: &Proof<'_>) -> Result<Option<DeliveryId>, Unproved> {
    let signature = proof.required("x-hub-signature-256")?;
    let tag = tag(secret, &[proof.body])?;
    any([signature].into_iter(), |one| one.strip_prefix("sha256=").and_then(|text| hex::decode(text).ok()), &tag)?;
    Ok(proof.header("x-github-delivery").map(|id| DeliveryId { id: id_of(id), is_proved: false }))
}

fn stripe(secret: &[u8], proof: &Proof<'_>, now: Timestamp, tolerance_s: u32) -> Result<Option<DeliveryId>, Unproved> {
    #[derive(serde::Deserialize)]
    struct Event {
        id: String,
    }
    let parts = || proof.required("stripe-signature").map(|header| header.split(',').map(str::trim));
    let time = parts()?.find_map(|part| part.strip_prefix("t=")).ok_or(Unproved::Missing)?;
    let tag = tag(secret, &[time.as_bytes(), b".", proof.body])?;
    let signatures = parts()?.filter_map(|part| part.strip_prefix("v1="));
    any(signatures, |one| hex::decode(one).ok(), &tag)?;
    just_now(time, now, tolerance_s)?;
    Ok(serde_json::from_slice(proof.body).ok().map(|Event { id }| DeliveryId::proved(&id)))
}

fn slack(secret: &[u8], proof: &Proof<'_>, now: Timestamp, tolerance_s: u32) -> Result<DeliveryId, Unproved> {
    #[derive(serde::Deserialize)]
    struct Event {
        event_id: String,
    }
    let time = proof.required("x-slack-request-timestamp")?;
    let signature = proof.required("x-slack-signature")?;
    let tag = tag(secret, &[b"v0:", time.as_bytes(), b":", proof.body])?;
    any([signature].into_iter(), |one| one.strip_prefix("v0=").and_then(|text| hex::decode(text).ok()), &tag)?;
    just_now(time, now, tolerance_s)?;
    // Events have an id, which is the same when one is sent again. Commands have none, but their time is signed with
    // them; the signature in one form, or its case would make it another delivery.
    let event = serde_json::from_slice(proof.body).ok().map(|Event { event_id }| event_id);
    Ok(DeliveryId::proved(&event.unwrap_or_else(|| hex::encode(tag))))
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], Unproved> {
    // Anybody could sign with nothing.
    if key.is_empty() {
        return Err(Unproved::Wrong);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Unproved::Wrong)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}

/// Whether one of the signatures is this. A sender that changes its secret signs with both.
fn any<'a>(
    signatures: impl Iterator<Item = &'a str>,
    bytes: impl Fn(&'a str) -> Option<Vec<u8>>,
    tag: &[u8; 32],
) -> Result<(), Unproved> {
    let (mut seen, mut right) = (false, false);
    for signature in signatures.take(SIGNATURES_MAX).filter_map(bytes) {
        seen = true;
        right |= same(&signature, tag);
    }
    match (seen, right) {
        (_, true) => Ok(()),
        (true, false) => Err(Unproved::Wrong),
        (false, false) => Err(Unproved::Missing),
    }
}

fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// A time in seconds since 1970, not further from now than that, in the past or in the future.
fn just_now(seconds: &str, now: Timestamp, tolerance_s: u32) -> Result<(), Unproved> {
    let seconds: i64 = seconds.parse().map_err(|_| Unproved::Missing)?;
    let away = now.as_micros().div_euclid(1_000_000).abs_diff(seconds);
    if away <= u64::from(tolerance_s) { Ok(()) } else { Err(Unproved::Old) }
}

fn id_of(id: &str) -> String {
    if id.len() <= ID_BYTES_MAX { id.to_owned() } else { Digest::of(id.as_bytes()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(
        document: Value,
        secret: &str,
        headers: &[(&str, &str)],
        body: &str,
        now: i64,
    ) -> Result<Option<DeliveryId>, Unproved> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let proof = Proof { headers: &headers, key: None, body: body.as_bytes() };
        let how = serde_json::from_value(document).unwrap();
        by_scheme(&how, secret.as_bytes(), &proof, Timestamp::from_micros(now * 1_000_000))
    }

    fn proved(id: &str) -> DeliveryId {
        DeliveryId { id: id.into(), is_proved: true }
    }

    /// The example of GitHub's documentation, "Validating webhook deliveries".
    #[test]
    fn github_as_its_documentation_has_it() {
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        let how = || json!({"scheme": "github", "secret": "s"});
        let headers = [("x-hub-signature-256", right), ("x-github-delivery", "72d3162e")];
        assert_eq!(
            check(how(), secret, &headers, "Hello, World!", 0),
            Ok(Some(DeliveryId { id: "72d3162e".into(), is_proved: false }))
        );
        assert_eq!(check(how(), secret, &headers, "Hello, World", 0), Err(Unproved::Wrong));
        assert_eq!(check(how(), "other", &headers, "Hello, World!", 0), Err(Unproved::Wrong));
        assert_eq!(
            check(how(), secret, &[("x-hub-signature-256", &right[..70])], "Hello, World!", 0),
            Err(Unproved::Missing),
            "half a byte cannot be read"
        );
        assert_eq!(
            check(how(), secret, &[("x-hub-signature-256", &right[..69])], "Hello, World!", 0),
            Err(Unproved::Wrong)
        );
        assert_eq!(
            check(how(), secret, &[("x-hub-signature-256", &right[7..])], "Hello, World!", 0),
            Err(Unproved::Missing)
        );
        assert_eq!(check(how(), secret, &[], "Hello, World!", 0), Err(Unproved::Missing));
        assert_eq!(check(how(), "", &headers, "Hello, World!", 0), Err(Unproved::Wrong));
    }

    /// The example of Slack's documentation, "Verifying requests from Slack".
    #[test]
    fn slack_as_its_documentation_has_it() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
            channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
            response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
            trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let right = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let how = || json!({"scheme": "slack", "secret": "s"});
        let (secret, time) = ("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618);
        let headers = [("x-slack-signature", right), ("x-slack-request-timestamp", "1531420618")];
        assert_eq!(check(how(), secret, &headers, body, time), Ok(Some(proved(&right[3..]))));
        assert_eq!(check(how(), secret, &headers, body, time + 300), Ok(Some(proved(&right[3..]))));
        assert_eq!(check(how(), secret, &headers, body, time + 301), Err(Unproved::Old));
        assert_eq!(check(how(), secret, &headers, body, time - 301), Err(Unproved::Old));
        assert_eq!(check(how(), secret, &headers, &body[1..], time + 301), Err(Unproved::Wrong));
        let later = [("x-slack-signature", right), ("x-slack-request-timestamp", "1531420619")];
        assert_eq!(check(how(), secret, &later, body, time), Err(Unproved::Wrong), "the time is signed");
    }

    #[test]
    fn an_event_of_slack_that_is_sent_again_is_the_same() {
        let (secret, body) = ("secret", r#"{"type": "event_callback", "event_id": "Ev1"}"#);
        for time in ["1531420618", "1531420678"] {
            let signature = tag(secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body.as_bytes()]).unwrap();
            let signature = format!("v0={}", hex::encode(signature));
            let headers = [("x-slack-signature", &*signature), ("x-slack-request-timestamp", time)];
            let how = json!({"scheme": "slack", "secret": "s"});
            assert_eq!(check(how, secret, &headers, body, 1_531_420_650), Ok(Some(proved("Ev1"))));
        }
    }

    /// The vector of the reference libraries of Standard Webhooks.
    #[test]
    fn standard_webhooks_as_its_libraries_have_it() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, time, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let how = || json!({"scheme": "standard-webhooks", "secret": "s"});
        let with = |signature: &str, secret: &str, now: i64| {
            let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
            check(how(), secret, &headers, body, now)
        };
        let fine = Ok(Some(proved(id)));
        assert_eq!(with(right, secret, 1_614_265_330), fine);
        assert_eq!(with(right, &secret[6..], 1_614_265_330), fine, "without its prefix");
        assert_eq!(with(&format!("v1,AAAA v1a,xyz {right}"), secret, 1_614_265_330), fine, "one of several");
        assert_eq!(with(&right.replace("v1,", "v2,"), secret, 1_614_265_330), Err(Unproved::Missing));
        assert_eq!(with(&right[..20], secret, 1_614_265_330), Err(Unproved::Missing));
        assert_eq!(with("v1,AAAA", secret, 1_614_265_330), Err(Unproved::Wrong));
        assert_eq!(with(right, "whsec_not base64!", 1_614_265_330), Err(Unproved::Wrong));
        assert_eq!(with(right, secret, 1_614_265_630), fine);
        assert_eq!(with(right, secret, 1_614_265_631), Err(Unproved::Old));
        let many = format!("{}{right}", "v1,AAAA ".repeat(SIGNATURES_MAX));
        assert_eq!(with(&many, secret, 1_614_265_330), Err(Unproved::Wrong), "not more than so many are looked at");
    }

    #[test]
    fn stripe_signs_time_and_body_and_may_sign_twice() {
        let (secret, body, time) = ("whsec_test", r#"{"id": "evt_1", "object": "event"}"#, 1_700_000_000_i64);
        let signed = |secret: &str| hex::encode(tag(secret.as_bytes(), &[b"1700000000.", body.as_bytes()]).unwrap());
        let how = || json!({"scheme": "stripe", "secret": "s", "tolerance_s": 10});
        let with = |header: &str, now: i64| check(how(), secret, &[("stripe-signature", header)], body, now);
        let right = format!("t={time},v1={},v1={},v0=abc", signed("old"), signed(secret));
        assert_eq!(with(&right, time), Ok(Some(proved("evt_1"))));
        assert_eq!(with(&right, time + 11), Err(Unproved::Old));
        assert_eq!(with(&format!("t={time},v1={}", signed("old")), time), Err(Unproved::Wrong));
        assert_eq!(with(&format!("t={time},v0={}", signed(secret)), time), Err(Unproved::Missing));
        assert_eq!(with(&format!("v1={}", signed(secret)), time), Err(Unproved::Missing));
    }

    #[test]
    fn a_key_has_an_end() {
        const KEY: &str = "sixteen bytes it";
        let how = || json!({"scheme": "key", "secret": "s", "expires_at": "2026-01-01T00:00:00Z"});
        let until = 1_767_225_600;
        assert_eq!(check(how(), KEY, &[("x-webhook-key", KEY)], "", until), Ok(None));
        assert_eq!(check(how(), KEY, &[("x-webhook-key", KEY)], "", until + 1), Err(Unproved::Expired));
        assert_eq!(check(how(), KEY, &[("x-webhook-key", "sixteen bytes i")], "", until + 1), Err(Unproved::Wrong));
        assert_eq!(check(how(), KEY, &[], "", until), Err(Unproved::Missing));
        let proof = Proof { headers: &[], key: Some(KEY), body: b"" };
        let how = serde_json::from_value(how()).unwrap();
        assert_eq!(by_scheme(&how, KEY.as_bytes(), &proof, Timestamp::from_micros(0)), Ok(None));
        let short = Proof { headers: &[], key: Some("fifteen bytes i"), body: b"" };
        let refused = by_scheme(&how, b"fifteen bytes i", &short, Timestamp::from_micros(0));
        assert_eq!(refused, Err(Unproved::Wrong), "a short key proves nothing, also where it is right");
    }
}
