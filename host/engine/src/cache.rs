//! What the hot path reads and what cannot change under it: actions with everything that is
//! worked out from a revision once, and compiled schemas.
//!
//! A revision never changes, so only "which one is current" can go stale. Every save forgets the
//! action here before it answers; where other processes save too, it is looked up each time.

use crate::{
    Engine, EngineError,
    remembered::{IDLE, Remembered},
    schema::Schemas,
};
use action_domain::{
    action::Action, digest::Digest, egress::Egress, id::ActionId, limits::Limits, name::Name, protocol::Protocol,
    repositories::ActionKey, secret::reference::Outline,
};
use moka::sync::Cache as Moka;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// Revisions kept; an action's config is at most a megabyte and mostly far less.
const REVISIONS_MAX: u64 = 4096;
/// Paths of webhooks kept.
const HOOKS_MAX: u64 = 65_536;
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
    /// The config where it names any.
    pub(crate) outline: Outline,
    pub(crate) egress: Arc<Egress>,
    pub(crate) limits: Limits,
    /// The transforms that its expressions name, by language.
    pub(crate) transforms: BTreeMap<String, Digest>,
}

pub(crate) struct Cache {
    pub(crate) current: Remembered<ActionKey, Ready>,
    /// Whose webhook listens at a path.
    pub(crate) hooks: Remembered<String, ActionId>,
    revisions: Moka<(ActionId, u32), Arc<Ready>>,
    schemas: Moka<Digest, Arc<Schemas>>,
    pub(crate) call_trigger: Arc<RawValue>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        let call = RawValue::from_string(r#"{"type":"call"}"#.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            current: Remembered::new(REVISIONS_MAX),
            hooks: Remembered::new(HOOKS_MAX),
            revisions: Moka::builder().max_capacity(REVISIONS_MAX).time_to_idle(IDLE).build(),
            schemas: Moka::new(SCHEMAS_MAX),
            call_trigger: call.into(),
        }
    }
}

impl Engine {
    /// The current revision of an action, ready to run.
    pub(crate) async fn ready(&self, key: &ActionKey) -> Result<Arc<Ready>, EngineError> {
        let current = &self.inner.cache.current;
        if !self.inner.parts.exclusive_store {
            // Other processes save actions: which revision is current is looked up.
            return self.ready_of(self.action(key).await?).await;
        }
        if let Some(ready) = current.get(key) {
            return Ok(ready);
        }
        let before = current.before();
        let ready = self.ready_of(self.action(key).await?).await?;
        current.keep(before, key.clone(), ready.clone());
        Ok(ready)
    }

    /// The action whose webhook listens at a path.
    pub(crate) async fn hook_owner(&self, path: &str) -> Result<Option<ActionId>, EngineError> {
        let hooks = &self.inner.cache.hooks;
        let path = path.to_owned();
        let known = self.inner.parts.exclusive_store.then(|| hooks.get(&path)).flatten();
        if let Some(owner) = known {
            return Ok(Some(*owner));
        }
        let before = hooks.before();
        let owner = self.reader().webhook_at(&path).await?.map(|standing| standing.action);
        if let Some(owner) = owner.filter(|_| self.inner.parts.exclusive_store) {
            hooks.keep(before, path, Arc::new(owner));
        }
        Ok(owner)
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
        let secrets: Vec<Name> = action.spec.config_secrets().into_iter().collect();
        let ready = Arc::new(Ready {
            config: action.spec.config.to_string().into(),
            outline: if secrets.is_empty() { Outline::default() } else { Outline::of(&action.spec.config) },
            secrets,
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
