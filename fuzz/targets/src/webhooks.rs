//! Deliveries: what strangers send to a webhook, and what proves who sent it.
//!
//! The input: a letter for the scheme with the seconds between the signature and now (`g0`, `w-301`), the webhook's
//! secret, a path with its query, lines of `name: value`, and the body.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_api::untrusted;
use action_domain::{
    secret::SecretValue,
    services::{WebhookReply, WebhookRequest},
    time::Timestamp,
    webhook::{
        Scheme, Verify, request,
        verify::{DeliveryId, Proof, SIGNATURES_MAX, Unproved, verify},
    },
};
use action_fuzz_targets::{header_map, parts};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, StatusCode};
use serde_json::json;
use sha2::Sha256;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// When what is signed here is signed, in seconds since 1970.
const SIGNED_AT: i64 = 1_700_000_000;
/// Schemes by the letter that stands for each.
const SCHEMES: [(u8, &str, Scheme); 7] = [
    (b'n', "none", Scheme::None),
    (b'k', "key", Scheme::Key),
    (b'w', "standard-webhooks", Scheme::StandardWebhooks),
    (b'g', "github", Scheme::Github),
    (b's', "stripe", Scheme::Stripe),
    (b'l', "slack", Scheme::Slack),
    (b'p', "protocol", Scheme::Protocol),
];
/// Where a scheme's proof stands. No record has it.
const PROOFS: [&str; 5] =
    ["stripe-signature", "webhook-signature", "x-hub-signature-256", "x-slack-signature", "x-webhook-key"];

/// Takes the delivery as it came, and as whoever has the secret would have signed it.
pub fn check(data: &[u8]) {
    let [how, secret, path, head, body] = parts(data);
    let (letter, away) = how.split_first().map_or((b'n', how), |(letter, away)| (*letter, away));
    let away: i32 = std::str::from_utf8(away).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (_, name, scheme) = SCHEMES.into_iter().find(|(own, ..)| *own == letter).unwrap_or(SCHEMES[0]);
    let Some(head) = head_of(path, head) else { return };
    of_a_head(&head);
    of_a_reply(&head, body);
    let how: Verify = serde_json::from_value(json!({"scheme": name, "secret": "s"})).expect("a scheme");
    let came = Came { how: &how, scheme, head: &head, body, away: i64::from(away) };
    came.as_it_is(secret);
    came.as_it_would_be_signed(secret);
}

/// As the handler has it, where it takes it.
fn head_of(path: &[u8], head: &[u8]) -> Option<WebhookRequest> {
    let path = format!("/hooks/{}", std::str::from_utf8(path).ok()?);
    let mut request = Request::post(path).body(()).ok()?;
    *request.headers_mut() = header_map(head);
    untrusted::webhook_head(&request.into_parts().0)
}

fn of_a_head(head: &WebhookRequest) {
    assert_eq!(request::check(head), Ok(()));
    for (_, _, scheme) in SCHEMES {
        let shown = request::shown(head, scheme);
        assert_eq!(request::shown(&shown, scheme), shown);
        assert!(shown.headers.iter().all(|header| head.headers.contains(header)));
        if scheme == Scheme::Protocol {
            assert_eq!(&shown, head);
        } else {
            assert_eq!(request::key(&shown.path_with_query), None, "{head:?}");
            assert!(!shown.headers.iter().any(|(name, _)| PROOFS.contains(&name.as_str())), "{head:?}");
        }
        // Where it went is told to everybody.
        let place = |head: &WebhookRequest| head.path_with_query.split('?').next().map(str::to_owned);
        assert_eq!(place(&shown), place(head));
    }
    let stranger = request::of_stranger(head);
    assert!(stranger.headers.is_empty() && !stranger.path_with_query.contains('?'), "{stranger:?}");
}

/// A component answers with what the sender said: nothing in it reaches further than an answer may.
fn of_a_reply(head: &WebhookRequest, body: &[u8]) {
    let status = u16::from(body.first().copied().unwrap_or_default()).saturating_mul(3);
    let reply = WebhookReply { status, headers: head.headers.clone(), body: Bytes::copy_from_slice(body) };
    let (answered, headers) = untrusted::webhook_reply(reply);
    assert!(answered.as_u16() == status || answered == StatusCode::BAD_GATEWAY);
    for name in ["set-cookie", "transfer-encoding", "content-length", "access-control-allow-origin"] {
        assert!(!headers.contains_key(name), "{name} of {head:?}");
    }
    let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
    assert_eq!(policies, ["sandbox; default-src 'none'"]);
}

/// A delivery, and the webhook that it came to.
struct Came<'a> {
    how: &'a Verify,
    scheme: Scheme,
    head: &'a WebhookRequest,
    body: &'a [u8],
    /// From the signature to now, in seconds.
    away: i64,
}

impl Came<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Believed at this time, in seconds since 1970?
    fn verified(
        &self,
        secret: &[u8],
        headers: &[(String, String)],
        body: &[u8],
        now: i64,
    ) -> Result<Option<DeliveryId>, Unproved> {
        let key = request::key(&self.head.path_with_query);
        let proof = Proof { headers, key: key.as_deref(), body };
        let secret = (!secret.is_empty()).then(|| SecretValue::from(secret.to_vec()));
        let found = verify(self.how, secret.as_ref(), &proof, Timestamp::from_micros(now.saturating_mul(1_000_000)));
        if let Ok(Some(found)) = &found {
            assert!(found.id.len() <= 128, "{found:?}");
            assert_eq!(found.is_proved, self.scheme != Scheme::Github, "who may say which delivery it is: {found:?}");
        }
        found
    }

    /// When it says that it was signed.
    fn time(&self) -> Option<&str> {
        match self.scheme {
            Scheme::StandardWebhooks => self.header("webhook-timestamp"),
            Scheme::Slack => self.header("x-slack-request-timestamp"),
            Scheme::Stripe => {
                self.header("stripe-signature")?.split(',').find_map(|part| part.trim().strip_prefix("t="))
            }
            _ => None,
        }
    }

    /// Whatever is believed is what whoever has the secret would have sent.
    fn as_it_is(&self, secret: &[u8]) {
        let time = self.time().and_then(|text| text.parse::<i64>().ok());
        let now = time.unwrap_or_default().saturating_add(self.away);
        let own = &self.head.headers;
        let found = self.verified(secret, own, self.body, now);
        if !self.scheme.takes_secret() {
            assert_eq!(found, Ok(None));
            return;
        }
        assert!(self.verified(b"", own, self.body, now).is_err(), "nobody has no secret");
        if found.is_err() {
            return;
        }
        let other: &[u8] = b"YW5vdGhlciBzZWNyZXQ=";
        assert!(secret == other || self.verified(other, own, self.body, now).is_err(), "by any secret");
        if self.scheme == Scheme::Key {
            let in_query = request::key(&self.head.path_with_query);
            let key = self.header("x-webhook-key").map(str::to_owned).or(in_query);
            assert_eq!(key.map(String::into_bytes).as_deref(), Some(secret));
            return;
        }
        assert!(self.verified(secret, own, &[self.body, b"x"].concat(), now).is_err(), "another body");
        if self.scheme.has_time() {
            let time = time.expect("what was signed at no time is not believed");
            assert!(now.abs_diff(time) <= u64::from(self.how.tolerance_s()));
            for later in [301, -301] {
                assert_eq!(self.verified(secret, own, self.body, time.saturating_add(later)), Err(Unproved::Old));
            }
        }
    }

    /// What was signed with the secret is believed as long as it is new, whatever stands beside it.
    fn as_it_would_be_signed(&self, key: &[u8]) {
        let id = self.header("webhook-id").filter(|id| !id.is_empty()).unwrap_or("msg_1");
        let time = SIGNED_AT.to_string();
        // Signatures of the stranger's stand before the right one.
        let before = |name: &str| {
            let text = self.header(name).unwrap_or_default();
            let few = text.matches([' ', ',']).count() + 1 < SIGNATURES_MAX;
            if few { text } else { "" }
        };
        let (secret, signed): (Vec<u8>, Vec<(&str, String)>) = match self.scheme {
            Scheme::StandardWebhooks => {
                let tag = tag(key, &[id.as_bytes(), b".", time.as_bytes(), b".", self.body]);
                let signature = format!("{} v1,{}", before("webhook-signature"), STANDARD.encode(tag));
                let signed =
                    vec![("webhook-id", id.to_owned()), ("webhook-timestamp", time), ("webhook-signature", signature)];
                (format!("whsec_{}", STANDARD.encode(key)).into_bytes(), signed)
            }
            Scheme::Github => {
                let signature = format!("sha256={}", hex::encode(tag(key, &[self.body])));
                (key.to_vec(), vec![("x-hub-signature-256", signature)])
            }
            Scheme::Stripe => {
                let tag = hex::encode(tag(key, &[time.as_bytes(), b".", self.body]));
                let signature = format!("t={time},{},v1={tag}", before("stripe-signature"));
                (key.to_vec(), vec![("stripe-signature", signature)])
            }
            Scheme::Slack => {
                let tag = hex::encode(tag(key, &[b"v0:", time.as_bytes(), b":", self.body]));
                let signed = vec![("x-slack-request-timestamp", time), ("x-slack-signature", format!("v0={tag}"))];
                (key.to_vec(), signed)
            }
            Scheme::None | Scheme::Key | Scheme::Protocol => return,
        };
        // The first header of a name counts.
        let mut headers: Vec<(String, String)> =
            signed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        headers.extend(self.head.headers.iter().cloned());
        let now = SIGNED_AT + self.away;
        let found = self.verified(&secret, &headers, self.body, now);
        let is_new = !self.scheme.has_time() || self.away.unsigned_abs() <= u64::from(self.how.tolerance_s());
        match (key.is_empty(), is_new) {
            (true, _) => assert_eq!(found, Err(Unproved::Wrong), "anybody could sign with nothing"),
            (false, false) => assert_eq!(found, Err(Unproved::Old)),
            (false, true) => assert!(found.is_ok(), "{found:?} {headers:?}"),
        }
    }
}

fn tag(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
