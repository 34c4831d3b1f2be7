//! Tokens of an issuer: right ones, and every way in which one is not.

use super::{
    Oidc,
    keys::{FETCH_EVERY_MIN, FRESH_FOR, KEPT_FOR},
    testing::{AUDIENCE, ISSUER, claims, oidc, published},
};
use crate::{Authenticator as _, Principal, Stranger};
use action_domain::services::Clock as _;
use action_testkit::{FakeClock, issuer::Issuer};
use serde_json::{Value, json};
use std::{pin::pin, sync::atomic::Ordering, time::Duration};

async fn scopes(oidc: &Oidc, token: &str) -> String {
    match oidc.authenticate(token).await {
        Ok(Principal { scopes, .. }) => scopes.to_string(),
        Err(Stranger::Unknown) => "unknown".to_owned(),
        Err(Stranger::Expired) => "expired".to_owned(),
        Err(Stranger::Unavailable(error)) => panic!("{error}"),
    }
}

fn with(claims: &Value, member: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[member] = value;
    claims
}

fn without(claims: &Value, member: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

#[tokio::test]
async fn each_kind_of_key_signs_and_scopes_are_our_words_among_others() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let oidc = oidc(&clock, &published(&issuer));
    let right = claims(&clock, "openid action-service:read action-service:invoke profile");
    for kid in ["rs", "es", "ed"] {
        let token = issuer.token(kid, &right);
        for _ in 0..2 {
            assert_eq!(scopes(&oidc, &token).await, "invoke read", "{kid}");
        }
        let principal = oidc.authenticate(&token).await.unwrap();
        assert_eq!(principal.actor.to_string(), "subject:user-1");
        assert_eq!(principal.reach, None);
    }
    for (member, value, found) in [
        ("scope", json!(["action-service:admin"]), "admin"),
        ("scope", json!("read admin action-service:root Action-Service:read"), ""),
        ("scp", json!(["action-service:configure"]), "configure invoke read"),
        ("scp", json!("action-service:configure x"), "configure invoke read"),
        ("aud", json!(["other", AUDIENCE]), "invoke read"),
        ("exp", json!(clock.now().as_micros() as f64 / 1e6 + 0.5), "invoke read"),
        // The issuer's clock may be a little ahead.
        ("nbf", json!(clock.now().as_micros() / 1_000_000 + 25), "invoke read"),
    ] {
        assert_eq!(
            scopes(&oidc, &issuer.token("ed", &with(&right, member, value.clone()))).await,
            found,
            "{member} {value}"
        );
    }
    assert_eq!(scopes(&oidc, &issuer.token("ed", &without(&right, "nbf"))).await, "invoke read");
    assert_eq!(scopes(&oidc, &issuer.token("ed", &without(&right, "scope"))).await, "");
}

#[tokio::test]
async fn every_wrong_claim_is_refused() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let oidc = oidc(&clock, &published(&issuer));
    let right = claims(&clock, "action-service:admin");
    let now = clock.now().as_micros() / 1_000_000;
    for (member, value) in [
        ("iss", json!("https://issuer.test/")),
        ("iss", json!([ISSUER, "https://evil.test"])),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!({"action-service": true})),
        ("nbf", json!(now + 60)),
        ("nbf", json!("soon")),
        ("exp", json!("never")),
        ("exp", json!(null)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("a\nb")),
        ("sub", json!(7)),
    ] {
        assert_eq!(
            scopes(&oidc, &issuer.token("rs", &with(&right, member, value.clone()))).await,
            "unknown",
            "{member} {value}"
        );
    }
    for member in ["iss", "aud", "exp", "sub"] {
        assert_eq!(scopes(&oidc, &issuer.token("rs", &without(&right, member))).await, "unknown", "{member}");
    }
    assert_eq!(scopes(&oidc, &issuer.token("rs", &with(&right, "exp", json!(now - 3600)))).await, "expired");
    let token = issuer.token("rs", &right);
    assert_eq!(scopes(&oidc, &token).await, "admin");
    clock.advance(Duration::from_hours(1));
    assert_eq!(scopes(&oidc, &token).await, "expired", "also one that was checked before");
}

#[tokio::test]
async fn what_the_head_says_turns_no_key_into_another() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let right = claims(&clock, "action-service:admin");
    let stranger = Issuer::new();
    let foreign = published.set.lock().unwrap().clone().unwrap()["keys"][0].clone();
    for (what, head, signer) in [
        ("no signature", json!({"alg": "none", "kid": "rs"}), "none"),
        ("no signature, said to be right", json!({"alg": "RS256", "kid": "rs"}), "none"),
        ("the public key as a shared secret", json!({"alg": "HS256", "kid": "rs"}), "hmac"),
        ("the same under a right name", json!({"alg": "RS256", "kid": "rs"}), "hmac"),
        ("another key's id", json!({"alg": "ES256", "kid": "rs"}), "es"),
        ("another key's algorithm", json!({"alg": "RS256", "kid": "es"}), "es"),
        ("an algorithm that is not taken", json!({"alg": "RS512", "kid": "rs"}), "rs"),
        ("another algorithm of the same key", json!({"alg": "PS256", "kid": "rs"}), "rs"),
        ("no key id", json!({"alg": "RS256"}), "rs"),
        ("a key that comes with it", json!({"alg": "RS256", "kid": "mine", "jwk": foreign}), "rs"),
        ("a key from elsewhere", json!({"alg": "RS256", "kid": "mine", "jku": "https://evil.test/keys"}), "rs"),
        ("something that counts too", json!({"alg": "RS256", "kid": "rs", "crit": ["b64"], "b64": false}), "rs"),
        ("an unknown key", json!({"alg": "EdDSA", "kid": "other"}), "ed"),
    ] {
        assert_eq!(scopes(&oidc, &issuer.token_with(&head, signer, &right)).await, "unknown", "{what}");
    }
    assert_eq!(scopes(&oidc, &stranger.token("es", &right)).await, "unknown", "another one's key");
    let token = issuer.token("ed", &right);
    let parts: Vec<&str> = token.split('.').collect();
    let other = issuer.token("ed", &with(&right, "sub", json!("somebody else")));
    let swapped = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    for broken in [
        swapped,
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.x"),
        format!("{token}="),
        format!("ey.{}.{}", parts[1], parts[2]),
        format!("{}{}", token, "A".repeat(20_000)),
    ] {
        assert_eq!(scopes(&oidc, &broken).await, "unknown", "{broken:.80}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_and_made_up_ones_make_us_ask_no_more_often() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let right = claims(&clock, "action-service:read");
    let fetched = || published.fetched.load(Ordering::SeqCst);
    assert_eq!(scopes(&oidc, &issuer.token("es", &right)).await, "read");
    assert_eq!(fetched(), 1);

    let next = Issuer::new();
    let mut set = next.jwks();
    set["keys"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|key| key["kid"] = json!(format!("new-{}", key["kid"].as_str().unwrap())));
    *published.set.lock().unwrap() = Ok(set);
    let rotated = next.token_with(&json!({"alg": "ES256", "kid": "new-es"}), "es", &right);
    for made_up in 0..50 {
        let head = json!({"alg": "ES256", "kid": format!("made-up-{made_up}")});
        assert_eq!(scopes(&oidc, &issuer.token_with(&head, "es", &right)).await, "unknown");
    }
    assert_eq!(scopes(&oidc, &rotated).await, "unknown", "it was asked a moment ago");
    assert_eq!(fetched(), 1);
    clock.advance(FETCH_EVERY_MIN);
    assert_eq!(scopes(&oidc, &rotated).await, "read");
    assert_eq!(fetched(), 2);
    let old = issuer.token("ed", &right);
    assert_eq!(scopes(&oidc, &old).await, "unknown", "a key that is not published any more");
    assert_eq!(fetched(), 2);
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_not_taken_for_long() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let right = claims(&clock, "action-service:read");
    let token = issuer.token("es", &right);
    assert_eq!(scopes(&oidc, &token).await, "read");
    published.set.lock().unwrap().as_mut().unwrap()["keys"].as_array_mut().unwrap().clear();
    assert_eq!(scopes(&oidc, &token).await, "read");
    clock.advance(FRESH_FOR);
    assert_eq!(scopes(&oidc, &token).await, "unknown", "also one that was checked before");
}

#[tokio::test]
async fn an_issuer_that_is_away_for_a_while_keeps_its_keys_and_not_for_ever() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let mut right = claims(&clock, "action-service:read");
    right["exp"] = json!(right["exp"].as_i64().unwrap() + 10 * 24 * 3600);
    let token = issuer.token("es", &right);
    *published.set.lock().unwrap() = Err("away".into());
    assert!(oidc.prepare().await.is_err());
    assert_eq!(scopes(&oidc, &token).await, "unknown");
    *published.set.lock().unwrap() = Ok(issuer.jwks());
    assert_eq!(oidc.prepare().await, Ok(3));
    assert_eq!(scopes(&oidc, &token).await, "read");
    *published.set.lock().unwrap() = Err("away".into());
    clock.advance(KEPT_FOR.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(scopes(&oidc, &token).await, "read");
    clock.advance(Duration::from_mins(1));
    assert_eq!(scopes(&oidc, &token).await, "unknown");
    *published.set.lock().unwrap() = Ok(issuer.jwks());
    clock.advance(FETCH_EVERY_MIN);
    assert_eq!(scopes(&oidc, &token).await, "read");
}

#[tokio::test]
async fn who_hangs_up_does_not_keep_the_keys_from_others() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let right = claims(&clock, "action-service:read");
    published.answers.forget_permits(usize::MAX);
    let (made_up, token) =
        (issuer.token_with(&json!({"alg": "ES256", "kid": "x"}), "es", &right), issuer.token("es", &right));
    {
        // The first poll goes as far as the issuer, who does not answer yet.
        let mut stranger = pin!(scopes(&oidc, &made_up));
        while published.fetched.load(Ordering::SeqCst) == 0 {
            assert!(futures_util::poll!(&mut stranger).is_pending());
            tokio::task::yield_now().await;
        }
    }
    published.answers.add_permits(1);
    assert_eq!(scopes(&oidc, &token).await, "read");
    assert_eq!(published.fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_key_longer() {
    let (clock, issuer) = (FakeClock::default(), Issuer::new());
    let published = published(&issuer);
    let oidc = oidc(&clock, &published);
    let right = claims(&clock, "action-service:read");
    let (es, ed) = (issuer.token("es", &right), issuer.token("ed", &right));
    clock.advance(FRESH_FOR);
    assert_eq!(scopes(&oidc, &es).await, "read");
    published.set.lock().unwrap().as_mut().unwrap()["keys"].as_array_mut().unwrap().clear();
    clock.set(clock.now().minus(FRESH_FOR));
    assert_eq!(scopes(&oidc, &ed).await, "unknown");
    assert_eq!(published.fetched.load(Ordering::SeqCst), 2);
}
