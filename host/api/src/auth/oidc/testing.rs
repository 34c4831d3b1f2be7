//! An issuer for tests, and what knows its tokens.

use super::{KeySource, Oidc, OidcOptions};
use action_domain::services::Clock as _;
use action_testkit::{FakeClock, issuer::Issuer};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Semaphore;

/// What an issuer publishes, or why it does not.
pub(crate) struct Published {
    pub(super) set: Mutex<Result<Value, String>>,
    pub(super) fetched: AtomicUsize,
    /// One for each fetch that may come to its end.
    pub(super) answers: Semaphore,
}

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        self.set.lock().unwrap().clone().map(|set| set.to_string().into_bytes())
    }
}

pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const AUDIENCE: &str = "action-service";

pub(super) fn published(issuer: &Issuer) -> Arc<Published> {
    Arc::new(Published {
        set: Mutex::new(Ok(issuer.jwks())),
        fetched: AtomicUsize::new(0),
        answers: Semaphore::new(1 << 20),
    })
}

pub(super) fn oidc(clock: &FakeClock, published: &Arc<Published>) -> Oidc {
    let options = OidcOptions { issuer: ISSUER.into(), audience: AUDIENCE.into() };
    Oidc::new(options, published.clone(), Arc::new(clock.clone()))
}

/// An issuer that publishes its keys.
pub(crate) fn issuer(clock: &FakeClock) -> (Issuer, Oidc) {
    let issuer = Issuer::new();
    let oidc = oidc(clock, &published(&issuer));
    (issuer, oidc)
}

/// Claims that are right for an hour.
pub(crate) fn claims(clock: &FakeClock, scope: &str) -> Value {
    let now = clock.now().as_micros() / 1_000_000;
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": now + 3600, "nbf": now, "iat": now, "scope": scope})
}
