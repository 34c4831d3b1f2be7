//! What the hot path reads and what cannot change under it: actions with everything that is
//! worked out from a revision once, and compiled schemas.
//!
//! A revision never changes, so only "which one is current" can go stale. Every save forgets the
//! action here before it answers; where other processes save too, it is looked up each time.

use crate::{Engine, EngineError, schema::Schemas};
use action_domain::{
    action::Action, digest::Digest, egress::Egress, id::ActionId, limits::Limits, name::Name, protocol::Protocol,
    repositories::ActionKey,
};
use moka::sync::Cache as Moka;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Revisions kept; an action's config is at most a megabyte and mostly far less.
const REVISIONS_MAX: u64 = 4096;
/// What nobody used for this long is forgotten.
const IDLE: Duration = Duration::from_hours(1);
/// Protocols whose compiled schemas are kept.
const SCHEMAS_MAX: u64 = 1024;

/// One revision of an action, ready to run.
pub(crate) struct Ready {
    pub(crate) action: Arc<Action>,
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) config: Arc<str>,
    /// The secrets that its config names; mostly none.
    pub(crate) secrets: Vec<Name>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) limits: Limits,
    /// The transforms that its expressions name, by language.
    pub(crate) transforms: BTreeMap<String, Digest>,
}

pub(crate) struct Cache {
    current: Moka<ActionKey, Arc<Ready>>,
    revisions: Moka<(ActionId, u32), Arc<Ready>>,
    schemas: Moka<Digest, Arc<Schemas>>,
    /// Grows with every change: what was read before a change is not kept after it.
    changes: AtomicU64,
    /// Held while something is kept or forgotten, so that the two do not interleave.
    keeping: Mutex<()>,
    pub(crate) call_trigger: Arc<RawValue>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        let call = RawValue::from_string(r#"{"type":"call"}"#.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            current: Moka::builder().max_capacity(REVISIONS_MAX).time_to_idle(IDLE).build(),
            revisions: Moka::builder().max_capacity(REVISIONS_MAX).time_to_idle(IDLE).build(),
            schemas: Moka::new(SCHEMAS_MAX),
            changes: AtomicU64::new(0),
            keeping: Mutex::new(()),
            call_trigger: call.into(),
        }
    }

    /// Forgets which revision of these is current.
    pub(crate) fn forget(&self, keys: impl IntoIterator<Item = ActionKey>) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        keys.into_iter().for_each(|key| self.current.invalidate(&key));
    }

    fn keep(&self, key: ActionKey, ready: &Arc<Ready>, seen_at: u64) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::SeqCst) == seen_at {
            self.current.insert(key, ready.clone());
        }
    }
}

impl Engine {
    /// The current revision of an action, ready to run.
    pub(crate) async fn ready(&self, key: &ActionKey) -> Result<Arc<Ready>, EngineError> {
        let cache = &self.inner.cache;
        if !self.inner.parts.exclusive_store {
            // Other processes save actions: which revision is current is looked up.
            return self.ready_of(self.action(key).await?).await;
        }
        if let Some(ready) = cache.current.get(key) {
            return Ok(ready);
        }
        let seen_at = cache.changes.load(Ordering::SeqCst);
        let action = self.action(key).await?;
        let ready = self.ready_of(action).await?;
        cache.keep(key.clone(), &ready, seen_at);
        Ok(ready)
    }

    /// A revision of an action, ready to run, also when it is not the current one any more.
    pub(crate) async fn ready_revision(&self, id: ActionId, revision: u32) -> Result<Arc<Ready>, EngineError> {
        if let Some(ready) = self.inner.cache.revisions.get(&(id, revision)) {
            return Ok(ready);
        }
        let action = self.reader().action_revision(id, revision).await?;
        self.ready_of(action.ok_or(EngineError::NotFound("action"))?).await
    }

    /// The limits of a revision, if it was run lately.
    pub(crate) fn known_limits(&self, id: ActionId, revision: u32) -> Option<Limits> {
        self.inner.cache.revisions.get(&(id, revision)).map(|ready| ready.limits)
    }

    async fn ready_of(&self, action: Arc<Action>) -> Result<Arc<Ready>, EngineError> {
        let key = (action.id, action.revision);
        if let Some(ready) = self.inner.cache.revisions.get(&key) {
            return Ok(ready);
        }
        let protocol = self.protocol(&action.protocol).await?;
        let schemas = self.schemas(&protocol)?;
        let mut transforms = BTreeMap::new();
        for (language, pin) in &action.transforms {
            transforms.insert(language.clone(), self.protocol(pin).await?.digest);
        }
        let egress = Egress::of_action(&protocol.descriptor.config_schema, &action.spec.config, &action.spec.grants);
        let ready = Arc::new(Ready {
            config: action.spec.config.to_string().into(),
            secrets: action.spec.config_secrets().into_iter().collect(),
            egress: Arc::new(egress),
            limits: self.inner.parts.limits.resolve(&action.spec.limits),
            action,
            protocol,
            schemas,
            transforms,
        });
        self.inner.cache.revisions.insert(key, ready.clone());
        Ok(ready)
    }

    /// A protocol's schemas, compiled.
    pub(crate) fn schemas(&self, protocol: &Protocol) -> Result<Arc<Schemas>, EngineError> {
        let cache = &self.inner.cache.schemas;
        if let Some(schemas) = cache.get(&protocol.digest) {
            return Ok(schemas);
        }
        // They compiled when the protocol was admitted.
        let schemas = Schemas::compile(&protocol.descriptor)
            .map_err(|issues| EngineError::Internal(format!("the schemas of {}: {issues:?}", protocol.pin())))?;
        let schemas = Arc::new(schemas);
        cache.insert(protocol.digest, schemas.clone());
        Ok(schemas)
    }
}
