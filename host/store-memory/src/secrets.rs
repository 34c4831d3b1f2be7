//! Secrets, and which of them actions name.

use crate::{state::State, write::Undo};
use action_domain::{
    action::Action,
    name::Name,
    repositories::{CommitError, Conflict, Page, USERS_TOLD_MAX},
    secret::Secret,
};
use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

impl State {
    pub(crate) fn secrets_named(&self, names: &[Name]) -> Vec<Arc<Secret>> {
        let mut found: Vec<_> = names.iter().filter_map(|name| self.secrets.get(name).cloned()).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    pub(crate) fn secrets_page(&self, page: Page<Name>) -> Vec<Arc<Secret>> {
        let from = page.after.map_or(Unbounded, Excluded);
        let rest = self.secrets.range((from, Unbounded)).take(page.limit as usize);
        rest.map(|(_, secret)| Arc::clone(secret)).collect()
    }

    pub(crate) fn set_secret(&mut self, secret: Secret) -> Result<Undo, CommitError> {
        let deleted = || self.deleted_secrets.get(&secret.name).copied().unwrap_or(0);
        let current = self.secrets.get(&secret.name).map_or_else(deleted, |current| current.version);
        if current.checked_add(1) != Some(secret.version) {
            return Err(Conflict::RevisionMismatch { current }.into());
        }
        Ok(self.put_secret(secret))
    }

    pub(crate) fn reseal_secret(&mut self, secret: Secret) -> Result<Undo, CommitError> {
        let current = self.secrets.get(&secret.name).map_or(0, |current| current.version);
        if current != secret.version {
            return Err(Conflict::RevisionMismatch { current }.into());
        }
        Ok(self.put_secret(secret))
    }

    pub(crate) fn remove_secret(&mut self, name: &Name, version: u32) -> Result<Undo, CommitError> {
        let current = self.secrets.get(name).ok_or(Conflict::NotFound)?.version;
        if current != version {
            return Err(Conflict::RevisionMismatch { current }.into());
        }
        // Actions are few: a walk by name does.
        let users = self.actions.iter().filter(|(_, action)| action.spec.secrets().contains(name));
        let users: Vec<&str> = users.map(|(user, _)| user.as_str()).take(USERS_TOLD_MAX as usize).collect();
        if !users.is_empty() {
            return Err(Conflict::InUse { by: users.join(", ") }.into());
        }
        let old = self.secrets.remove(name);
        let (name, before) = (name.clone(), self.deleted_secrets.insert(name.clone(), version));
        Ok(Box::new(move |state| {
            state.deleted_secrets.remove(&name);
            state.deleted_secrets.extend(before.map(|before| (name, before)));
            state.secrets.extend(old.map(|old| (old.name.clone(), old)));
        }))
    }

    /// Whether everything is there that an action names.
    pub(crate) fn has_secrets_of(&self, action: &Action) -> Result<(), Conflict> {
        let missing = action.spec.secrets().into_iter().find(|name| !self.secrets.contains_key(name));
        missing.map_or(Ok(()), |name| Err(Conflict::SecretMissing(name)))
    }

    fn put_secret(&mut self, secret: Secret) -> Undo {
        let name = secret.name.clone();
        let created_at = self.secrets.get(&name).map_or(secret.created_at, |current| current.created_at);
        let old = self.secrets.insert(name.clone(), Arc::new(Secret { created_at, ..secret }));
        Box::new(move |state| {
            state.secrets.remove(&name);
            state.secrets.extend(old.map(|old| (name, old)));
        })
    }
}
