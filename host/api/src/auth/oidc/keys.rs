//! An issuer's keys (a JSON Web Key Set, RFC 7517), and when they are fetched.
//!
//! An unknown key id makes them be fetched again, since issuers change keys; so does their age,
//! since issuers take keys back. Neither happens more often than [`FETCH_EVERY_MIN`]: whoever sends
//! made-up key ids makes us ask no more than that. What was begun is brought to its end, whoever
//! hangs up meanwhile: the next try is that far away whether or not this one came to anything.

use super::jws::{Algorithm, Jwk, Key};
use action_domain::time::Timestamp;
use async_trait::async_trait;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The time between two tries to fetch keys, at least.
pub(super) const FETCH_EVERY_MIN: Duration = Duration::from_secs(30);
/// After this long a key may have been taken back.
pub(super) const FRESH_FOR: Duration = Duration::from_mins(10);
/// An issuer that gives no keys for this long has none.
pub(super) const KEPT_FOR: Duration = Duration::from_hours(24);
/// Keys of one issuer.
const KEYS_MAX: usize = 100;

/// Where an issuer's keys are.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The key set, as JSON. Bounded in time and size.
    ///
    /// # Errors
    /// With why there is none, for people.
    async fn fetch(&self) -> Result<Vec<u8>, String>;
}

/// By key id and by the one algorithm that the key is for.
type Set = HashMap<(String, Algorithm), Arc<Key>>;

#[derive(Default)]
struct Current {
    set: Set,
    fetched_at: Option<Timestamp>,
    generation: u64,
}

/// The keys.
pub(super) struct Keys {
    shared: Arc<Shared>,
    /// When fetching was tried last; held while it is.
    tried_at: Arc<Mutex<Option<Timestamp>>>,
}

struct Shared {
    source: Arc<dyn KeySource>,
    current: RwLock<Arc<Current>>,
}

impl Keys {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { shared: Arc::new(Shared { source, current: RwLock::default() }), tried_at: Arc::default() }
    }

    /// Fetches them now. How many can be used.
    pub(super) async fn fetch(&self, now: Timestamp) -> Result<usize, String> {
        let tried_at = self.tried_at.clone().lock_owned().await;
        self.fetch_in(tried_at, now).await
    }

    /// Tells one state of the keys from another. Of old ones new ones are fetched before.
    pub(super) async fn generation(&self, now: Timestamp) -> u64 {
        let current = self.shared.current();
        if current.fetched_at.is_none_or(|at| apart(at, now) < FRESH_FOR) {
            // Those that were never fetched are fetched when a key is looked for.
            return current.generation;
        }
        // Whoever comes meanwhile goes on with what there is.
        if let Ok(tried_at) = self.tried_at.clone().try_lock_owned() {
            self.fetch_if_time(tried_at, now).await;
            let current = self.shared.current();
            if current.fetched_at.is_some_and(|at| apart(at, now) >= KEPT_FOR) {
                self.shared.put(Current { generation: current.generation + 1, ..Current::default() });
            }
        }
        self.shared.current().generation
    }

    /// The key with this id for this algorithm, and to which state of the keys it belongs.
    pub(super) async fn find(&self, kid: &str, algorithm: Algorithm, now: Timestamp) -> Option<(Arc<Key>, u64)> {
        let wanted = (kid.to_owned(), algorithm);
        let find = |current: &Current| Some((current.set.get(&wanted)?.clone(), current.generation));
        let before = self.shared.current();
        if let Some(found) = find(&before) {
            return Some(found);
        }
        let tried_at = self.tried_at.clone().lock_owned().await;
        // Somebody else may have fetched them while we waited for our turn.
        if self.shared.current().generation == before.generation {
            self.fetch_if_time(tried_at, now).await;
        }
        find(&self.shared.current())
    }

    async fn fetch_if_time(&self, tried_at: OwnedMutexGuard<Option<Timestamp>>, now: Timestamp) {
        if tried_at.is_some_and(|at| apart(at, now) < FETCH_EVERY_MIN) {
            return;
        }
        match self.fetch_in(tried_at, now).await {
            Ok(keys) => tracing::info!(keys, "api.oidc.keys.fetched"),
            Err(error) => tracing::warn!(%error, "api.oidc.keys.fetch"),
        }
    }

    /// Fetches them in a task of its own, which a caller who hangs up does not take with them.
    async fn fetch_in(
        &self,
        mut tried_at: OwnedMutexGuard<Option<Timestamp>>,
        now: Timestamp,
    ) -> Result<usize, String> {
        let shared = self.shared.clone();
        let fetching = tokio::spawn(async move {
            *tried_at = Some(now);
            shared.fetch(now).await
        });
        fetching.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Shared {
    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
    }

    async fn fetch(&self, now: Timestamp) -> Result<usize, String> {
        let set = read(&self.source.fetch().await?)?;
        let count = set.len();
        let generation = self.current().generation + 1;
        self.put(Current { set, fetched_at: Some(now), generation });
        Ok(count)
    }
}

/// The time between two moments, whichever is the later one: a clock that was set back makes nothing last longer.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

/// The keys of a set that can be used here. Others may be in it: they are for others.
fn read(json: &[u8]) -> Result<Set, String> {
    let document: Value = serde_json::from_slice(json).map_err(|error| format!("not JSON: {error}"))?;
    let keys = document.get("keys").and_then(Value::as_array).ok_or("no key set: it has no list `keys`")?;
    let usable = keys.iter().take(KEYS_MAX).filter_map(|key| usable(serde_json::from_value(key.clone()).ok()?));
    Ok(usable.collect())
}

fn usable(jwk: Jwk) -> Option<((String, Algorithm), Arc<Key>)> {
    let key = jwk.key()?;
    Some(((jwk.kid?, key.algorithm()), Arc::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_testkit::issuer::Issuer;
    use serde_json::json;

    #[test]
    fn only_keys_for_signatures_of_key_pairs_are_used() {
        let issuer = Issuer::new();
        let mut set = issuer.jwks();
        let ids = |set: &Value| {
            let mut ids: Vec<String> = read(set.to_string().as_bytes())
                .unwrap()
                .into_keys()
                .map(|(kid, alg)| format!("{kid} {alg:?}"))
                .collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(&set), ["ed EdDSA", "es ES256", "rs RS256"]);
        let keys = set["keys"].as_array_mut().unwrap();
        for (index, member, value) in [(0, "use", "enc"), (1, "alg", "ES384"), (2, "kid", "")] {
            keys[index][member] = value.into();
        }
        keys[2].as_object_mut().unwrap().remove("kid");
        keys.push(json!({"kty": "oct", "kid": "secret", "k": "AAAA", "alg": "HS256"}));
        keys.push(json!({"kty": "EC", "crv": "P-384", "kid": "p384", "x": "AA", "y": "AA"}));
        keys.push(json!({"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA"}));
        keys.push(json!({"kty": "from the future", "kid": "new"}));
        keys.push(json!(7));
        assert!(ids(&set).is_empty(), "{:?}", ids(&set));
        for broken in ["", "[]", "{}", r#"{"keys": {}}"#] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
