//! Who gets in, and who is told to wait.

use crate::{
    Scope,
    auth::oidc,
    testing::{Answer, Api, tokens},
};
use action_domain::{services::Clock as _, time::Timestamp};
use action_testkit::FakeClock;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Failures that an address has free.
const FREE: usize = 20;

fn api() -> (Api, FakeClock) {
    let clock = FakeClock::default();
    (Api::with(Arc::new(clock.clone()), None, true), clock)
}

async fn look(api: &Api, token: &str, from: &str) -> Answer {
    api.get("/v1/actions").bearer(token).from(from).send().await
}

#[tokio::test]
async fn an_address_that_fails_too_often_waits_and_nobody_else_does() {
    let (api, clock) = api();
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    let (_, valid) = api.token(&json!({"name": "a", "scopes": ["read"]})).await;
    // Never seen before, and as good as the others while many fail.
    let (_, unused) = api.token(&json!({"name": "b", "scopes": ["read"]})).await;
    let forged = format!("{}0", &valid[..valid.len() - 1]);
    let forged = if forged == valid { format!("{}1", &valid[..valid.len() - 1]) } else { forged };
    for _ in 0..FREE {
        look(&api, &forged, here).await.is_problem(401, "token_invalid");
    }
    for wrong in [&forged, "nonsense", "tok_nonsense"] {
        let refused = look(&api, wrong, here).await;
        refused.is_problem(429, "too_many_failed_logins");
        assert_eq!(refused.header("retry-after"), "3");
    }
    for good in [&valid, &unused] {
        look(&api, good, here).await.is(200);
    }
    look(&api, &forged, there).await.is_problem(401, "token_invalid");
    api.get("/v1/actions").bearer("").from(here).send().await.is_problem(401, "token_missing");
    clock.advance(Duration::from_secs(3));
    look(&api, &forged, here).await.is_problem(401, "token_invalid");
    look(&api, &forged, here).await.is_problem(429, "too_many_failed_logins");
}

#[tokio::test]
async fn what_might_be_guessed_is_not_looked_at_while_an_address_waits() {
    let (api, clock) = api();
    let admin = tokens(Scope::Admin);
    let (operator, guesser) = ("192.0.2.1", "192.0.2.2");
    look(&api, admin, operator).await.is(200);
    for address in [operator, guesser] {
        for guess in 0..FREE {
            look(&api, &format!("guess-{guess}"), address).await.is_problem(401, "token_invalid");
        }
    }
    look(&api, admin, guesser).await.is_problem(429, "too_many_failed_logins");
    look(&api, admin, operator).await.is(200);
    clock.advance(Duration::from_secs(6));
    look(&api, admin, guesser).await.is(200);
}

#[tokio::test]
async fn a_token_is_good_until_its_time_is_over_and_then_says_so() {
    let (api, clock) = api();
    let end = clock.now().plus(Duration::from_mins(1));
    let (_, text) = api.token(&json!({"name": "a", "scopes": ["read"], "expires_at": end.to_string()})).await;
    look(&api, &text, "192.0.2.1").await.is(200);
    clock.set(Timestamp::from_micros(end.as_micros() - 1));
    look(&api, &text, "192.0.2.1").await.is(200);
    clock.set(end);
    // It is no guess: it does not count as one.
    for _ in 0..2 * FREE {
        let expired = look(&api, &text, "192.0.2.1").await;
        expired.is_problem(401, "token_expired");
        assert!(expired.header("www-authenticate").contains("invalid_token"));
    }
    let forged = format!("{}{}", &text[..text.len() - 2], if text.ends_with("00") { "11" } else { "00" });
    look(&api, &forged, "192.0.2.1").await.is_problem(401, "token_invalid");
}

#[tokio::test]
async fn an_id_without_its_secret_opens_nothing() {
    let (api, _) = api();
    let (id, text) = api.token(&json!({"name": "a", "scopes": ["admin"]})).await;
    let (other, _) = api.token(&json!({"name": "b", "scopes": ["read"]})).await;
    let secret = text.strip_prefix(&format!("{id}_")).unwrap();
    for forged in [
        id.clone(),
        format!("{id}_"),
        format!("{id}_{}", "0".repeat(64)),
        // The right secret with another token's id.
        format!("{other}_{secret}"),
        format!("{id}_{}", secret.to_uppercase()),
        format!("{text} "),
        format!("x{text}"),
    ] {
        let refused = look(&api, &forged, "192.0.2.9").await;
        // Spaces around it are none of it.
        if forged.trim() == text { refused.is(200) } else { refused.is_problem(401, "token_invalid") }
    }
}

#[tokio::test]
async fn revoked_is_refused_at_once_also_where_other_processes_have_the_store_too() {
    for exclusive in [true, false] {
        let api = Api::with(Arc::new(FakeClock::default()), None, exclusive);
        let (id, text) = api.token(&json!({"name": "a", "scopes": ["read"]})).await;
        look(&api, &text, "192.0.2.1").await.is(200);
        // Somebody asks all the time: what was read before the end is not kept after it.
        let asking = (0..50).map(|_| api.get("/v1/actions").bearer(&text).send());
        let asking: Vec<_> = asking.map(tokio::spawn).collect();
        api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
        look(&api, &text, "192.0.2.1").await.is_problem(401, "token_invalid");
        for asked in asking {
            let _ = asked.await.unwrap();
        }
        look(&api, &text, "192.0.2.1").await.is_problem(401, "token_invalid");
    }
}

/// No other origin's page gets to read anything, or to send what needs to be asked for first.
#[tokio::test]
async fn browsers_of_other_origins_are_told_nothing() {
    let api = Api::new();
    for listener in [&api, &api.public()] {
        for path in ["/v1/actions/a/execute", "/v1/executions/x", "/healthz", "/nothing"] {
            let preflight = listener.request("OPTIONS", path).bearer("").with("origin", "https://evil.example");
            let preflight = preflight.with("access-control-request-method", "POST");
            let preflight = preflight.with("access-control-request-headers", "authorization").send().await;
            assert!(matches!(preflight.status.as_u16(), 404 | 405), "{path}: {}", preflight.status);
            let simple = listener.get(path).with("origin", "https://evil.example").send().await;
            for answer in [preflight, simple] {
                let allows = answer.headers.keys().find(|name| name.as_str().starts_with("access-control"));
                assert_eq!(allows, None, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_let_in_as_its_subject() {
    let clock = FakeClock::default();
    let (issuer, oidc) = oidc::testing::issuer(&clock);
    let api = Api::with(Arc::new(clock.clone()), Some(oidc), true);
    let token = |scope: &str| issuer.token("es", &oidc::testing::claims(&clock, scope));
    look(&api, &token("openid action-service:read"), "192.0.2.1").await.is(200);
    look(&api, &token("action-service:invoke"), "192.0.2.1").await.is_problem(403, "scope_missing");
    look(&api, &token("read admin"), "192.0.2.1").await.is_problem(403, "scope_missing");
    let made = api.post("/v1/tokens").bearer(&token("action-service:admin"));
    let made = made.json(&json!({"name": "a", "scopes": ["read"]})).send().await;
    made.is(201);
    assert_eq!(made.json()["created_by"], "subject:user-1");
    let old = token("action-service:read");
    clock.advance(Duration::from_hours(1));
    look(&api, &old, "192.0.2.1").await.is_problem(401, "token_expired");
    assert_eq!(look(&api, "eyJ.eyJ.sig", "192.0.2.1").await.json()["code"], "token_invalid");
}
